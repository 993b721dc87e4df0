"""What the HAProxy balancer itself takes for a configuration of some size: for all of it, and for the change of one node."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from host import proxy
from measure import Options, Row, row

from lighthouse.cluster import Cluster
from lighthouse.node import Node
from support.haproxy import Paths, balancer
from support.ports import free_port

SIZES = ((10, 10), (100, 10), (1000, 10), (1, 5000))


def rows(options: Options) -> Iterator[Row]:
    """For each size: a start, a changed line, one node more or less, and a comparison of everything."""
    whole, changes = options.pick(5, 2), options.pick(200, 40)
    few: list[float] = []
    for size in SIZES:
        label = "{} cluster{} of {}".format(size[0], "s" * (size[0] > 1), size[1])
        clusters = [cluster(number, size[1]) for number in range(size[0])]
        yield from alone(label, clusters, whole)
        took = changed(clusters, whole, changes)
        few = few or took["one"]
        yield row(f"a line changes: render, validate, reload, {label}", "ms", took["line"])
        yield row(f"one node joins or leaves, {label}", "ms", took["one"], against="10 clusters of 10", floor=few)
        yield row(f"  of which the writing of the file takes at least, {label}", "ms", took["write"])
        yield row(f"everything compared, nothing to do, {label}", "ms", took["same"])


def changed(clusters: list[Cluster], whole: int, changes: int) -> dict[str, list[float]]:
    """What changes take, by their kind."""
    with proxy() as paths:
        made = balancer(paths)
        made.sync(clusters)
        line = [timed(lambda number=number: made.sync(relined(clusters, number))) for number in range(whole)]
        made.sync(clusters)
        one = [timed(lambda number=number: made.sync(joined(clusters, number))) for number in range(changes)]
        write = [written(paths.file) for _ in range(changes)]
        made.sync(clusters)
        same = [timed(lambda: made.sync(clusters)) for _ in range(whole)]
    return {"line": line, "one": one, "write": write, "same": same}


def alone(label: str, clusters: list[Cluster], count: int) -> Iterator[Row]:
    """From nothing: against HAProxy alone with the very file that was written."""
    ours, floor = [], []
    for _ in range(count):
        with proxy() as paths:
            ours.append(timed(lambda paths=paths: balancer(paths).sync(clusters)))
            paths.stop()
            floor.append(timed(lambda paths=paths: bare(paths)))
    yield row(f"render, validate, start, {label}", "ms", ours, against="haproxy -c; haproxy", floor=floor)


def cluster(number: int, nodes: int) -> Cluster:
    """A cluster with a port."""
    members = [
        Node(f"host{index}", f"127.{index >> 16}.{index >> 8 & 255}.{index & 255}", 8000) for index in range(nodes)
    ]
    return Cluster(f"cluster{number:04}", "dir", members, {"port": free_port()})


def relined(clusters: list[Cluster], number: int) -> list[Cluster]:
    """The first cluster with another line."""
    first = clusters[0]
    lines = {**first.options, "backend": [f"timeout queue {number + 1}s"]}
    return [Cluster(first.name, "dir", first.nodes, lines), *clusters[1:]]


def joined(clusters: list[Cluster], number: int) -> list[Cluster]:
    """A visitor in one of the clusters, every other time."""
    if number % 2:
        return clusters
    index = number % len(clusters)
    found = clusters[index]
    more = Cluster(found.name, "dir", [*(found.nodes or ()), Node("visitor", "127.9.9.9", 8000)], found.options)
    return [*clusters[:index], more, *clusters[index + 1 :]]


def bare(paths: Paths) -> None:
    """What HAProxy itself needs."""
    config = paths.config["config_file"]
    subprocess.run(["haproxy", "-q", "-c", "-f", config], stdout=subprocess.DEVNULL, check=True)
    command = ["haproxy", "-q", "-W", "-D", "-p", paths.config["pid_file"], "-f", config]
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)


def written(path: Path) -> float:
    """How long it takes to replace a file by its own content, in ms."""
    data, new = path.read_bytes(), path.with_suffix(".new")
    begin = time.perf_counter()
    new.write_bytes(data)
    os.replace(new, path)
    return (time.perf_counter() - begin) * 1e3


def timed(function: Callable[[], Any]) -> float:
    """How long a call takes, in ms."""
    begin = time.perf_counter()
    function()
    return (time.perf_counter() - begin) * 1e3
