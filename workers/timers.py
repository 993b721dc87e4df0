"""What is to be called later, and when."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable, Iterator


class Timers:
    """Functions with the times at which they are due. Of those with the same name only the newest counts."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waiting: list[tuple[float, int, str | None, Callable[[], None]]] = []
        self._named: dict[str, int] = {}
        self._order = itertools.count()

    def after(self, delay: float, function: Callable[[], None], *, name: str | None = None) -> None:
        """Let it be due after `delay` seconds."""
        order = next(self._order)
        if name is not None:
            self._named[name] = order
        heapq.heappush(self._waiting, (self._clock() + delay, order, name, function))

    def cancel(self, name: str) -> None:
        """Undo `after` with that name."""
        self._named[name] = next(self._order)

    def due(self) -> Iterator[Callable[[], None]]:
        """What is due by now, in its order; each may change what comes after it."""
        now = self._clock()
        while self._waiting and self._waiting[0][0] <= now:
            _, order, name, function = heapq.heappop(self._waiting)
            if self._counts(name, order):
                yield function

    def patience(self) -> float | None:
        """Seconds until the first is due; None if there is none."""
        while self._waiting and not self._counts(self._waiting[0][2], self._waiting[0][1]):
            heapq.heappop(self._waiting)  # nobody wakes up for what was superseded
        return max(0.0, self._waiting[0][0] - self._clock()) if self._waiting else None

    def _counts(self, name: str | None, order: int) -> bool:
        return name is None or self._named[name] == order
