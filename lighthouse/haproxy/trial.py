"""Whether HAProxy lives with what it was told to run. Until that is known, the last good version is kept to go back to."""

from __future__ import annotations

import time
from collections.abc import Callable

SOON = 5.0  # seconds after which it is known
ENDS = 2  # so many ends within that time are none by chance: a kill by hand is one


class Trial:
    """Counts how often HAProxy ended soon after it was told to run one skeleton."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._skeleton = ""
        self._begun: float | None = None
        self._ends = 0

    def begin(self, skeleton: str) -> None:
        """HAProxy runs this now."""
        if skeleton != self._skeleton:
            self._ends = 0
        self._skeleton, self._begun = skeleton, self._clock()

    def forget(self) -> None:
        """Nothing else can be run."""
        self._begun, self._ends = None, 0

    def is_lost(self, skeleton: str) -> bool:
        """HAProxy has ended. Whether it does so again and again with this skeleton; to ask again counts no second end."""
        if skeleton != self._skeleton:
            return False
        if self._begun is not None:
            self._ends = self._ends + 1 if self._clock() - self._begun < SOON else 0
            self._begun = None
        return self._ends >= ENDS
