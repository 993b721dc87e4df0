"""Remembering what was refused, so that HAProxy is not asked the same at every sync.

Each kind has a store of its own (`Refusals`), because each ends in its own way. All of them end when a file changes that was judged
with ours, or the program that judged: what was wrong may have been put right.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lighthouse.haproxy.document import Document
from lighthouse.haproxy.errors import EndedError, RejectedError, UnfinishedError, UnstartedError
from lighthouse.haproxy.files import Stamp, stamp
from lighthouse.haproxy.ports import key_of
from lighthouse.haproxy.searching import Searching

RETRY = 60.0  # seconds; what is wrong outside the file, a missing certificate or a port in use, may have been put right
DEADLY_RETRY = (
    3600.0  # seconds; the same for what HAProxy accepts and does not start or live with: a try costs connections
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


class Lately:
    """Refusals of one kind, by a key that changes with what was refused. Each ends by itself."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: dict[str, tuple[float, Refusal]] = {}

    def remember(self, key: str, refusal: Refusal, retry: float = RETRY) -> None:
        """Note that this was refused just now, and is not tried again for `retry` seconds."""
        now = self._clock()
        self._known = {key: known for key, known in self._known.items() if known[0] > now}
        self._known[key] = now + retry, refusal

    def get(self, key: str) -> Refusal | None:
        """How this was refused lately, or None if it may be tried."""
        until, refusal = self._known.get(key, (0.0, None))
        return refusal if self._clock() < until else None

    def retry_in(self, key: str) -> float:
        """Seconds until `key` may be tried again."""
        return max(0.0, self._known.get(key, (0.0, None))[0] - self._clock())

    def hasten(self, retry: float) -> None:
        """Let everything be tried again after `retry` seconds at the latest."""
        end = self._clock() + retry
        self._known = {key: (min(until, end), refusal) for key, (until, refusal) in self._known.items()}

    def forget(self, *keys: str) -> None:
        """These work, whatever was thought of them."""
        for key in keys:
            self._known.pop(key, None)

    def clear(self) -> None:
        """Let everything be tried again."""
        self._known.clear()

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __bool__(self) -> bool:
        return bool(self._known)


class Refusals:
    """What was refused lately; `files` are judged together with ours, or judge.

    ``shapes``: what ``haproxy -c`` refuses, in whole or in parts, by `lighthouse.haproxy.document.Document.question`.
    ``loads``: what it accepts and HAProxy did not come to run or live with, by the same, until it is seen to run it.
    ``listeners``: those that may be the cause of that, by `lighthouse.haproxy.ports.key_of`, until it is seen to have them.
    ``undecided``: skeletons about which ``haproxy -c`` came to no judgement.
    ``reloads``: files for which a reload has left what it was to cure.
    ``search``: the one that is not over for what ``haproxy -c`` refuses.
    ``inclusions``: skeletons that the HAProxy of a service was asked in vain to read.
    ``saves``: what runs, and ``haproxy -c`` refuses by now. ``unjudged``: what it cannot judge for the files of HAProxy's owner.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, files: Sequence[str] = ()) -> None:
        self._files = files
        self._seen = self._looked_at()
        self.shapes = Lately(clock)
        self.loads = Lately(clock)
        self.listeners = Lately(clock)
        self.undecided = Lately(clock)
        self.reloads = Lately(clock)
        self.inclusions = Lately(clock)
        self.saves = Lately(clock)
        self.unjudged = Lately(clock)
        self.search = Searching(clock)
        self._all = (
            *(self.shapes, self.loads, self.listeners, self.undecided, self.reloads, self.inclusions),
            *(self.saves, self.unjudged),
        )

    def look(self) -> None:
        """Forget everything if a file has changed since this was asked last, which is before each reconciliation."""
        seen = self._looked_at()
        if seen != self._seen:
            self._seen = seen
            for kind in self._all:
                kind.clear()
            self.search.forget()

    def hasten(self, retry: float) -> None:
        """Let everything be tried again after `retry` seconds at the latest."""
        for kind in self._all:
            kind.hasten(retry)

    def of_shape(self, question: str, *, start: bool = False) -> tuple[Refusal, float] | None:
        """How this was refused, and for how many seconds it stays so; at a `start` only what goes for one."""
        for kind in (self.shapes, self.loads):
            known = kind.get(question)
            if known is not None and (known.final or not start):
                return known, kind.retry_in(question)
        return None

    def runs(self, document: Document) -> None:
        """HAProxy is seen to run this, so it could load it: a reload that seemed to fail may only have taken long."""
        self.loads.forget(*(key for key in self.loads if key.split()[0] == document.skeleton))
        if self.listeners:
            self.listeners.forget(*(key_of(section, document) for section in document.sections))

    def _looked_at(self) -> list[Stamp | None]:
        return [stamp(path) for path in self._files]
