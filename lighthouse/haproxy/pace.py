"""When HAProxy may be reloaded: not too often, and not while many old processes linger.

Each reload leaves a process behind that serves its connections to their end. So reloads keep a distance, in which further changes
gather, and there is a budget of old processes. Members join and leave meanwhile all the same, at run time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from lighthouse.haproxy.processes import Processes
from lighthouse.haproxy.running import Running

BUDGET_PAUSE = 5.0  # seconds until the old processes are counted again


@dataclass(frozen=True, slots=True)
class Wait:
    """A reload has to wait for ``seconds``; ``trouble`` says why if that is more than the usual distance."""

    seconds: float
    trouble: str | None = None


class Pace:
    """Remembers the last reload. One made by an earlier process of ours is told by the age of HAProxy's worker."""

    def __init__(self, interval: float, max_old: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = interval
        self._max_old = max_old
        self._clock = clock
        self._last: float | None = None

    def reloaded(self) -> None:
        """HAProxy was started or reloaded, or tried to, just now."""
        self._last = self._clock()

    def wait(self, running: Running, processes: Processes | None) -> Wait | None:
        """What a reload has to wait for; None if it may be now, as the first of one that does not answer."""
        old = processes.old_workers if processes else 0
        if old >= self._max_old:
            return Wait(
                BUDGET_PAUSE,
                f"{old} old HAProxy processes still serve their last connections, and max_old_workers is {self._max_old}: "
                f"the reload waits until one of them ends",
            )
        if self._last is None and not running.pid:
            return None
        age = float(running.uptime) if self._last is None else self._clock() - self._last
        return Wait(self._interval - age) if age < self._interval else None
