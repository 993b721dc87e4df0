"""The way from kazoo's thread to the lane: a queue and a descriptor. Nobody ever waits for the other side."""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from contextlib import suppress

from lighthouse.zookeeper.messages import Message


class Inbox:
    """Messages in the order in which ZooKeeper sent them; ``fileno`` becomes readable when there are any."""

    def __init__(self) -> None:
        self._messages: deque[Message] = deque()
        self._lock = (
            threading.Lock()
        )  # of the descriptor: a late message must not meet another file that has its number
        self._fd: int | None = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def fileno(self) -> int | None:
        """The descriptor, None once it is closed."""
        return self._fd

    def put(self, message: Message) -> None:
        """Add a message; from any thread. After the end it is dropped."""
        with self._lock:
            if self._fd is not None:
                if not self._messages:
                    os.eventfd_write(self._fd, 1)
                self._messages.append(message)

    def wake(self) -> None:
        """Make the descriptor readable."""
        with self._lock:
            if self._fd is not None:
                os.eventfd_write(self._fd, 1)

    def drain(self, most: int) -> list[Message]:
        """The oldest messages, so many at most; the descriptor stays readable while there are more."""
        with self._lock:
            if self._fd is None:
                return []
            taken = [self._messages.popleft() for _ in range(min(most, len(self._messages)))]
            if not self._messages:
                with suppress(BlockingIOError):
                    os.eventfd_read(self._fd)
            return taken

    def wait(self, timeout: float) -> bool:
        """Wait until there is a message, `timeout` seconds at most."""
        if self._fd is None:
            return False
        poll = select.poll()  # select(2) takes no descriptor from 1024 on
        poll.register(self._fd, select.POLLIN)
        return bool(poll.poll(max(0.0, timeout) * 1000))

    def close(self) -> None:
        """Drop everything, for ever."""
        with self._lock:
            if self._fd is not None:
                os.close(self._fd)
            self._fd = None
            self._messages.clear()
