"""One deadline shared by the steps of a task."""

from __future__ import annotations

import time


class Deadline:
    """Counts down from ``seconds``; every step asks how much of its own limit is left within it."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def remaining(self) -> float:
        """Seconds left, never below zero."""
        return max(0.0, self._end - time.monotonic())

    def within(self, seconds: float) -> Deadline:
        """A deadline for one step: `seconds` from now, but not later than this one."""
        return Deadline(min(seconds, self.remaining))

    def __bool__(self) -> bool:
        return self.remaining > 0
