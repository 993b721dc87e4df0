"""The requests under way: how many there may be, and who gets the answer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from lighthouse.zookeeper.inbox import Inbox
from lighthouse.zookeeper.link import Link
from lighthouse.zookeeper.messages import Answer, Failure, Reply, Request

# Enough to hide the way to the server and back. kazoo wakes its thread by a byte per request through a socket pair: with some 250
# of them unread, sending one more would block.
WINDOW = 64

Taker = Callable[[Answer, float], None]


class Requests:
    """See the module. What was asked of a connection that is gone is forgotten: a late answer tells nobody."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._numbers = 0
        self._pending: dict[int, tuple[Taker, float]] = {}

    def __len__(self) -> int:
        """How many are under way."""
        return len(self._pending)

    @property
    def room(self) -> int:
        """How many more there may be."""
        return WINDOW - len(self._pending)

    @property
    def oldest(self) -> float | None:
        """When the one was sent that has waited longest."""
        return next((since for _, since in self._pending.values()), None)

    def send(self, link: Link, request: Request, taker: Taker, now: float) -> None:
        """Send a request, whose answer goes to `taker` with the time."""
        self._numbers += 1
        self._pending[self._numbers] = (taker, now)
        try:
            link.submit(request, partial(self._done, self._numbers))
        except Exception as error:  # noqa: BLE001 - what the library does not even send must not be waited for
            self._done(self._numbers, Answer(request, Failure.OTHER, text=type(error).__name__))

    def take(self, reply: Reply, now: float) -> None:
        """Give an answer to whoever asked."""
        taker, _ = self._pending.pop(reply.number, (None, 0.0))
        if taker is not None:
            taker(reply.answer, now)

    def lost(self) -> None:
        """The connection is gone."""
        self._pending.clear()

    def _done(self, number: int, answer: Answer) -> None:
        self._inbox.put(Reply(number, answer))
