"""From the death of a service's process until HAProxy gives it no more connections."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack

from host import SHIPPED, Host, Rotation, host, spin
from measure import Options, Row, row

from support.ports import free_port
from support.site import Web

INTERVAL = 0.2  # seconds
FALL = 2


def rows(options: Options) -> Iterator[Row]:
    """In ms, and as a multiple of what the configuration allows at least: ``interval * fall``."""
    with ExitStack() as cleanup:
        here = cleanup.enter_context(host("all", SHIPPED))
        webs = [Web(free_port()) for _ in range(3)]
        for web in webs:
            cleanup.callback(web.stop)
            web.start()
        here.discovery(ttl=4.0).balancer().cluster("web", free_port())
        here.service("web", [web.port for web in webs], interval=INTERVAL, fall=FALL)
        here.stack.start()
        here.stack.wait_up("balancer/haproxy", "discovery/dir", "checker/web")
        spin(lambda: len(here.proxy.servers("web")) == len(webs), every=0.05, within=60, what="all in rotation")
        took = [death(here, webs[number % len(webs)]) for number in range(options.pick(30, 8))]
    yield row("death of a service to out of rotation", "ms", [seconds * 1e3 for seconds in took])
    yield row(
        "  the same, in check interval x fall", "x", [seconds / (INTERVAL * FALL) for seconds in took], target=1.5
    )


def death(here: Host, web: Web) -> float:
    """Kill an instance and start it again; returns how long it stayed in rotation once it was dead, in seconds."""
    server = f"testhost:{web.port}"
    with Rotation(here.proxy.config["socket_file"], "web") as rotation:
        spin(lambda: rotation.serves(server), every=0.02, within=30, what=f"{server} in rotation")
        time.sleep(random.uniform(0.0, INTERVAL))  # anywhere between two checks
        begin = time.monotonic()
        web.process.kill()
        end = spin(lambda: not rotation.serves(server), every=0.0005, within=30, what=f"{server} out of rotation")
    web.stop()
    web.start()
    return end - begin
