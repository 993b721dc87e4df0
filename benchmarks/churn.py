"""Changes of members one after the other under load: how many requests fail, and how often HAProxy is reloaded."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Self

from fed import Worker
from host import Rotation, proxy, spin
from measure import Options, Row, row

from lighthouse.node import Node
from support.haproxy import get
from support.ports import free_port
from support.site import Web

RATE = 500  # requests per second, over all clusters
CHANGES = 50  # per second
THREADS = 10
WEBS = 6
HOSTS = 8  # that come and go; one stays
KINDS = {
    "dynamic": ["balance roundrobin"],
    "fixed": ["balance static-rr"],
    "sticky": ["balance leastconn", "cookie S insert"],
}


def rows(options: Options) -> Iterator[Row]:
    """Joins, leaves, other addresses, weights and backups, at random, in three kinds of clusters; one member of each stays."""
    count = options.pick(1000, 200)
    with ExitStack() as cleanup:
        webs = [cleanup.enter_context(running(Web(free_port()))) for _ in range(WEBS)]
        paths, dice = cleanup.enter_context(proxy()), random.Random(1)
        ports = {name: free_port() for name in KINDS}
        metadata = ["weight", "backup"]
        settings = {
            name: {"port": ports[name], "backend": lines, "server_metadata": metadata} for name, lines in KINDS.items()
        }
        now = {name: everybody(webs) for name in KINDS}
        worker = cleanup.enter_context(Worker(paths.config, now, settings))
        with Load(list(ports.values())) as load:
            begin = time.monotonic()
            for number in range(count):
                name = dice.choice(list(KINDS))
                now[name] = changed(now[name], webs, dice)
                worker.feed(name, now[name])
                worker.rest()
                time.sleep(max(0.0, begin + (number + 1) / CHANGES - time.monotonic()))
            took = time.monotonic() - begin
        for name, nodes in now.items():
            with Rotation(paths.config["socket_file"], name) as rotation:
                wanted = sum(node.metadata.get("weight") != 0 for node in nodes)
                serving = lambda rotation=rotation: sum(rotation.servers().values())  # noqa: E731
                spin(
                    lambda wanted=wanted, serving=serving: serving() >= wanted,
                    every=0.05,
                    within=30,
                    what=f"all of {name}",
                )
        label = f"{count} changes"
        yield row(f"{label}: requests", "1/s", [load.done / took])
        yield row(f"{label}: failed requests", "", [float(len(load.failed))], target=1.0)
        yield row(f"{label}: reloads", "", [float(paths.reloads())], target=1.0)


def everybody(webs: list[Web]) -> list[Node]:
    """All who may be there: where members need slots, there is one for each from the start."""
    hosts = ["resident", *(f"host{number}" for number in range(HOSTS))]
    return [Node(host, "127.0.0.1", webs[number % len(webs)].port) for number, host in enumerate(hosts)]


def changed(nodes: list[Node], webs: list[Web], dice: random.Random) -> list[Node]:
    """The same with one node that came, went, moved, or has another weight or role."""
    resident, *others = nodes
    at = {node.host: node for node in others}
    host = f"host{dice.randrange(HOSTS)}"
    if host in at and dice.random() < 0.4:
        del at[host]
    else:
        metadata = dice.choice([{}, {}, {"weight": 0}, {"weight": 5}, {"backup": True}])
        at[host] = Node(host, "127.0.0.1", dice.choice(webs).port, metadata)
    return [resident, *at.values()]


class Load:
    """Requests at a fixed rate, each on a connection of its own. ``failed`` tells what was not answered with 200."""

    def __init__(self, ports: list[int]) -> None:
        self.done = 0
        self.failed: list[str] = []
        self._ports = ports
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(THREADS)]

    def _run(self, number: int) -> None:
        period = THREADS / RATE
        due = time.monotonic() + number / RATE
        while not self._ending.wait(max(0.0, due - time.monotonic())):
            due += period
            number += 1
            try:
                status, _ = get(self._ports[number % len(self._ports)])
                problem = None if status == 200 else f"status {status}"
            except OSError as error:
                problem = repr(error)
            with self._lock:
                self.done += 1
                if problem:
                    self.failed.append(problem)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()


@contextmanager
def running(web: Web) -> Iterator[Web]:
    """A web server for the length of a block."""
    try:
        yield web.start()
    finally:
        web.stop()
