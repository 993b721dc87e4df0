"""From the start of `lighthouse run` on a host that has nothing yet until the last cluster answers a request through HAProxy."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

from host import SHIPPED, Host, host, spin
from measure import Options, Row, row

from lighthouse.node import Node
from support.haproxy import Backend, get
from support.ports import free_port

NODES = 10
REPETITIONS = {10: 10, 100: 10, 1000: 5}


def rows(options: Options) -> Iterator[Row]:
    """For 10, 100 and 1000 clusters, against HAProxy alone: `haproxy -c` and a start with the very file that was written."""
    for size, whole in REPETITIONS.items():
        count = options.pick(whole, 2)
        with ExitStack() as cleanup:
            web = cleanup.enter_context(Backend("web"))
            here = cleanup.enter_context(host("writer", SHIPPED))
            last = populate(here, size, web.port)
            ours = [cold_start(here, last) for _ in range(count)]
            floor = [bare_start(here, last) for _ in range(count)]
        yield row(
            f"start to serving, {size} clusters of {NODES}", "ms", ours, against="haproxy -c; haproxy", floor=floor
        )


def populate(here: Host, size: int, server: int) -> int:
    """Write the configuration and the registry; returns the last cluster's port. All nodes are the one server, by several names."""
    here.discovery().balancer()
    port = 0
    for number in range(size):
        port = free_port()
        name = f"cluster{number:04}"
        here.cluster(name, port)
        folder = here.registry / name
        folder.mkdir(parents=True)
        for index in range(NODES):
            node = Node(f"host{index}", "127.0.0.1", server)
            (folder / node.name).write_text(node.serialize())
    return port


def cold_start(here: Host, port: int) -> float:
    """Start without any kept state and without HAProxy, and end both again; ms until the request is answered."""
    shutil.rmtree(here.stack.runtime, ignore_errors=True)
    for leftover in here.root.glob("haproxy.cfg*"):
        leftover.unlink()
    begin = time.monotonic()
    here.stack.start(wait=False)
    end = spin(lambda: serves(port), every=0.002, within=120, what=f"an answer; {here.stack.output()}")
    here.stack.stop()
    here.proxy.stop()
    return (end - begin) * 1e3


def bare_start(here: Host, port: int) -> float:
    """What HAProxy itself needs for the same; ms."""
    config = here.proxy.config["config_file"]
    begin = time.monotonic()
    subprocess.run(["haproxy", "-q", "-c", "-f", config], stdout=subprocess.DEVNULL, check=True)
    command = ["haproxy", "-q", "-W", "-D", "-p", here.proxy.config["pid_file"], "-f", config]
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    end = spin(lambda: serves(port), every=0.002, within=60, what="an answer of HAProxy alone")
    here.proxy.stop()
    return (end - begin) * 1e3


def serves(port: int) -> bool:
    """Whether a request is answered well."""
    with suppress(OSError):
        return get(port)[0] == 200
    return False
