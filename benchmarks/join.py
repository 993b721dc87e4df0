"""From the appearance of a node in the registry until HAProxy gives it connections, beside a bare script that does only that."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from host import SHIPPED, Host, Rotation, host, spin
from measure import Options, Row, row

from lighthouse.node import Node
from support.ports import free_port

ADDRESSES = itertools.count(2)


def rows(options: Options) -> Iterator[Row]:
    """Lighthouse first; then it stops, HAProxy and registry stay as they are, and the script takes its place."""
    count = options.pick(100, 25)
    with host("writer", SHIPPED) as here:
        here.discovery().balancer().cluster("web", free_port())
        folder = here.registry / "web"
        folder.mkdir(parents=True)
        write(folder, Node("resident", "127.0.0.1", free_port()))
        here.stack.start()
        here.stack.wait_up("discovery/dir", "balancer/haproxy")
        with Rotation(here.proxy.config["socket_file"], "web") as rotation:
            spin(lambda: rotation.serves(resident(folder)), every=0.05, within=30, what="the first node in rotation")
            ours = [appearance(folder, rotation) for _ in range(count)]
            here.stack.stop()
            with script(here, folder):
                theirs = [appearance(folder, rotation) for _ in range(count)]
    yield row("a bare script: node in the registry to in rotation", "ms", theirs)
    yield row("node in the registry to in rotation", "ms", ours, against="script", floor=theirs)


def resident(folder: Path) -> str:
    """The one node that stays."""
    return next(path.name for path in folder.iterdir() if path.name.startswith("resident"))


def write(folder: Path, node: Node) -> Path:
    """Announce a node as another host would: whole, or not at all."""
    path, new = folder / node.name, folder / f".{node.name}.tmp"
    new.write_text(node.serialize())
    new.rename(path)
    return path


def appearance(folder: Path, rotation: Rotation) -> float:
    """Announce a node and withdraw it again; returns how long it took to come into rotation, in ms."""
    number = next(ADDRESSES)
    node = Node(f"host{number}", f"127.0.1.{number % 250 + 1}", 8000)
    begin = time.monotonic()
    path = write(folder, node)
    end = spin(lambda: rotation.serves(node.name), every=0.0002, within=30, what=f"{node.name} in rotation")
    path.unlink()
    spin(lambda: node.name not in rotation.servers(), every=0.005, within=30, what=f"{node.name} gone")
    time.sleep(0.02)  # what follows a change, such as the writing of the file, is over
    return (end - begin) * 1e3


@contextmanager
def script(here: Host, folder: Path) -> Iterator[None]:
    """The bare script at work."""
    command = [
        sys.executable,
        Path(__file__).with_name("join_peer.py"),
        folder,
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
