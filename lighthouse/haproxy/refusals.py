"""Remembering what HAProxy refused, so that it is not asked the same at every sync.

It is forgotten when a file changes that was judged with it, or the program that judged: what was wrong may have been put right.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lighthouse.haproxy.errors import EndedError, RejectedError, UnfinishedError, UnstartedError

RETRY = 60.0  # seconds; what is wrong outside the file, a missing certificate or a port in use, may have been put right
DEADLY_RETRY = (
    3600.0  # seconds; the same for what HAProxy accepts and does not start or live with: each try costs connections
)
IDLE_RETRY = 5.0  # seconds; the same while nothing else can be started either: then a try ends nothing


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a configuration is refused; ``apart``: the parts that alone are the cause, and why, if the others can go on.

    ``final``: it goes for a start too, at which parts may be left out that a running HAProxy keeps.
    """

    reason: str = ""
    apart: Mapping[str, str] = field(default_factory=dict)
    final: bool = False


def retry_of(error: RejectedError | UnfinishedError) -> float:
    """After how many seconds that is tried again."""
    return DEADLY_RETRY if isinstance(error, EndedError | UnstartedError | UnfinishedError) else RETRY


class Refusals:
    """What was refused lately, by a key that changes with the configuration; `files` are judged together with it, or judge."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, files: Sequence[str] = ()) -> None:
        self._clock = clock
        self._files = files
        self._seen = self._looked_at()
        self._known: dict[str, tuple[float, Refusal]] = {}

    def remember(self, key: str, refusal: Refusal, retry: float = RETRY) -> None:
        """Note that this was refused just now, and is not tried again for `retry` seconds."""
        now = self._clock()
        self._known = {key: known for key, known in self._known.items() if known[0] > now}
        self._known[key] = now + retry, refusal

    def hasten(self, retry: float) -> None:
        """Let everything be tried again after `retry` seconds at the latest."""
        end = self._clock() + retry
        self._known = {key: (min(until, end), refusal) for key, (until, refusal) in self._known.items()}

    def forget(self) -> None:
        """Something else worked; ask again next time."""
        self._known.clear()

    def get(self, key: str) -> Refusal | None:
        """How this was refused lately, or None if it may be tried."""
        self._forget_if_changed()
        until, refusal = self._known.get(key, (0.0, None))
        return refusal if self._clock() < until else None

    def retry_in(self, key: str) -> float:
        """Seconds until `key` may be tried again."""
        return max(0.0, self._known.get(key, (0.0, None))[0] - self._clock())

    def _forget_if_changed(self) -> None:
        seen = self._looked_at()
        if seen != self._seen:
            self._seen = seen
            self._known.clear()

    def _looked_at(self) -> list[tuple[int, ...] | None]:
        return [_state(path) for path in self._files]


def _state(path: str) -> tuple[int, ...] | None:
    """What changes with the content of a file and with who may read it; None if there is none to be seen."""
    try:
        found = os.stat(path)  # noqa: PTH116  paths are text here, as HAProxy gets them
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
