"""Why a node is in rotation, or is not: its way from the registry's record to the server of the load balancer, step by step.

A pure function of the status document (`lighthouse.cli.document`) and of what the balancers explained. The steps of a node, in
the order of the way: ``service`` where this host provides it and that says something, ``registry``, ``guard``, ``supervisor``,
and for each balancer ``balancer``, ``server``, ``state``. The way ends at the step where the node is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from lighthouse.cli.own import Own
from lighthouse.cli.rotation import Rotation, count
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
        self._rotation = Rotation(document, explained, cluster, self._now)
        self._nodes = {node["name"]: node for node in self._cluster["nodes"] or []}
        self._workers = {str(worker.get("id")): worker for worker in document["workers"]}
        self._own = Own(document, cluster, self._now)
        self._refused = {str(item.get("record")): str(item.get("reason")) for item in self._cluster["refused"]}

    def ways(self, wanted: str | None = None) -> list[Way]:
        """Of all nodes, refused records included, or of those that `wanted` names: ``host:port``, ``host`` or ``ip:port``."""
        others = (*self._cluster["gone"], *self._refused, *self._own.names)
        known = [*self._nodes, *(name for name in others if name not in self._nodes)]
        if wanted is None:
            return [
                self._way(name) for name in (*self._nodes, *(name for name in self._refused if name not in self._nodes))
            ]
        names = [name for name in known if wanted in self._names(name)]
        return [self._way(name) for name in dict.fromkeys(names or [wanted])]

    def _names(self, name: str) -> set[str]:
        node = self._nodes.get(name)
        own = [self._own.address(name)] if name in self._own.names else []
        return {name, name.rpartition(":")[0], *([f"{node['ip']}:{node['port']}"] if node else own)}

    def cluster(self) -> list[Step]:
        """The steps that all nodes share: the discovery and its answer, the guard, the balancers."""
        steps = [self._discovery(), self._answer()]
        if self._cluster["held"]:
            steps.append(self._guard(self._cluster["held"]))
        return steps + [self._rotation.synced(name) for name in self._rotation.balancers]

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
        members = count(len(self._nodes), "member")
        if self._refused:
            return Step(
                "registry", Mark.NOTE, f"{members}, and {count(self._cluster['refused_total'], 'record')} refused", at
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
            "guard", Mark.NOTE, f"{count(held['count'], 'member')} held, {text}; {accept}", number(held["since"])
        )

    # The way of one node

    def _way(self, name: str) -> Way:
        steps: list[Step] = []
        for step in self._steps(name):
            if step.step == "registry" and step.mark in (Mark.BAD, Mark.UNKNOWN):
                own = self._rotation.has_own(name)
                steps += [replace(step, mark=Mark.NOTE) if own else step, *self._rotation.remains(name)]
                break
            steps.append(step)
        return Way(name, tuple(steps))

    def _steps(self, name: str) -> Iterator[Step]:
        if own := self._own.step(name, member=name in self._nodes):
            yield own
        yield self._record(name)
        if self._nodes.get(name, {}).get("held"):
            yield self._guard(self._cluster["held"])
        else:
            yield Step("guard", Mark.OK, "not held", number(self._cluster["accepted"]))
        yield Step("supervisor", Mark.OK, "took over the cluster's members", number(self._cluster["accepted"]))
        yield from self._rotation.of(name)

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
            how = ", and said before that it leaves on purpose" if name in cluster["leaving"] else ""
            return Step("registry", Mark.BAD, f"its record has left {discovery}{how}", number(cluster["gone"][name]))
        doubt = f"; what it has now nobody knows, because {discovery} is away or failing" if cluster["stale"] else ""
        if len(self._refused) >= TOLD_REFUSED:
            doubt += f"; or it is refused, as so many are that only {len(self._refused)} of them are told"
        return Step("registry", Mark.BAD, f"{discovery} has no record of it{doubt}", self._discovery().at)
