"""One ZooKeeper for a benchmark, and what it says of the work that it had."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lighthouse.node import Node
from support.zookeeper import Ensemble, Realm

HEAP = 512  # MiB
BATCH = 500  # znodes that are made at once
PLUGIN = "lighthouse.zookeeper:ZookeeperDiscovery"


@dataclass(frozen=True, slots=True)
class Work:
    """What the server did for its clients since it was started: read requests, and bytes of records and events both ways."""

    reads: float
    received: float
    sent: float

    def since(self, before: Work) -> Work:
        """The difference."""
        return Work(self.reads - before.reads, self.received - before.received, self.sent - before.sent)


class Zookeeper:
    """The server, and a client of our own."""

    def __init__(self, realm: Any) -> None:
        self.realm = realm
        self.hosts: list[str] = realm.hosts
        self.path: str = realm.path
        self.client = realm.client(timeout=60.0)
        self._server = realm.ensemble.servers[0]

    def work(self) -> Work:
        """By the server's own counters. Pings and the asking itself are not in them."""
        told = self._server.figures()
        return Work(*(float(told[name]) for name in ("cnt_readlatency", "bytes_received_count", "response_bytes")))

    def announce(self, cluster: str, nodes: Iterable[Node]) -> None:
        """Announce nodes as other hosts would, many at a time."""
        self.client.ensure_path(f"{self.path}/{cluster}")
        waiting = []
        for node in nodes:
            waiting.append(
                self.client.create_async(
                    f"{self.path}/{cluster}/{node.name}", node.serialize().encode(), ephemeral=True
                )
            )
            if len(waiting) >= BATCH:
                self._settle(waiting)
        self._settle(waiting)

    def join(self, cluster: str, node: Node) -> None:
        """Announce one node, and do nothing else that the server would count."""
        self.client.create(f"{self.path}/{cluster}/{node.name}", node.serialize().encode(), ephemeral=True)

    def withdraw(self, cluster: str, node: Node) -> None:
        """Withdraw one."""
        self.client.delete(f"{self.path}/{cluster}/{node.name}")

    @staticmethod
    def _settle(waiting: list[Any]) -> None:
        for item in waiting:
            item.get(timeout=60)
        waiting.clear()


def nodes(count: int, first: int = 0) -> list[Node]:
    """Nodes with a record of the usual size."""
    return [
        Node(f"host{n}.example.org", f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}", 8000)
        for n in range(first, first + count)
    ]


@contextmanager
def zookeeper() -> Iterator[Zookeeper]:
    """A server in a temporary directory, ended with the block."""
    root = Path(tempfile.mkdtemp(prefix="lighthouse-bench-"))
    server = Ensemble(root / "zookeeper", heap=HEAP)
    try:
        server.start()
        realm = Realm(server)
        try:
            yield Zookeeper(realm)
        finally:
            realm.close()
    finally:
        server.stop()
        shutil.rmtree(root)
