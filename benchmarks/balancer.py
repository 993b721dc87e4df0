"""From the snapshot that the balancer worker receives until HAProxy serves a node, or no longer does, beside a bare script."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from fed import Fed, Script, Worker
from host import Rotation, proxy, spin
from measure import Options, Row, row

from lighthouse.node import Node

NODES = 10
SIZES = (1, 1000)  # clusters; the one that changes and those that do not
TARGET = 1.5  # times the script


def rows(options: Options) -> Iterator[Row]:
    """For one cluster, and for one of a thousand: worker and script take turns, each before a HAProxy of its own."""
    count = options.pick(300, 60)
    for size in SIZES:
        with ExitStack() as cleanup:
            worker, theirs = side(cleanup, size, Worker)
            script, rotation = side(cleanup, size, script_for)
            visits = [(visit(worker, theirs, number), visit(script, rotation, number)) for number in range(count)]
        for part, what in enumerate(("joins", "leaves")):
            label = f"a node {what}, {size} cluster{'s' * (size > 1)} of {NODES}"
            ours, floor = ([times[part] for times in whose] for whose in zip(*visits, strict=True))
            yield row(f"the bare script: {label}", "ms", floor)
            yield row(label, "ms", ours, against="script", floor=floor, most=TARGET)


def side(cleanup: ExitStack, size: int, make: Callable[..., Fed]) -> tuple[Fed, Rotation]:
    """A HAProxy of its own with so many clusters, who feeds it, and a look at the cluster that changes."""
    paths = cleanup.enter_context(proxy())
    clusters = {f"cluster{number:04}": members() for number in range(size)}
    fed = cleanup.enter_context(make(paths.config, clusters))
    return fed, cleanup.enter_context(Rotation(Path(paths.config["socket_file"]), "cluster0000"))


def script_for(config: Mapping[str, Any], clusters: Mapping[str, Sequence[Node]]) -> Script:
    """The script, before a HAProxy that a worker has started and left."""
    with Worker(config, clusters):
        pass
    return Script(config["socket_file"], "cluster0000", clusters["cluster0000"])


def members() -> list[Node]:
    """Who is there all the time."""
    return [Node(f"host{number}", f"127.0.0.{number + 1}", 8000) for number in range(NODES)]


def visit(fed: Fed, rotation: Rotation, number: int) -> tuple[float, float]:
    """A node comes and goes; ms until HAProxy gives it connections, and until it gives it none."""
    node = Node("visitor", f"127.0.1.{number % 250 + 1}", 9000 + number)
    fed.rest()
    begin = time.monotonic()
    fed.feed("cluster0000", [*members(), node])
    joined = spin(lambda: rotation.serves(node.name), every=0.0002, within=30, what=f"{node.name} in rotation")
    time.sleep(0.02)  # what follows a change, such as the writing of the file, is over
    again = time.monotonic()
    fed.feed("cluster0000", members())
    left = spin(lambda: not rotation.serves(node.name), every=0.0002, within=30, what=f"{node.name} out of rotation")
    spin(lambda: node.name not in rotation.servers(), every=0.001, within=30, what=f"{node.name} gone")
    time.sleep(0.02)
    return (joined - begin) * 1e3, (left - again) * 1e3
