"""What is needed of a client, so that another can take its place in a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from lighthouse.zookeeper.messages import Answer, Request
from lighthouse.zookeeper.settings import Settings


class Link(Protocol):
    """A way to ZooKeeper, see `lighthouse.zookeeper.client.Client`. ``timeout``: of the session, as far as is known, in seconds."""

    timeout: float

    @property
    def zxid(self) -> int:
        """The last transaction that was seen; 0 when none is known."""

    def forget_zxid(self) -> None:
        """Connect to a server that knows less than we saw."""

    def move(self, settings: Settings) -> None:
        """These are the servers and the ACL now. The session goes on."""

    def leave(self) -> None:
        """Drop the connection and leave the session as it is. Never waits for longer than a moment."""

    def submit(self, request: Request, done: Callable[[Answer], None]) -> None:
        """Send a request. `done` is called once, from any thread, and must not wait."""
