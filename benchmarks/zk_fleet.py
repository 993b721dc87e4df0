"""A simulated fleet: many hosts' discoveries watch one cluster on one ZooKeeper while nodes join it."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Self

from measure import Options, Row, row
from zk import Work, Zookeeper, nodes, zookeeper

from lighthouse.node import Node

MEMBERS = 100
PROCESSES = 2
BEYOND = (2000, 10000)


def rows(options: Options) -> Iterator[Row]:
    """The cost per change and host does not depend on the size of the fleet; the time does, and is drawn on as a line."""
    sizes = (10, 100, 400, 1000) if not options.quick else (10, 50, 200)
    last: dict[int, float] = {}
    with zookeeper() as server:
        server.announce("web", nodes(MEMBERS))
        for size in sizes:
            works, times = fleet(server, size, options.pick(20, 5))
            last[size] = statistics.median(times)
            yield row(
                f"{size} hosts: reads per join and host", "reads", [work.reads / size for work in works], target=2.5
            )
            traffic = [(work.sent + work.received) / size for work in works]
            yield row("  bytes both ways, per join and host", "bytes", traffic)
            yield row("  until the last host knows", "ms", times)
    base, each = line(last)
    for size in BEYOND:
        yield row(f"{size} hosts, by the line through these: until the last knows", "ms", [base + each * size])


def fleet(server: Zookeeper, size: int, changes: int) -> tuple[list[Work], list[float]]:
    """The server's work and the time until the last host knows, for each join."""
    works, times = [], []
    with ExitStack() as cleanup:
        parts = [cleanup.enter_context(Part(server, size // PROCESSES)) for _ in range(PROCESSES)]
        for part in parts:
            part.know(MEMBERS)
        for number in range(changes):
            node = Node(f"joining{number}.example.org", "10.255.255.1", 8000)
            before, begin = server.work(), time.monotonic()
            server.join("web", node)
            times.append((max(part.know(MEMBERS + 1) for part in parts) - begin) * 1e3)
            works.append(server.work().since(before))
            server.withdraw("web", node)
            for part in parts:
                part.know(MEMBERS)
    return works, times


class Part:
    """Some hosts of the fleet in one process."""

    def __init__(self, server: Zookeeper, hosts: int) -> None:
        script = Path(__file__).with_name("zk_fleet_part.py")
        self._command = [sys.executable, str(script), ",".join(server.hosts), server.path, "web", str(hosts)]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(30)
        self._out.close()

    @property
    def _out(self) -> IO[bytes]:
        if self._process.stdout is None:
            raise RuntimeError("no pipe")
        return self._process.stdout

    def know(self, members: int) -> float:
        """Wait until all of its hosts know of so many members; returns when the last one did (CLOCK_MONOTONIC)."""
        while True:
            told = json.loads(self._out.readline() or b"null")
            if told is None:
                raise RuntimeError("a part of the fleet has ended")
            if told["members"] == members:
                return float(told["at"])


def line(points: dict[int, float]) -> tuple[float, float]:
    """The straight line of least squares: its value at 0, and its slope."""
    fit = statistics.linear_regression(list(points.keys()), list(points.values()))
    return fit.intercept, fit.slope
