"""The steps of a job that works through plugin calls, and which of them failed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from lighthouse.errors import AnnounceError, LighthouseError
from lighthouse.workers.plugins import why

RETRY = 1.0  # seconds after a step that failed

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its name, the plugin call, what to do with the call's value, and with its error if that is something of its own."""

    name: str
    call: Callable[[], Any]
    done: Callable[[Any], None]
    failed: Callable[[BaseException], None] | None = None


class Failures:
    """The steps that failed and have not succeeded since. Each waits a little before it is tried again; the others do not."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._reasons: dict[str, str] = {}
        self._not_before: dict[str, float] = {}

    @property
    def reasons(self) -> Iterable[str]:
        """Why, for people."""
        return self._reasons.values()

    def first(self, steps: Iterable[Step]) -> Step | None:
        """The first step that has not to wait."""
        now = self._clock()
        return next((step for step in steps if self._not_before.get(step.name, 0.0) <= now), None)

    def when(self, steps: Iterable[Step]) -> float | None:
        """When the first of these steps may be tried; None if there is none."""
        return min((self._not_before.get(step.name, 0.0) for step in steps), default=None)

    def next(self) -> list[float]:
        """When those that wait may be tried again."""
        now = self._clock()
        return [when for when in self._not_before.values() if when > now]

    def failed(self, name: str, error: BaseException) -> None:
        """The step of that name failed. An error that nobody raised on purpose goes to the log, once while it stays the same."""
        reason = why(error)
        cause = (isinstance(error, AnnounceError) and error.__cause__) or error
        if self._reasons.get(name) != reason and not isinstance(cause, LighthouseError):
            log.error("%s failed", name, exc_info=cause)
        self._reasons[name] = reason
        self._not_before[name] = self._clock() + RETRY

    def succeeded(self, name: str) -> None:
        """The step of that name went well."""
        self._reasons.pop(name, None)
        self._not_before.pop(name, None)

    def forget(self) -> None:
        """Try all again; what still fails is found again."""
        self._reasons.clear()
        self._not_before.clear()
