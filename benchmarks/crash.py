"""From the crash of a worker until its replacement is ready: configured, and caught up with the state that was kept for it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from host import SHIPPED, Host, host
from measure import Options, Row, row

from support.ports import free_port
from support.site import Web
from support.wait import until

NO_WAITING = {"base": 0.001, "cap": 0.001, "stable": 0.01, "burst": 100000, "window": 1.0, "failing": 0.001}
KINDS = {"checker": "checker/web", "discovery": "discovery/dir", "balancer": "balancer/haproxy"}
TARGET = 15.0  # ms


def rows(options: Options) -> Iterator[Row]:
    """For each kind of worker, against a fork of a process of the same size that ends at once."""
    crashes = options.pick(200, 40)
    floors = measured_floors(crashes)
    floor = floors["fork"]
    yield row("fork, exit and reap of an empty worker", "ms", floor)
    yield row("kill and reap of a process that watches a folder", "ms", floors["end"])
    with ExitStack() as cleanup:
        here = cleanup.enter_context(host("all", {**SHIPPED, "restart": NO_WAITING}))
        webs = [Web(free_port()) for _ in range(3)]
        for web in webs:
            cleanup.callback(web.stop)
            web.start()
        here.discovery(ttl=4.0).balancer().cluster("web", free_port())
        here.service("web", [web.port for web in webs], interval=0.2)
        here.stack.start()
        here.stack.wait_up(*KINDS.values())
        until(lambda: len(here.proxy.servers("web")) == len(webs), what="all instances in rotation", within=60)
        for kind, worker in KINDS.items():
            lives = [crash(here, worker) for _ in range(crashes)]
            caught_up, reaped = ([life[part] for life in lives] for part in (0, 1))
            yield row(f"crash of a {kind} to caught up", "ms", caught_up, against="fork", floor=floor, target=TARGET)
            yield row("  of which until it is reaped", "ms", reaped)


def crash(here: Host, worker: str) -> tuple[float, float]:
    """Kill a worker; returns how long until the next generation was up, and until the death was known, in ms.

    Both moments are the supervisor's own records, so that how often they are asked for is not part of them.
    """
    time.sleep(random.uniform(0.02, 0.07))  # anywhere between two heartbeats and two checks
    before = here.stack.worker(worker)
    killed = time.time()
    os.kill(before["pid"], signal.SIGKILL)

    def replaced() -> dict[str, Any] | None:
        seen = here.stack.worker(worker)
        return seen if seen["generation"] > before["generation"] and seen["state"] == "up" else None

    after = until(replaced, within=60, what=f"a replacement of {worker}: {here.stack.tail(worker)}")
    return (after["since"] - killed) * 1e3, (after["last_exit"]["at"] - killed) * 1e3


def measured_floors(count: int) -> dict[str, list[float]]:
    """What the same machine needs at least, in ms: see fork_floor.py."""
    script = Path(__file__).with_name("fork_floor.py")
    command = [sys.executable, str(script), str(count)]
    floors: dict[str, list[float]] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return floors
