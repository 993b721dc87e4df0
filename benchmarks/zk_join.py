"""From the appearance of a znode until HAProxy gives it connections, beside a bare script that does only that."""

from __future__ import annotations

import itertools
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from host import SHIPPED, Host, Rotation, host, spin
from measure import Options, Row, row
from zk import Zookeeper, zookeeper

from lighthouse.node import Node
from support.ports import free_port

ADDRESSES = itertools.count(2)
TURNS = 5  # in which the two take turns, so that a busy moment of the machine meets both


def rows(options: Options) -> Iterator[Row]:
    """Lighthouse and the script take turns in front of the same HAProxy and the same ZooKeeper."""
    count = options.pick(40, 10)
    ours: list[float] = []
    theirs: list[float] = []
    with zookeeper() as server, host("writer", SHIPPED) as here:
        here.stack.write("discovery/dir.yaml", {"plugin": "zookeeper", "hosts": server.hosts, "path": server.path})
        here.balancer().cluster("web", free_port())
        resident = Node("resident", "127.0.0.1", free_port())
        server.announce("web", [resident])
        for _ in range(TURNS):
            here.stack.start()
            here.stack.wait_up("discovery/dir", "balancer/haproxy")
            with Rotation(here.proxy.config["socket_file"], "web") as rotation:
                serves = lambda rotation=rotation: rotation.serves(resident.name)  # noqa: E731
                spin(serves, every=0.05, within=30, what="the first node in rotation")
                appearance(server, rotation)
                ours += [appearance(server, rotation) for _ in range(count)]
                here.stack.stop()
                with script(here, server):
                    appearance(server, rotation)
                    theirs += [appearance(server, rotation) for _ in range(count)]
    yield row("a bare script: znode to in rotation", "ms", theirs)
    yield row("znode to in rotation", "ms", ours, against="script", floor=theirs)
    floor = statistics.median(theirs)
    yield row("  the same, in medians of the script", "x", [sample / floor for sample in ours], target=1.5)


def appearance(server: Zookeeper, rotation: Rotation) -> float:
    """Announce a node and withdraw it again; returns how long it took to come into rotation, in ms."""
    number = next(ADDRESSES)
    node = Node(f"host{number}", f"127.0.1.{number % 250 + 1}", 8000)
    path = f"{server.path}/web/{node.name}"
    begin = time.monotonic()
    server.client.create_async(path, node.serialize().encode(), ephemeral=True)
    end = spin(lambda: rotation.serves(node.name), every=0.0002, within=30, what=f"{node.name} in rotation")
    server.client.delete(path)
    spin(lambda: node.name not in rotation.servers(), every=0.005, within=30, what=f"{node.name} gone")
    time.sleep(0.02)  # what follows a change, such as the writing of the file, is over
    return (end - begin) * 1e3


@contextmanager
def script(here: Host, server: Zookeeper) -> Iterator[None]:
    """The bare script at work."""
    command = [
        sys.executable,
        Path(__file__).with_name("zk_join_peer.py"),
        ",".join(server.hosts),
        f"{server.path}/web",
        here.proxy.config["socket_file"],
        "web",
    ]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE)
    try:
        if process.stdout is None or process.stdout.readline() != b"ready\n":
            raise RuntimeError("the script does not start")
        yield
    finally:
        process.kill()
        process.wait(30)
