"""Noticing at once that HAProxy has ended, instead of at the next comparison."""

from __future__ import annotations

import os
import select
import weakref
from collections.abc import Collection


class Ended:
    """One descriptor that is readable when one of a few processes has ended."""

    def __init__(self) -> None:
        self._epoll: select.epoll | None = None
        self._watched: dict[int, int] = {}  # a descriptor of the process by its id
        self._gone: set[int] = set()
        weakref.finalize(self, _close, self._watched)

    def watch(self, pids: Collection[int]) -> None:
        """Watch these processes and no others.

        One that has ended and is named all the same stands for some other process: HAProxy runs in a container of its own.
        """
        epoll = self._epoll = self._epoll or select.epoll()
        over = {descriptor for descriptor, _ in epoll.poll(0)}
        self._gone = {pid for pid in pids if pid in self._gone or self._watched.get(pid) in over}
        wanted = set(pids) - self._gone
        for pid in self._watched.keys() - wanted:
            os.close(self._watched.pop(pid))
        for pid in wanted - self._watched.keys():
            try:
                descriptor = os.pidfd_open(pid)
            except OSError:  # it is gone, or not to be seen from here: then the next comparison finds out
                continue
            self._watched[pid] = descriptor
            epoll.register(descriptor, select.EPOLLIN)

    def fileno(self) -> int | None:
        """The descriptor, or None while nothing is watched."""
        return self._epoll.fileno() if self._epoll and self._watched else None


def _close(watched: dict[int, int]) -> None:
    for descriptor in watched.values():
        os.close(descriptor)
