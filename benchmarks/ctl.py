"""`lighthouse ctl status` as whole processes, as a script or an operator waits for them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from host import SHIPPED, host, spin
from measure import Options, Row, row

from support.ports import free_port
from support.site import Web

SERVICES = 10


def rows(options: Options) -> Iterator[Row]:
    """Against an interpreter of the same installation that does nothing."""
    count = options.pick(40, 12)
    with ExitStack() as cleanup:
        here = cleanup.enter_context(host("all", SHIPPED))
        web = Web(free_port())
        cleanup.callback(web.stop)
        web.start()
        here.discovery(ttl=15.0).balancer()
        for number in range(SERVICES):
            here.cluster(f"service{number}", free_port()).service(f"service{number}", [web.port], interval=1.0)
        here.stack.start()
        command = [str(Path(sys.executable).with_name("lighthouse")), "ctl", "--socket", str(here.stack.socket_path)]
        spin(lambda: code([*command, "status", "--json"]) == 0, every=0.1, within=60, what="a host without problems")
        floor, json, table = interleaved(
            [[sys.executable, "-c", "pass"], [*command, "status", "--json"], [*command, "status"]], count
        )
    yield row("python -c pass", "ms", floor)
    yield row("ctl status --json", "ms", json, against="python -c pass", floor=floor, target=120.0)
    yield row("ctl status, the table", "ms", table, against="python -c pass", floor=floor, target=250.0)


def interleaved(commands: Sequence[Sequence[str]], count: int) -> list[list[float]]:
    """Run the commands by turns, so that all of them meet the same machine; ms of each."""
    took: list[list[float]] = [[] for _ in commands]
    for _ in range(count):
        for number, command in enumerate(commands):
            begin = time.perf_counter()
            if code(command):
                raise RuntimeError(f"{' '.join(command)} failed")
            took[number].append((time.perf_counter() - begin) * 1e3)
    return took


def code(command: Sequence[str]) -> int:
    """Run to the end; the output goes through a pipe, as it would for a script."""
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False).returncode
