"""The processes of the workers and the channels to them: does what the core decides, and tells it what happens.

Nothing here waits for a worker: what it does not take waits in its channel.
"""

from __future__ import annotations

import logging
import selectors
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from lighthouse.ipc.boot import Boot
from lighthouse.ipc.channel import Channel
from lighthouse.ipc.errors import Overflow, ProtocolError
from lighthouse.supervisor import process
from lighthouse.supervisor.actions import Action, DumpStacks, Finish, Fork, Kill, Log, Send
from lighthouse.supervisor.birth import birth
from lighthouse.supervisor.core import Core
from lighthouse.supervisor.place import Place
from lighthouse.supervisor.sources import EXITS, FRAMES, Sources

log = logging.getLogger("lighthouse.supervisor")


@dataclass(slots=True)
class Running:
    """A worker's process and the channel to it; ``deaf`` once its end of the channel is closed."""

    child: process.Child
    channel: Channel
    deaf: bool = False


class Pool:
    """All that run. `start` makes a worker's process; ``finished`` says that the core wants no more turns."""

    def __init__(self, start: Callable[[Boot], process.Child], place: Place, core: Core, sources: Sources) -> None:
        self.finished = False
        self._start = start
        self._place = place
        self._core = core
        self._sources = sources
        self._running: dict[str, Running] = {}
        self._unflushed: list[Running] = []

    @property
    def pids(self) -> set[int]:
        """The processes."""
        return {running.child.pid for running in self._running.values()}

    @property
    def coalesced(self) -> int:
        """How many snapshots were replaced by newer ones before they left."""
        return sum(running.channel.coalesced for running in self._running.values())

    def flush(self) -> None:
        """Send what was queued, as far as it is taken."""
        while self._unflushed:
            self._flush(self._unflushed.pop())

    def perform(self, actions: list[Action]) -> None:
        """Do this, in order."""
        for action in actions:
            match action:
                case Fork(worker):
                    self._fork(worker)
                case Send(worker, frame):
                    self._send(worker, frame)
                case DumpStacks(worker):
                    self.dump_stacks(worker)
                case Kill(worker):
                    process.kill(self._running[worker].child)
                case Log(level, text):
                    log.log(level, "%s", text)
                case Finish():
                    self.finished = True

    def _fork(self, name: str) -> None:
        boot = birth(self._core, name, self._place)
        try:
            child = self._start(boot)
        except OSError as error:
            self.perform(self._core.lives.fork_failed(name, str(error), time.monotonic()))
            return
        running = self._running[name] = Running(child, Channel(child.sock, boot.generation))
        self._sources.add(running.channel, FRAMES, partial(self._read, name, running))
        self._sources.add(child.pidfd, EXITS, partial(self._exited, name, running))
        self.perform(self._core.lives.forked(name, child.pid, time.monotonic()))

    def _send(self, name: str, frame: Any) -> None:
        running = self._running[name]
        try:
            running.channel.send(frame)
        except Overflow as error:
            self.perform(self._core.lives.violation(name, str(error), time.monotonic()))
        self._unflushed.append(running)

    def dump_stacks(self, name: str) -> None:
        """Ask a worker for its stacks. One that is stopped or has not set itself up yet cannot give them."""
        worker = self._core.workers[name]
        if worker.greeted and name in self._running:
            process.send_signal(self._running[name].child, signal.SIGUSR1)

    def _read(self, name: str, running: Running, mask: int) -> None:
        if mask & selectors.EVENT_READ:
            self._take(name, running)
        if mask & selectors.EVENT_WRITE:
            self._flush(running)

    def _take(self, name: str, running: Running) -> bool:
        """Take what one read gives; returns whether more may come."""
        try:
            for frame in running.channel.receive():
                self.perform(self._core.frame(name, frame, time.monotonic()))
        except EOFError:
            self._deafen(running)
            return False
        except Exception as error:
            # Whatever a worker says must cost that worker, and never the supervisor.
            if not isinstance(error, ProtocolError):
                log.exception("bug in reading what %s said", name)
            self._deafen(running)
            self.perform(self._core.lives.violation(name, f"protocol error: {error}", time.monotonic()))
            return False
        return True

    def _deafen(self, running: Running) -> None:
        """The other end is closed: unregister at once, or the selector would spin. The end itself is told by the pidfd."""
        if not running.deaf:
            running.deaf = True
            self._sources.remove(running.channel)

    def _flush(self, running: Running) -> None:
        if running.deaf:
            return
        try:
            running.channel.flush()
        except OSError:
            self._deafen(running)
            return
        writes = selectors.EVENT_WRITE if running.channel.wants_write else 0
        self._sources.wait_for(running.channel, selectors.EVENT_READ | writes)

    def _exited(self, name: str, running: Running, _mask: int) -> None:
        for _ in running.channel.last_words():
            if running.deaf or not self._take(name, running):
                break
        self._deafen(running)
        self._sources.remove(running.child.pidfd)
        end = process.reap(running.child)
        running.channel.close()
        del self._running[name]
        self.perform(self._core.exited(name, end.how, end.code, time.monotonic()))
