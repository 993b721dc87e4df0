"""Questions to the resolver, which may fail, or take longer than a sync may.

Each is asked in a thread, because nothing else ends a question to a resolver that does not answer. What it said once is kept, and
who asks while it is silent goes on with that.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from typing import Generic, TypeVar

from lighthouse.errors import LighthouseError, NodeError
from lighthouse.haproxy.deadline import Deadline
from lighthouse.identity import valid_ip

PATIENCE = 1.0  # seconds that the one who asks waits for the resolver, however many questions there are
REFRESH = 30.0  # seconds until a name is asked for again
RETRY = 5.0  # the same while there was no answer yet, as when a host boots before its network is there

T = TypeVar("T")


class Question(Generic[T]):
    """One question; ``answer`` is the newest, None before there is any. `ask` raises `LighthouseError` where there is none."""

    def __init__(self, ask: Callable[[], T], clock: Callable[[], float] = time.monotonic) -> None:
        self.answer: T | None = None
        self._ask = ask
        self._clock = clock
        self._asked: float | None = None
        self._asking: threading.Thread | None = None

    def begin(self, every: float) -> bool:
        """Ask, unless that is under way still or was begun less than `every` seconds ago. Whether it was begun now."""
        busy = self._asking is not None and self._asking.is_alive()
        if busy or (self._asked is not None and self._clock() - self._asked < every):
            return False
        self._asked = self._clock()
        thread = threading.Thread(target=self._find, name="resolver", daemon=True)
        with suppress(RuntimeError):  # the host has no thread to spare: as if there was no answer
            thread.start()
            self._asking = thread
        return True

    def wait(self, deadline: Deadline) -> None:
        """Wait for the answer to what is asked now."""
        if self._asking is not None:
            self._asking.join(deadline.remaining)

    def _find(self) -> None:
        with suppress(LighthouseError):
            self.answer = self._ask()


def answers_of(name: str) -> list[str]:
    """All that the resolver says of a name, in its order. Raises `LighthouseError` while it says nothing."""
    try:
        return [str(item[4][0]) for item in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as error:
        raise LighthouseError(f"the address of {name} is not known: {error}") from error


def addresses_of(name: str) -> tuple[str, ...]:
    """The addresses of a name, in the order of libc (RFC 6724). Asks the resolver; raises `LighthouseError` while it has none.

    Those of no server are left out: HAProxy takes 0.0.0.0 for the address that the client wanted, and a zone for a mistake.
    """
    usable = tuple(dict.fromkeys(ip for address in answers_of(name) for ip in _usable(address)))
    if not usable:
        raise LighthouseError(f"{name} has no address at which a server could be")
    return usable


def _usable(address: object) -> Iterator[str]:
    with suppress(NodeError):
        ip = ip_address(valid_ip(address))
        if not ip.is_unspecified and not ip.is_multicast:
            yield str(ip)


class Names:
    """The addresses of names. All are asked for side by side, and again from time to time."""

    def __init__(
        self, ask: Callable[[str], tuple[str, ...]] = addresses_of, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._questions: dict[str, Question[tuple[str, ...]]] = {}

    def known(self, names: Iterable[str], deadline: Deadline) -> Mapping[str, tuple[str, ...]]:
        """What was answered last for each of these names; one without an answer is not in it.

        Blocks for names that are new, all together for `PATIENCE` or half of the deadline. What is asked again is answered to a
        later call.
        """
        wanted = dict.fromkeys(names)
        new = [name for name in wanted if name not in self._questions]
        for name in new:
            self._questions[name] = Question(partial(self._ask, name), self._clock)
        for question in (self._questions[name] for name in wanted):
            question.begin(RETRY if question.answer is None else REFRESH)
        waiting = deadline.within(min(PATIENCE, deadline.remaining / 2))
        for name in new:
            self._questions[name].wait(waiting)
        answers = {name: self._questions[name].answer for name in wanted}
        return {name: answer for name, answer in answers.items() if answer}


NAMES = Names()
