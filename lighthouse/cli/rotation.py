"""The end of a node's way: what each balancer made of its cluster and of it, and what the load balancer says. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from lighthouse.cli.health import says_all
from lighthouse.cli.text import number
from lighthouse.cli.way import Mark, Step

SHADOWED = "shadowed"  # the state of a member whose name another server has

Document = Mapping[str, Any]


class Rotation:
    """The steps of one cluster at its balancers. `explained` is what each balancer's worker answered, by its id."""

    def __init__(
        self, document: Document, explained: Mapping[str, Mapping[str, Any]], cluster: str, now: float | None
    ) -> None:
        self._reports = document["balancers"]
        self._explained = explained
        self._cluster = cluster
        self._now = now
        self._workers = {str(worker.get("id")): worker for worker in document["workers"]}

    @property
    def balancers(self) -> list[str]:
        """The balancers that write this cluster, as far as they tell."""
        names = (name.partition("/")[2] for name in self._workers if name.startswith("balancer/"))
        return sorted(name for name in names if self._writes(name))

    def _writes(self, balancer: str) -> bool:
        answer = self._explained.get(f"balancer/{balancer}")
        if answer is not None:
            return answer.get("configured") is not False
        servers = self._report(balancer).get("servers")
        return not isinstance(servers, dict) or self._cluster in servers

    def synced(self, balancer: str) -> Step:
        """What a balancer made of the cluster as a whole."""
        step, worker, report = f"balancer {balancer}", self._workers[f"balancer/{balancer}"], self._report(balancer)
        at, since = self._last(balancer), number(worker.get("since"))
        if not self._works(balancer):
            reason = f": {worker['reason']}" if worker.get("reason") else ""
            text = f"balancer/{balancer} is {worker.get('state')}{reason}; the load balancer stays as it is"
            return Step(step, Mark.BAD, text, since)
        if failed := report.get("failed"):
            return Step(step, Mark.BAD, f"its last sync failed: {failed}", number(report.get("reported")))
        if at is None:
            return Step(step, Mark.UNKNOWN, worker.get("reason") or "it has not told of a sync yet", since)
        if quarantined := get(report, "quarantined", self._cluster):
            return Step(step, Mark.BAD, f"quarantined, so its new lines are not in force: {quarantined}", at)
        if degraded := self._degraded(worker, report):
            return Step(step, Mark.NOTE, f"degraded: {degraded}", since)
        if report.get("pending"):
            return Step(step, Mark.NOTE, f"synced; a reload waits: {report['pending']}", at)
        return Step(step, Mark.OK, _done(report.get("last")), at)

    def _degraded(self, worker: Mapping[str, Any], report: Mapping[str, Any]) -> str:
        """What keeps the balancer from its job as far as it is no other cluster's business."""
        reason, notes = str(worker.get("reason") or ""), report.get("notes")
        if not reason or not isinstance(notes, list) or not says_all(report, worker):
            return reason
        return "; ".join(str(get(note, "text")) for note in notes if get(note, "cluster") in (None, self._cluster))

    def of(self, name: str) -> Iterator[Step]:
        """The steps of a node that is a member."""
        for balancer in self.balancers:
            yield from self._of(name, balancer)

    def has_own(self, name: str) -> bool:
        """Whether a line of the operator's own makes a server of this name, which serves whatever the registry says."""
        found = (self._facts(name, balancer) for balancer in self.balancers)
        return any(facts is not None and facts.get("own") is True for facts in found)

    def remains(self, name: str) -> Iterator[Step]:
        """What load balancers still have of a node that is no member."""
        for balancer in self.balancers:
            facts = self._facts(name, balancer)
            if facts is not None and not facts.get("member"):
                yield self._server(balancer, facts)
                yield self._state(balancer, facts) if facts.get("own") is True else self._leaving(balancer, facts)

    def _of(self, name: str, balancer: str) -> Iterator[Step]:
        synced, report = self.synced(balancer), self._report(balancer)
        left_out = get(report, "left_out", self._cluster, name)
        if left_out is not None:
            yield Step(synced.step, Mark.BAD, f"left out on this host: {left_out}", self._last(balancer))
            return
        for key, words in (
            ("refused", "not taken as announced"),
            ("waiting", "a part of it waits for a reload"),
        ):
            if said := get(report, key, self._cluster, name):
                yield Step(synced.step, Mark.NOTE, f"{words}: {said}", self._last(balancer))
        facts, lacking = self._facts(name, balancer), self._lacking(balancer)
        # What is wrong with the balancer as a whole ends the way only where the load balancer is known to lack the node.
        harmless = synced.mark is not Mark.OK and (facts is not None or lacking is None)
        yield replace(synced, mark=Mark.NOTE) if harmless else synced
        if facts is not None and get(report, "servers", self._cluster, name) == SHADOWED:
            yield self._server(balancer, facts)
            text = "not this node: a server of the cluster's own lines has its name"
            yield Step(f"state {balancer}", Mark.BAD, text, self._last(balancer))
        elif facts is not None:
            yield self._server(balancer, facts)
            yield self._state(balancer, facts)
        else:
            yield lacking or self._last_word(name, balancer)

    def _lacking(self, balancer: str) -> Step | None:
        """That the load balancer has no server for a node of which it gave no facts, if that is certain."""
        answer = self._explained.get(f"balancer/{balancer}")
        report = self._report(balancer)
        if answer is not None and isinstance(answer.get("servers"), dict):
            return Step(f"server {balancer}", Mark.BAD, "the load balancer has no server for it", self._now)
        if answer is not None and answer.get("absent") is True:
            return Step(f"state {balancer}", Mark.BAD, f"the load balancer does not run: {answer['error']}", self._now)
        if answer is None and report.get("failed") and report.get("absent") is True:
            at = number(report.get("reported"))
            return Step(f"state {balancer}", Mark.BAD, f"the load balancer does not run: {report['failed']}", at)
        return None

    def _last_word(self, name: str, balancer: str) -> Step:
        """What the balancer told last of a node, where the load balancer itself gave no answer."""
        step, answer, report = f"state {balancer}", self._explained.get(f"balancer/{balancer}"), self._report(balancer)
        told, at = get(report, "servers", self._cluster, name), self._last(balancer)
        before = f"; {told} at the last sync that went well" if told is not None else ""
        if answer is not None and answer.get("error"):
            text = f"the load balancer cannot be asked: {answer['error']}{before}"
            return Step(step, Mark.UNKNOWN, text, self._now)
        if report.get("failed"):
            return Step(step, Mark.UNKNOWN, f"its last sync failed, and it tells nothing of it{before}", at)
        if told is None:
            return Step(step, Mark.UNKNOWN, "nobody tells: the balancer has not reported on it", at)
        return Step(step, Mark.NOTE if told == "up" else Mark.BAD, f"{told}, as last reported", at)

    def _works(self, balancer: str) -> bool:
        return self._workers[f"balancer/{balancer}"].get("state") in ("up", "degraded")

    def _report(self, balancer: str) -> Mapping[str, Any]:
        report = self._reports.get(balancer)
        return report if isinstance(report, dict) else {}

    def _last(self, balancer: str) -> float | None:
        """When it last told of a sync that went well."""
        report = self._report(balancer)
        synced = number(report.get("synced"))
        return synced if synced is not None or report.get("failed") else number(report.get("reported"))

    def _facts(self, name: str, balancer: str) -> Mapping[str, Any] | None:
        facts = get(self._explained.get(f"balancer/{balancer}", {}), "servers", name)
        return facts if isinstance(facts, dict) else None

    def _server(self, balancer: str, facts: Mapping[str, Any]) -> Step:
        parts = [f"server {facts.get('server')} at {facts.get('address')}"]
        parts += [f"its line: {facts['line']}"] if facts.get("line") else []
        return Step(f"server {balancer}", Mark.OK, "; ".join(parts), self._now)

    def _state(self, balancer: str, facts: Mapping[str, Any]) -> Step:
        details = [f"{key} {facts[key]}" for key in ("weight", "sessions") if facts.get(key) is not None]
        state = facts.get("state")
        mark = Mark.OK if state == "up" else Mark.BAD
        return Step(f"state {balancer}", mark, ", ".join([str(state), *details]), self._since(facts))

    def _leaving(self, balancer: str, facts: Mapping[str, Any]) -> Step:
        text = f"leaving: {facts.get('state')}, {count(facts.get('sessions') or 0, 'session')} to end"
        return Step(f"state {balancer}", Mark.BAD, text, self._since(facts))

    def _since(self, facts: Mapping[str, Any]) -> float | None:
        since = number(facts.get("since"))
        return None if since is None or self._now is None else self._now - since


def get(value: Any, *keys: str) -> Any:
    """What lies at the end of these keys, or None."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def count(number_of: object, noun: str) -> str:
    """As many of a thing."""
    return f"{number_of} {noun}{'' if number_of == 1 else 's'}"


def _done(last: Any) -> str:
    """What the last sync did."""
    commands, reload = get(last, "commands"), get(last, "reload")
    if start := get(last, "start"):
        return f"synced, and the load balancer was started: {start}"
    if reload:
        return f"synced with a reload: {reload}"
    return f"synced with {count(commands, 'command')}" if commands else "synced, nothing had to be done"
