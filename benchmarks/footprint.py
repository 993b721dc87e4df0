"""What a host pays while nothing happens: memory of each checker and of the supervisor, the processor time of all of it, and how
late checks are against their schedule.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from host import SHIPPED, Host, host, spin
from measure import Options, Row, row

from lighthouse.workers.memory import footprint
from support.ports import free_port
from support.site import Web

SIZES = (1, 20, 100)
CHECKED_EVERY = 1.0  # seconds
LOOKS = 10  # at the last results, within a window
MIB = 1024 * 1024
TICK = os.sysconf("SC_CLK_TCK")
TARGET = 4.0  # MiB of USS per checker


@dataclass(frozen=True, slots=True)
class Usage:
    """One host after a time at work.

    USS and PSS of each checker and of the supervisor in bytes, % of one processor, the worst delay of the supervisor's loop in
    seconds, and for a sample of all checks how late the checker was for each, from its slot in the schedule to its result.
    """

    checkers: list[tuple[int, int]]
    supervisor: tuple[int, int]
    processor: float
    lag: float
    late: list[float]


def rows(options: Options) -> Iterator[Row]:
    """For 1, 20 and 100 services of one port, each asked over HTTP every second, with the settings that Lighthouse ships with."""
    for size in SIZES:
        seconds = window(size, options)
        use = usage(size, seconds)
        label = f"{size} service{'s' * (size > 1)} after {seconds:g} s"
        yield row(f"{label}: USS per checker", "MiB", [uss / MIB for uss, _ in use.checkers], target=TARGET)
        yield row(f"{label}: PSS per checker", "MiB", [pss / MIB for _, pss in use.checkers])
        yield row(f"{label}: USS of the supervisor", "MiB", [use.supervisor[0] / MIB])
        yield row(f"{label}: PSS of the supervisor", "MiB", [use.supervisor[1] / MIB])
        if size == SIZES[-1]:
            yield row(f"{label}: processor, all processes", "%", [use.processor])
            yield row(f"{label}: worst delay of the supervisor's loop", "ms", [use.lag * 1e3])
        yield row(f"{label}: lateness of a check against its schedule", "ms", [late * 1e3 for late in use.late])


def window(size: int, options: Options) -> float:
    """How long the workers are at work before they are measured, in seconds."""
    whole = options.seconds or options.pick(600, 25)
    return whole if size == SIZES[-1] else min(whole, options.pick(60, 10))


def usage(size: int, seconds: float) -> Usage:
    """Run one host for that long."""
    with ExitStack() as cleanup:
        here = cleanup.enter_context(host("reporter", SHIPPED))
        web = Web(free_port())
        cleanup.callback(web.stop)
        web.start()
        here.discovery(ttl=15.0)
        for number in range(size):
            here.service(f"service{number:03}", [web.port], interval=CHECKED_EVERY)
        here.stack.start()
        spin(lambda: working(here, size), every=0.2, within=120, what=f"{size} services up")
        begin, spent = time.monotonic(), processor_time(here)
        late: dict[tuple[str, float], float] = {}
        for _ in range(LOOKS):
            time.sleep(seconds / LOOKS)
            late |= lateness(here)
        elapsed, spent = time.monotonic() - begin, processor_time(here) - spent
        checkers = [worker["pid"] for worker in here.stack.status()["workers"] if worker["kind"] == "checker"]
        supervisor = footprint(here.stack.process.pid)
        return Usage(
            [footprint(pid) for pid in checkers],
            supervisor,
            100.0 * spent / elapsed,
            here.stack.status()["supervisor"]["loop_lag"],
            list(late.values()),
        )


def lateness(here: Host) -> dict[tuple[str, float], float]:
    """Of the results that the status tells, by service and moment."""
    return {
        (name, result["at"]): result["late"]
        for name, service in here.stack.status()["services"].items()
        for port in service["ports"].values()
        for check in port["checks"].values()
        for result in check["results"]
    }


def working(here: Host, size: int) -> bool:
    """Whether every service has been found healthy."""
    services = here.stack.status()["services"].values()
    states = [port["state"] for service in services for port in service["ports"].values()]
    return states == ["up"] * size and here.all_up()


def processor_time(here: Host) -> float:
    """Seconds of the supervisor, of its workers, and of those of its children that have ended."""
    workers = [worker["pid"] for worker in here.stack.status()["workers"] if worker["pid"]]
    return sum(map(spent_by, [here.stack.process.pid, *workers])) / TICK


def spent_by(pid: int) -> int:
    """utime, stime, cutime and cstime of a process, in clock ticks; see proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15]))
