"""The clusters that a discovery watches, and what was told of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from lighthouse.cluster import Cluster
from lighthouse.ipc.boot import members_topic
from lighthouse.ipc.frames import MAX_SNAPSHOT
from lighthouse.ipc.messages import pack


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
    """By cluster: the plugin's view of it, and the snapshot that was told last, by this or an earlier generation.

    ``problems`` says what could not be told: what was known before stays in force.
    """

    def __init__(self, kept: Mapping[str, bytes], wake: Callable[[], None]) -> None:
        self.problems: dict[str, str] = {}
        self._wake = wake
        self._clusters: dict[str, Cluster] = {}
        self._signalled: set[str] = set()
        self._told = {topic: payload for topic, payload in kept.items() if topic.startswith(members_topic(""))}

    def differences(self, wanted: Mapping[str, None]) -> tuple[list[str], list[str]]:
        """The clusters that are watched and should not be, and those that should be and are not."""
        gone = [name for name in self._clusters if name not in wanted]
        new = [name for name in wanted if name not in self._clusters]
        return gone, new

    def made(self, name: str, discovery: str) -> tuple[Cluster, Signal]:
        """What `start_watching` is called with."""
        return Cluster(name, discovery), Signal(name, self._signalled, self._wake)

    def __getitem__(self, name: str) -> Cluster:
        """The plugin's view of a cluster."""
        return self._clusters[name]

    def add(self, cluster: Cluster) -> None:
        """It is watched now. A plugin may have signalled already, from within `start_watching`."""
        self._clusters[cluster.name] = cluster
        self._signalled.add(cluster.name)

    def remove(self, name: str) -> None:
        """It is no longer watched. If it comes back it is told anew, because nobody keeps it meanwhile."""
        del self._clusters[name]
        self._told.pop(members_topic(name), None)
        self.problems.pop(name, None)

    def clear(self) -> None:
        """The plugin forgot all of them; what was told still stands."""
        self._clusters.clear()

    def news(self) -> Iterator[tuple[str, int, bytes]]:
        """Topic, number of members and snapshot of each cluster that was signalled and has changed."""
        while self._signalled:
            name = self._signalled.pop()
            cluster = self._clusters.get(name)
            if cluster is None or cluster.nodes is None:
                continue
            nodes = sorted(cluster.nodes, key=lambda node: (node.name, node.ip))
            payload = pack({"nodes": [node.to_mapping() for node in nodes]})
            topic = members_topic(name)
            self.problems.pop(name, None)
            if len(payload) > MAX_SNAPSHOT:
                self.problems[name] = (
                    f"{len(nodes)} members of {name} are more than can be told; the last known ones stay"
                )
            elif payload != self._told.get(topic):
                self._told[topic] = payload
                yield topic, len(nodes), payload
