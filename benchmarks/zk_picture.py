"""A discovery worker and ZooKeeper: the time to the first full picture, and what one join costs the server."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from host import spin
from measure import Options, Row, row
from zk import PLUGIN, Work, Zookeeper, nodes, zookeeper

from lighthouse.node import Node
from lighthouse.testing.hosts import Host
from lighthouse.testing.registry import Registry
from support.original import Writer

SIZES = (10, 100, 1000, 5000)
CLUSTERS, MEMBERS = 1000, 10


def rows(options: Options) -> Iterator[Row]:
    """Beside what lighthouse 1.0 does: it reads all members of a cluster, one after another, whenever one comes or goes."""
    starts = options.pick(5, 2)
    with zookeeper() as server:
        big = nodes(max(SIZES))
        for size in SIZES:
            server.announce(f"web{size}", big[:size])
        theirs = [original(server, f"web{max(SIZES)}") for _ in range(starts)]
        ours = [picture(server, {f"web{max(SIZES)}": max(SIZES)}) for _ in range(starts)]
        yield row(f"1.0: first picture of {max(SIZES)} nodes, without its start", "ms", theirs)
        yield row(f"worker's start to a picture of {max(SIZES)} nodes", "ms", ours, against="1.0", floor=theirs)
        yield from joins(options, server)
    with zookeeper() as server:
        many = {f"cluster{number}": MEMBERS for number in range(CLUSTERS)}
        for name in many:
            server.announce(name, nodes(MEMBERS))
        ours = [picture(server, many) for _ in range(starts)]
        yield row(f"worker's start to a picture of {CLUSTERS} clusters of {MEMBERS}", "ms", ours)


def joins(options: Options, server: Zookeeper) -> Iterator[Row]:
    """Reads of the server per join, ours and 1.0's."""
    for size in SIZES:
        cluster = f"web{size}"
        with consuming(server, {cluster: size}) as host:
            known = partial(count, host, cluster)
            ours = [join(server, cluster, known) for _ in range(options.pick(20, 5))]
        writer = Writer(server.realm.client(timeout=60.0), server.path, cluster)
        spin(partial(updated, writer), every=0.01, within=60, what="1.0's first picture")
        theirs = [join(server, cluster, partial(names, writer)) for _ in range(options.pick(5, 2))]
        writer.stop()
        floor = [work.reads for work in theirs]
        yield row(f"1.0: reads for a join to {size}", "reads", floor)
        yield row(
            f"reads for a join to {size}",
            "reads",
            [work.reads for work in ours],
            against="1.0",
            floor=floor,
            target=2.5,
        )
        yield row("  bytes sent by the server for it", "bytes", [work.sent for work in ours])


def count(host: Host, cluster: str) -> int:
    """How many members we were told."""
    return len(host.members(cluster) or ())


def names(writer: Any) -> int:
    """How many members 1.0 knows."""
    return len(writer.members)


def updated(writer: Any) -> bool:
    """Whether 1.0 knows any."""
    return bool(writer.updates)


def join(server: Zookeeper, cluster: str, members: Callable[[], int]) -> Work:
    """What the server did from the appearance of a node until it was told; the node goes again."""
    before_members, node = members(), Node("joining.example.org", "10.255.255.1", 8000)
    before = server.work()
    server.join(cluster, node)
    spin(lambda: members() == before_members + 1, every=0.002, within=60, what=f"a join to {cluster}")
    work = server.work().since(before)
    server.withdraw(cluster, node)
    spin(lambda: members() == before_members, every=0.002, within=60, what=f"a leave from {cluster}")
    return work


def picture(server: Zookeeper, clusters: dict[str, int]) -> float:
    """How long a worker takes from its start until all members of all clusters are told, in ms."""
    begin = time.monotonic()
    with consuming(server, clusters):
        return (time.monotonic() - begin) * 1e3


@contextmanager
def consuming(server: Zookeeper, clusters: dict[str, int]) -> Iterator[Host]:
    """A discovery worker as a supervisor runs it, once it has told all members."""
    registry = SimpleNamespace(plugin=PLUGIN, config={"hosts": server.hosts, "path": server.path})
    with tempfile.TemporaryDirectory(prefix="lighthouse-bench-") as root:
        host = Host(cast("Registry", registry), Path(root), "consumer")
        host.consume(*clusters)
        host.start()
        try:
            spin(
                lambda: all(len(host.members(name) or ()) == size for name, size in clusters.items()),
                every=0.01,
                within=120,
                what="a full picture",
            )
            yield host
        finally:
            host.kill()


def original(server: Zookeeper, cluster: str) -> float:
    """The same for 1.0, whose process and session exist already, in ms."""
    client = server.realm.client(timeout=60.0)
    begin = time.monotonic()
    told = threading.Event()
    writer = Writer(client, server.path, cluster, told=told.set)
    told.wait(120)
    end = time.monotonic()
    writer.stop()
    client.stop()
    return (end - begin) * 1e3
