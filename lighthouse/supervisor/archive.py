"""Copies of what must survive a reboot, in the state directory.

That directory lies on a disk, and a disk may make whoever writes to it wait for seconds; the loop waits for nobody. So a process of
its own, forked for it, writes and syncs what has changed. One at a time: while a disk stands still nothing more is asked of it.
"""

from __future__ import annotations

import logging
import socket
import time
from functools import partial
from pathlib import Path

from lighthouse.ipc.boot import Boot
from lighthouse.supervisor import process
from lighthouse.supervisor.keeper import Keeper
from lighthouse.supervisor.sources import EXITS, Sources
from lighthouse.supervisor.store import FRESH, Store

GATHER = 0.5  # seconds between two copies
SELDOM = 60.0  # seconds between two copies of what only tells how fresh the rest is, and between tries after a failure
TOLD = 1000  # bytes of a reason
SLOW = 30.0  # seconds after which a copy that does not end is told of
END = 5.0  # seconds that the last copy may take

log = logging.getLogger("lighthouse.supervisor")


class Archive:
    """Keeps a directory equal to the durable topics of a store. ``path`` is None where the runtime directory is durable enough.

    ``problem`` says why it cannot.
    """

    def __init__(self, path: Path | None, store: Store, sources: Sources) -> None:
        self._keeper = Keeper(path) if path else None
        self._store = store
        self._sources = sources
        self._child: process.Child | None = None
        self._topics: frozenset[str] = frozenset()
        self._started = 0.0
        self._not_before = 0.0
        self._slow = False
        self.problem: str | None = None

    @property
    def child(self) -> process.Child | None:
        """The process that writes right now."""
        return self._child

    def due(self, now: float) -> float | None:
        """When there is something to do, at the latest."""
        if self._keeper is None:
            return None
        if self._child is not None:
            return None if self._slow else self._started + SLOW
        if not self._store.uncopied:
            return None
        return max(self._not_before, self._started + (SELDOM if self._store.uncopied <= {FRESH} else GATHER), now)

    def turn(self, now: float, owner: object) -> None:
        """Start to copy when that is due; `owner` as in `process.fork`."""
        due = self.due(now)
        if due is None or now < due:
            return
        if self._child is not None:
            self._slow = True
            self.problem = f"the state directory takes nothing since {SLOW:.0f} s: is its disk well?"
            log.error("the state directory has not taken what it should keep for %.0f s: is its disk well?", SLOW)
            return
        self._start(now, owner)

    def close(self, owner: object) -> None:
        """Copy the rest, and wait a moment for it: nothing else is to be done any more."""
        end = time.monotonic() + END
        self._wait(end)
        if self._child is None and self._keeper is not None and self._store.uncopied:
            self._start(time.monotonic(), owner)
            self._wait(end)
        if self._child is not None:
            log.error("the state directory did not take the last state in time")
            process.kill(self._child)

    def _wait(self, end: float) -> None:
        while self._child is not None and time.monotonic() < end:
            if process.ended(self._child, max(0.0, end - time.monotonic())):
                self._exited(self._child, 0)

    def _start(self, now: float, owner: object) -> None:
        self._topics, self._store.uncopied = frozenset(self._store.uncopied), set()
        self._started, self._slow = now, False
        try:
            self._child = process.fork(self._copy, Boot("archive", "archive", 0, b""), owner)
        except OSError as error:
            self._failed(f"no process can be started: {error.strerror}")
            return
        self._sources.add(self._child.pidfd, EXITS, partial(self._exited, self._child))

    def _copy(self, _boot: Boot, sock: socket.socket) -> int:
        """The child's whole life; it tells what goes wrong, because no log is open there."""
        if self._keeper is None:
            return 0
        try:
            failed = self._keeper.save(self._topics, self._store.snapshots, sync=True)
            if failed:
                raise next(iter(failed.values()))
        except OSError as error:
            sock.sendall(str(error).encode("utf-8", "backslashreplace")[:TOLD])
            return 1
        return 0

    def _exited(self, child: process.Child, _mask: int) -> None:
        self._sources.remove(child.pidfd)
        end = process.reap(child)
        said = _said(child.sock)
        child.sock.close()
        self._child = None
        if end.code != 0:
            self._failed(said or end.how)
            return
        self.problem = None
        if self._slow:
            log.info("the state directory has taken what it should keep")

    def _failed(self, how: str) -> None:
        self.problem = f"the state directory is not up to date ({how})"
        log.error("the state directory is not up to date (%s): tried again in %.0f s", how, SELDOM)
        self._store.uncopied |= self._topics
        self._not_before = time.monotonic() + SELDOM


def _said(sock: socket.socket) -> str:
    """The last words of a child that has ended."""
    try:
        return sock.recv(TOLD, socket.MSG_DONTWAIT).decode("utf-8", "replace")
    except OSError:
        return ""
