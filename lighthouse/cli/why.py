"""Why a node is in rotation, or is not: its way from the registry's record to the server of the load balancer, step by step.

A pure function of the status document (`lighthouse.cli.document`) and of what the balancers explained. The steps of a node, in
the order of the way: ``registry``, ``guard``, ``supervisor``, and for each balancer ``balancer``, ``server``, ``state``. The way
ends at the step where the node is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lighthouse.cli.text import age, clock, number
from lighthouse.cli.way import Mark, Step, Way

TOLD_REFUSED = 50  # records that a discovery worker tells at most

Document = Mapping[str, Any]


class Why:
    """The ways of one cluster's nodes. `explained` is what each balancer's worker answered, by its id."""

    def __init__(self, document: Document, explained: Mapping[str, Mapping[str, Any]], cluster: str) -> None:
        self._document = document
        self._cluster = document["clusters"][cluster]
        self._name = cluster
        self._now = clock(document)
        self._explained = explained
        self._nodes = {node["name"]: node for node in self._cluster["nodes"] or []}
        self._workers = {str(worker.get("id")): worker for worker in document["workers"]}
        self._refused = {str(item.get("record")): str(item.get("reason")) for item in self._cluster["refused"]}

    def ways(self, wanted: str | None = None) -> list[Way]:
        """Of all nodes, refused records included, or of those that `wanted` names: ``host:port``, ``host`` or ``ip:port``."""
        known = [*self._nodes, *(name for name in (*self._cluster["gone"], *self._refused) if name not in self._nodes)]
        if wanted is None:
            return [
                self._way(name) for name in (*self._nodes, *(name for name in self._refused if name not in self._nodes))
            ]
        names = [name for name in known if wanted in self._names(name)]
        return [self._way(name) for name in dict.fromkeys(names or [wanted])]

    def _names(self, name: str) -> set[str]:
        node = self._nodes.get(name)
        return {name, name.rpartition(":")[0], *([f"{node['ip']}:{node['port']}"] if node else [])}

    def cluster(self) -> list[Step]:
        """The steps that all nodes share: the discovery and its answer, the guard, the balancers."""
        steps = [self._discovery(), self._answer()]
        if self._cluster["held"]:
            steps.append(self._guard(self._cluster["held"]))
        return steps + [self._synced(name) for name in self._balancers()]

    def _balancers(self) -> list[str]:
        """The balancers that write this cluster, as far as they tell."""
        names = (name.partition("/")[2] for name in self._workers if name.startswith("balancer/"))
        return sorted(name for name in names if self._writes(name))

    def _writes(self, balancer: str) -> bool:
        answer = self._explained.get(f"balancer/{balancer}")
        if answer is not None:
            return answer.get("configured") is not False
        servers = self._report(balancer).get("servers")
        return not isinstance(servers, dict) or self._name in servers

    # What all nodes share

    def _discovery(self) -> Step:
        cluster, name = self._cluster, f"discovery/{self._cluster['discovery']}"
        worker = self._workers.get(name)
        answered = number(cluster["age"])
        at = None if answered is None or self._now is None else self._now - answered
        if worker is None:
            return Step("discovery", Mark.BAD, f"{name} does not exist")
        if not cluster["stale"]:
            return Step("discovery", Mark.OK, f"{name} is up and gave its last complete answer", at)
        reason = f": {worker['reason']}" if worker.get("reason") else ""
        last = (
            "it has given no complete answer since its start"
            if at is None
            else "its last complete answer stays in force"
        )
        return Step("discovery", Mark.BAD, f"{name} is {worker.get('state')}{reason}; {last}", at)

    def _answer(self) -> Step:
        cluster = self._cluster
        at = number(cluster["accepted"])
        if cluster["error"]:
            return Step("registry", Mark.BAD, cluster["error"], at)
        if cluster["nodes"] is None:
            return Step("registry", Mark.UNKNOWN, "its members are not known yet", at)
        members = _count(len(self._nodes), "member")
        if self._refused:
            return Step(
                "registry", Mark.NOTE, f"{members}, and {_count(self._cluster['refused_total'], 'record')} refused", at
            )
        return Step("registry", Mark.OK if self._nodes else Mark.BAD, members, at)

    def _guard(self, held: Mapping[str, Any]) -> Step:
        until = number(held["until"])
        left = None if until is None or self._now is None else age(until - self._now)
        text = (
            f"for {left} more if the registry keeps saying so" if left else "while the registry's answers are in doubt"
        )
        accept = f"`lighthouse ctl accept {self._name}` lets go"
        return Step(
            "guard", Mark.NOTE, f"{_count(held['count'], 'member')} held, {text}; {accept}", number(held["since"])
        )

    def _synced(self, balancer: str) -> Step:
        """What a balancer made of the cluster as a whole."""
        step, worker, report = f"balancer {balancer}", self._workers[f"balancer/{balancer}"], self._report(balancer)
        at = number(report.get("reported"))
        if worker.get("state") not in ("up", "degraded"):
            reason = f": {worker['reason']}" if worker.get("reason") else ""
            return Step(
                step,
                Mark.BAD,
                f"balancer/{balancer} is {worker.get('state')}{reason}; the load balancer stays as it is",
                number(worker.get("since")),
            )
        if at is None:
            return Step(step, Mark.UNKNOWN, worker.get("reason") or "it has not told of a sync yet")
        if quarantined := _get(report, "quarantined", self._name):
            return Step(step, Mark.BAD, f"quarantined, so its new lines are not in force: {quarantined}", at)
        if worker.get("reason"):
            return Step(step, Mark.NOTE, f"degraded: {worker['reason']}", number(worker.get("since")))
        if report.get("pending"):
            return Step(step, Mark.NOTE, f"synced; a reload waits: {report['pending']}", at)
        return Step(step, Mark.OK, _done(report.get("last")), at)

    def _report(self, balancer: str) -> Mapping[str, Any]:
        report = self._document["balancers"].get(balancer)
        return report if isinstance(report, dict) else {}

    # The way of one node

    def _way(self, name: str) -> Way:
        steps: list[Step] = []
        for step in self._steps(name):
            steps.append(step)
            if step.step == "registry" and step.mark in (Mark.BAD, Mark.UNKNOWN):
                steps += self._remains(name)
                break
        return Way(name, tuple(steps))

    def _steps(self, name: str) -> Iterator[Step]:
        yield self._record(name)
        if self._nodes.get(name, {}).get("held"):
            yield self._guard(self._cluster["held"])
        else:
            yield Step("guard", Mark.OK, "not held", number(self._cluster["accepted"]))
        yield Step("supervisor", Mark.OK, "took over the cluster's members", number(self._cluster["accepted"]))
        for balancer in self._balancers():
            yield from self._balanced(name, balancer)

    def _record(self, name: str) -> Step:
        cluster, discovery = self._cluster, f"discovery/{self._cluster['discovery']}"
        node = self._nodes.get(name)
        if node is not None:
            since = number(node["since"])
            if node["held"]:
                return Step(
                    "registry", Mark.NOTE, f"{discovery} told of it, and then it vanished with many others", since
                )
            if cluster["stale"]:
                return Step("registry", Mark.NOTE, f"{discovery} told of it, and is away or failing now", since)
            return Step("registry", Mark.OK, f"{discovery} tells of it", since)
        if name in self._refused:
            return Step(
                "registry", Mark.BAD, f"its record is refused: {self._refused[name]}", number(cluster["accepted"])
            )
        if cluster["error"] or cluster["nodes"] is None:
            return self._answer()
        if name in cluster["gone"]:
            return Step("registry", Mark.BAD, f"its record has left {discovery}", number(cluster["gone"][name]))
        doubt = f"; what it has now nobody knows, because {discovery} is away or failing" if cluster["stale"] else ""
        if len(self._refused) >= TOLD_REFUSED:
            doubt += f"; or it is refused, as so many are that only {len(self._refused)} of them are told"
        return Step("registry", Mark.BAD, f"{discovery} has no record of it{doubt}", self._discovery().at)

    def _remains(self, name: str) -> Iterator[Step]:
        """What load balancers still have of a node that is no member."""
        for balancer in self._balancers():
            facts = _get(self._explained.get(f"balancer/{balancer}", {}), "servers", name)
            if isinstance(facts, dict) and not facts.get("member"):
                yield self._server(balancer, facts)
                yield Step(
                    f"state {balancer}",
                    Mark.BAD,
                    f"leaving: {facts.get('state')}, {_count(facts.get('sessions') or 0, 'session')} to end",
                    self._since(facts),
                )

    def _balanced(self, name: str, balancer: str) -> Iterator[Step]:
        synced, report = self._synced(balancer), self._report(balancer)
        left_out = _get(report, "left_out", self._name, name)
        if left_out is not None:
            yield Step(synced.step, Mark.BAD, f"left out on this host: {left_out}", synced.at)
            return
        for key, words in (
            ("refused", "a part of its record is refused"),
            ("waiting", "a part of it waits for a reload"),
        ):
            if said := _get(report, key, self._name, name):
                yield Step(synced.step, Mark.NOTE, f"{words}: {said}", synced.at)
        # What is wrong with the balancer as a whole ends the way only where the load balancer lacks the node.
        facts = self._facts(name, balancer)
        yield Step(synced.step, Mark.NOTE if facts and synced.mark is Mark.BAD else synced.mark, synced.text, synced.at)
        if facts is not None:
            yield self._server(balancer, facts)
            yield self._state(balancer, facts)
            return
        answer = self._explained.get(f"balancer/{balancer}")
        told = _get(report, "servers", self._name, name)
        if answer is not None and isinstance(answer.get("servers"), dict):
            yield Step(f"server {balancer}", Mark.BAD, "the load balancer has no server for it", self._now)
        elif answer is not None and answer.get("error"):
            reason = f"the load balancer cannot be asked: {answer['error']}"
            yield Step(f"state {balancer}", Mark.UNKNOWN, reason, self._now)
        elif told is None:
            yield Step(
                f"state {balancer}", Mark.UNKNOWN, "nobody tells: the balancer has not reported on it", self._now
            )
        else:
            mark = Mark.NOTE if told == "up" else Mark.BAD
            yield Step(f"state {balancer}", mark, f"{told}, as last reported", number(report.get("reported")))

    def _facts(self, name: str, balancer: str) -> Mapping[str, Any] | None:
        facts = _get(self._explained.get(f"balancer/{balancer}", {}), "servers", name)
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

    def _since(self, facts: Mapping[str, Any]) -> float | None:
        since = number(facts.get("since"))
        return None if since is None or self._now is None else self._now - since


def _get(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _count(number_of: object, noun: str) -> str:
    return f"{number_of} {noun}{'' if number_of == 1 else 's'}"


def _done(last: Any) -> str:
    """What the last sync did."""
    commands, reload = _get(last, "commands"), _get(last, "reload")
    if start := _get(last, "start"):
        return f"synced, and the load balancer was started: {start}"
    if reload:
        return f"synced with a reload: {reload}"
    return f"synced with {_count(commands, 'command')}" if commands else "synced, nothing had to be done"
