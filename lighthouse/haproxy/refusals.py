"""Remembering what HAProxy refused, so that it is not asked the same at every sync."""

from __future__ import annotations

import time
from collections.abc import Callable

RETRY = 60.0  # seconds; what is wrong outside the file, a missing certificate or a port in use, may have been put right


class Refusals:
    """The last refused skeleton and why."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._skeleton = ""
        self._reason = ""
        self._until = 0.0

    def remember(self, skeleton: str, reason: str) -> None:
        """Note that this skeleton was refused just now."""
        self._skeleton, self._reason, self._until = skeleton, reason, self._clock() + RETRY

    def forget(self) -> None:
        """Something else worked; ask again next time."""
        self._skeleton = ""

    def reason(self, skeleton: str) -> str | None:
        """Why this skeleton was refused lately, or None if it may be tried."""
        return self._reason if self._skeleton == skeleton and self._clock() < self._until else None
