"""Many hosts in one process: the plugin of each, driven by its descriptor as its worker drives it. Tells when all know the same."""

from __future__ import annotations

import json
import selectors
import sys
import time
from typing import Any

from lighthouse.cluster import Cluster
from lighthouse.zookeeper import ZookeeperDiscovery


class Signal:
    """Does nothing: who is told looks for itself."""

    def __call__(self) -> None:
        """Be told."""

    set = __call__


class Fleet:
    """The hosts, and how many members each knows."""

    def __init__(self, hosts: str, path: str, cluster: str, count: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._known: dict[ZookeeperDiscovery, Cluster] = {}
        self._told: int | None = None
        for _ in range(count):
            discovery = ZookeeperDiscovery()
            discovery.apply_config({"hosts": hosts.split(","), "path": path, "session_timeout": 60.0})
            discovery.connect()
            self._known[discovery] = Cluster(cluster)
            discovery.start_watching(self._known[discovery], Signal())
            discovery.maintain()
            self._selector.register(discovery.watch_fd(), selectors.EVENT_READ, discovery)

    def run(self) -> None:
        """For ever."""
        due: dict[Any, float] = {}
        while True:
            ready = [key.data for key, _ in self._selector.select(0.5)]
            now = time.monotonic()
            for discovery in [*ready, *(late for late, at in due.items() if at <= now and late not in ready)]:
                discovery.maintain()
                due[discovery] = time.monotonic() + discovery.period
            self._tell()

    def _tell(self) -> None:
        counts = {len(cluster.nodes or ()) for cluster in self._known.values()}
        if len(counts) == 1 and (count := counts.pop()) != self._told:
            self._told = count
            print(json.dumps({"members": count, "at": time.monotonic()}), flush=True)


if __name__ == "__main__":
    Fleet(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])).run()
