"""Looking up the addresses of hosts that records give by name only, as SmartStack's may.

A look-up may take as long as the resolver likes, so a thread does it, one name after another, which is started when the first such
record comes. What it found counts until the next look-up; one that fails leaves the last address in force.
"""

from __future__ import annotations

import _thread
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue

REFRESH = 60.0  # seconds after which a name is looked up again
PATIENCE = 5.0  # seconds for which a name that was never looked up holds its cluster back
MAX_NAMES = 10000


@dataclass(frozen=True, slots=True)
class Pending:
    """It is being looked up for the first time."""


@dataclass(frozen=True, slots=True)
class Known:
    """An address, or None and why there is none."""

    ip: str | None
    problem: str = ""


Address = Pending | Known


@dataclass(slots=True)
class _Name:
    asked: float
    due: float
    found: Known | None = None


class Names:
    """The names that were asked for. `wake` is called, from the thread, when there is something for `take`."""

    def __init__(
        self,
        wake: Callable[[], None],
        now: Callable[[], float] = time.monotonic,
        resolve: Callable[[str], str] = socket.gethostbyname,
    ) -> None:
        self._wake = wake
        self._now = now
        self._resolve = resolve
        self._names: dict[str, _Name] = {}
        self._orders: SimpleQueue[str | None] | None = None
        self._answers: SimpleQueue[tuple[str, Known]] = SimpleQueue()

    def __call__(self, host: str) -> Address:
        """The address of a host, as far as is known; the look-up is ordered. Never blocks."""
        now = self._now()
        name = self._names.get(host)
        if name is None:
            if len(self._names) >= MAX_NAMES:
                self._names = {host: name for host, name in self._names.items() if name.due > now - REFRESH}
            if len(self._names) >= MAX_NAMES:
                return Known(None, f"there are more than {MAX_NAMES} names")
            name = self._names[host] = _Name(now, 0.0)
        if now >= name.due:
            name.due = now + REFRESH
            self._order(host)
        if name.found is not None:
            return name.found
        return Pending() if now - name.asked < PATIENCE else Known(None, "the resolver does not answer")

    @property
    def used(self) -> bool:
        """Whether any name was asked for: then whoever did should ask again from time to time."""
        return bool(self._names)

    def take(self) -> bool:
        """Take over what the thread found; whether anything changed."""
        changed = False
        while not self._answers.empty():
            host, found = self._answers.get()
            name = self._names.get(host)
            if name is None:
                continue
            if found.ip is None and name.found is not None and name.found.ip is not None:
                continue
            changed = changed or found != name.found
            name.found = found
        return changed

    def close(self) -> None:
        """Let the thread end; the next look-up starts another."""
        if self._orders is not None:
            self._orders.put(None)
            self._orders = None

    def _order(self, host: str) -> None:
        if self._orders is None:
            self._orders = SimpleQueue()
            _thread.start_new_thread(self._work, (self._orders,))
        self._orders.put(host)

    def _work(self, orders: SimpleQueue[str | None]) -> None:
        while (host := orders.get()) is not None:
            try:
                found = Known(self._resolve(host))
            except (OSError, UnicodeError) as error:
                number = error.errno if isinstance(error, OSError) else None
                found = Known(None, os.strerror(number) if number and number > 0 else str(error))
            self._answers.put((host, found))
            self._wake()
