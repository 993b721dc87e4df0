"""One deadline shared by the steps of a task."""

from __future__ import annotations

import time

CALL = 8.0  # seconds; the default of `deadlines.call`


class Deadline:
    """Counts down from ``seconds``; every step asks how much of its own limit is left within it.

    The limits of steps are shares of the time that a ``call`` of a plugin may take, so that who raises it raises them all.
    """

    def __init__(self, seconds: float, call: float = CALL) -> None:
        self.call = call
        self.cut = False
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def remaining(self) -> float:
        """Seconds left, never below zero."""
        return max(0.0, self._end - time.monotonic())

    def within(self, seconds: float) -> Deadline:
        """A deadline for one step: `seconds` from now, but not later than this one."""
        return Deadline(min(seconds, self.remaining), self.call)

    def share(self, share: float) -> Deadline:
        """A deadline for one step: that share of the call from now, but not later than this one, which is ``cut`` then."""
        step = self.within(share * self.call)
        step.cut = not self.has(share)
        return step

    def has(self, share: float) -> bool:
        """Whether all of that share is left."""
        return self.remaining >= share * self.call

    def __str__(self) -> str:
        return f"{self._seconds:.2g} s of the {self.call:g} s that `deadlines.call` allows"

    def __bool__(self) -> bool:
        return self.remaining > 0
