"""The clusters that a discovery watches, and what is told of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from typing import Any

from lighthouse.cluster import Cluster
from lighthouse.discovery import Discovery
from lighthouse.ipc.boot import ACCEPT_TOPIC, members_topic
from lighthouse.ipc.messages import unpack
from lighthouse.settings import MassLoss as Rules
from lighthouse.workers.steps import Step
from lighthouse.workers.telling import Telling


class Signal:
    """What a plugin is given as ``should_update``: callable, and with ``set``; safe from any thread."""

    def __init__(self, cluster: str, signalled: set[str], wake: Callable[[], None]) -> None:
        self._cluster = cluster
        self._signalled = signalled
        self._wake = wake

    def __call__(self) -> None:
        """Tell that the cluster's nodes are a newer complete answer."""
        self._signalled.add(self._cluster)
        self._wake()

    set = __call__


class Watched:
    """By cluster: the plugin's view of it, and what was told of it last, by this or an earlier generation."""

    def __init__(self, kept: Mapping[str, bytes], wake: Callable[[], None]) -> None:
        self._wake = wake
        self._clusters: dict[str, Cluster] = {}
        self._signalled: set[str] = set()
        self._wanted: Mapping[str, None] = {}
        self._discovery = ""
        self._rules: Mapping[str, Rules | None] = {}
        self._whole: float | None = None  # the time of the last complete answer
        self._unread: Mapping[str, float | None] = {}
        self._epoch = time.time() - time.monotonic()
        room = members_topic("")
        self._told = {topic.removeprefix(room): kept[topic] for topic in kept if topic.startswith(room)}
        self._tellings = {name: Telling.kept(name, self._epoch, payload) for name, payload in self._told.items()}
        if ACCEPT_TOPIC in kept:
            self.accept(unpack(kept[ACCEPT_TOPIC]))

    @property
    def problems(self) -> dict[str, str]:
        """What could not be told, by cluster: what was known before stays in force."""
        return {name: telling.problem for name, telling in self._tellings.items() if telling.problem}

    def configure(self, config: Mapping[str, Any]) -> None:
        """Take over which clusters are to be watched, and by which rules each is guarded."""
        self._wanted, self._discovery = dict.fromkeys(config["clusters"]), config["name"]
        self.guard({name: Rules(**rules) for name, rules in config["guards"].items()})

    def guard(self, rules: Mapping[str, Rules | None]) -> None:
        """From now on guard each cluster by its rules; one without is not guarded."""
        self._signalled |= {name for name in self._clusters if rules.get(name) != self._rules.get(name)}
        self._rules = rules

    def inherit(self, name: str, payload: bytes) -> None:
        """Begin with what another discovery told of a cluster that has moved here."""
        if name not in self._tellings:
            self._tellings[name], self._told[name] = Telling.kept(name, self._epoch, payload), payload

    def accept(self, accepted: Mapping[str, float]) -> None:
        """What was held at these times (CLOCK_MONOTONIC), by cluster, is confirmed by a person."""
        now = time.monotonic()
        for name in accepted.keys() & self._tellings.keys():
            self._tellings[name].accepted(accepted[name], now)

    def steps(self, plugin: Discovery) -> Iterator[Step]:
        """What is watched and should not be any more, then what should be and is not."""
        for name, cluster in self._clusters.items():
            if name not in self._wanted:
                stop = partial(plugin.stop_watching, cluster)
                yield Step(f"stop watching {name}", stop, partial(self._stopped, name))
        for name in self._unwatched():
            cluster, signal = self.made(name)
            start = partial(plugin.start_watching, cluster, signal)
            yield Step(f"watch {name}", start, partial(self._started, cluster))

    def made(self, name: str) -> tuple[Cluster, Signal]:
        """What `start_watching` is called with."""
        return Cluster(name, self._discovery), Signal(name, self._signalled, self._wake)

    def add(self, cluster: Cluster) -> None:
        """It is watched now. A plugin may have signalled already, from within `start_watching`."""
        self._clusters[cluster.name] = cluster
        self._signalled.add(cluster.name)

    def remove(self, name: str) -> None:
        """It is no longer watched. If it comes back it is told anew, because nobody keeps it meanwhile."""
        del self._clusters[name]
        self._tellings.pop(name, None)
        self._told.pop(name, None)

    def clear(self) -> None:
        """The plugin forgot all of them; what was told still stands."""
        self._clusters.clear()

    def unread_since(self, names: Collection[str]) -> dict[str, float | None]:
        """When each cluster that the last answer does not cover was covered last (unix time), None if it never was."""
        return {name: self._unread.get(name, self._whole if self._known(name) else None) for name in sorted(names)}

    def uncovered(self, unread: Collection[str]) -> dict[str, float | None]:
        """The same of all that no answer covers: what the plugin says, what it did not begin to watch, what cannot be told."""
        names = {name for name in (*unread, *self.problems) if name in self._wanted}
        return self.unread_since({*names, *self._unwatched()})

    def heard(self, *, complete: bool, unread: Collection[str] = ()) -> None:
        """The registry gave a complete answer, in which all but `unread` is as it was signalled last; or it gave none."""
        if complete:
            self._unread, self._whole = self.unread_since(unread), round(time.time(), 3)
        now = time.monotonic()
        for name, telling in self._tellings.items():
            covered = complete and name not in unread and self._known(name)
            telling.heard(now, self._rules.get(name), complete=covered)

    def _started(self, cluster: Cluster, _value: Any) -> None:
        self.add(cluster)

    def _stopped(self, name: str, _value: Any) -> None:
        self.remove(name)

    def _unwatched(self) -> list[str]:
        return [name for name in self._wanted if name not in self._clusters]

    def _known(self, name: str) -> bool:
        cluster = self._clusters.get(name)
        return cluster is not None and cluster.nodes is not None

    def news(self) -> Iterator[tuple[str, int, bytes]]:
        """Topic, number of members and snapshot of each cluster of which something else is to be told than was told last."""
        now = time.monotonic()
        while self._signalled:
            name = self._signalled.pop()
            cluster = self._clusters.get(name)
            if cluster is not None and cluster.nodes is not None:
                telling = self._tellings.setdefault(name, Telling(name, self._epoch))
                telling.answered(cluster.nodes, cluster.refused, now, self._rules.get(name))
        for name, telling in self._tellings.items():
            if telling.payload and telling.payload != self._told.get(name):
                self._told[name] = telling.payload
                yield members_topic(name), len(telling.members), telling.payload
