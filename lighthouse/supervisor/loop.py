"""The loop: one thread, one selector, and the order in which one turn does its work.

Within a turn frames are read before exits are taken, exits before timers, timers before commands: a worker is never judged by
silence that was only unread. Nothing here waits for anybody: not for a worker, not for a client, not for a plugin.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from lighthouse.plan import Plan
from lighthouse.supervisor import control, process, status
from lighthouse.supervisor.actions import Action
from lighthouse.supervisor.archive import Archive
from lighthouse.supervisor.commands import table
from lighthouse.supervisor.compiling import Compiler
from lighthouse.supervisor.core import Core
from lighthouse.supervisor.door import Door
from lighthouse.supervisor.keeper import Keeper
from lighthouse.supervisor.lag import Lag
from lighthouse.supervisor.notify import Notifier
from lighthouse.supervisor.place import Place
from lighthouse.supervisor.pool import Pool
from lighthouse.supervisor.saving import Saver
from lighthouse.supervisor.sources import REST, Sources
from lighthouse.version import __version__

LONGEST_REST = 1.0  # seconds in the selector at most, so that a stall of this process is noticed as such

log = logging.getLogger("lighthouse.supervisor")


class Supervisor:
    """Turns, and has each part do its work in time; decides nothing itself."""

    def __init__(self, place: Place, main: process.WorkerMain, core: Core, keeper: Keeper, notifier: Notifier) -> None:
        self.place = place
        self.core = core
        self._notifier = notifier
        self._sources = Sources()
        self.pool = Pool(partial(process.fork, main, owner=self), place, core, self._sources)
        self._saver = Saver(keeper, core)
        self._archive = Archive(place.archive, core.store, self._sources)
        self.compiler = Compiler(main, place, core, self._sources, adopt=self._adopt, done=self._compiled)
        self._started = time.time()
        self._born = time.monotonic()
        self._longest_rest = min(LONGEST_REST, notifier.watchdog / 4) if notifier.watchdog else LONGEST_REST
        self._lag = Lag()
        self._woke = time.monotonic()
        self._reload_target: int | None = 1

    # The turn

    def run(self, listener: socket.socket, signals: socket.socket) -> int:
        """Turn until told to end; returns the exit code. `signals` is where the signal handlers' wake-up bytes arrive."""
        process.become_subreaper()
        door = Door(listener, control.ControlServer(table(self), frozenset({0, os.getuid()})), self._sources)
        self._sources.add(signals, REST, partial(self._signalled, signals))
        while not self.pool.finished:
            self._turn(door)
        self.compiler.close()
        self._saver.save(everything=True)
        self._archive.close(self)
        door.close()
        return 0

    def _turn(self, door: Door) -> None:
        self.pool.flush()
        began = time.monotonic()
        planned = began + self._patience(door)
        first, rest = self._sources.wait(max(0.0, planned - began))
        now = time.monotonic()
        self._pardon(began - self._woke + max(0.0, now - planned), now)
        self._woke = now
        for call in first:
            call()
        # By the clock of before the reading: what has arrived since is unread, and nobody is judged by that.
        self.pool.perform(self.core.tick(now))
        for call in rest:
            call()
        self.compiler.turn(now, self)
        self._saver.save()
        self._archive.turn(now, self)
        door.turn(now)
        process.reap_strangers(self._children())
        self._notifier.alive()
        if self._reload_target is None:
            self._notifier.status(status.summary(self.core))

    def _children(self) -> set[int]:
        """The processes whose ends are told by a pidfd."""
        return self.pool.pids | {child.pid for child in (self.compiler.child, self._archive.child) if child}

    def _patience(self, door: Door) -> float:
        now = time.monotonic()
        deadlines = (
            self.core.next_deadline(now),
            door.deaf_until,
            self.compiler.next_deadline(),
            self._saver.due(now),
            self._archive.due(now),
        )
        times = [now + self._longest_rest, *(when for when in deadlines if when is not None)]
        return max(0.0, min(times) - now)

    def _pardon(self, late: float, now: float) -> None:
        """If this process itself was stopped or starved, nobody else is judged for that time."""
        self._lag.note(max(0.0, late), now)
        if late > self.core.settings.heartbeat.interval / 2:
            log.warning("the supervisor was held up for %.2f s; nobody is judged for that time", late)
            self.core.lives.forgive(late)
            self.compiler.state.started += late

    def obey(self, actions: list[Action]) -> None:
        """Do what an operator ordered: it is on disk before anybody is told, the operator included."""
        self._saver.save(everything=True)
        self.pool.perform(actions)

    # The configuration

    def reload(self) -> int:
        """Read the configuration anew; returns the number of compilations after which that is done."""
        self._notifier.reloading()
        self._reload_target = self.compiler.request(force=True)
        return self._reload_target

    def _adopt(self, plan: Plan, blobs: Mapping[str, bytes]) -> None:
        before = self.core.plan.settings
        for name in ("runtime_dir", "log_dir", "state_dir"):
            if before and before[name] != plan.settings[name]:
                log.warning("lighthouse.yaml: a changed %s takes effect at the next start", name)
        self.pool.perform(self.core.adopt(plan, blobs, time.monotonic()))

    def _compiled(self) -> None:
        if self._reload_target is not None and self.compiler.state.completed >= self._reload_target:
            self._reload_target = None
            self._notifier.ready()

    # Everything else

    def _signalled(self, signals: socket.socket, _mask: int) -> None:
        try:
            numbers = signals.recv(4096)
        except BlockingIOError:
            return
        for number in numbers:
            if number in (signal.SIGTERM, signal.SIGINT):
                log.info("%s: stopping%s", signal.Signals(number).name, ", hurriedly" if self.core.stopping else "")
                self.shut_down()
            elif number == signal.SIGHUP and not self.core.stopping:
                log.info("SIGHUP: reading the configuration anew")
                self.reload()

    def shut_down(self) -> None:
        """Stop every worker, in order, then end. Asked again, hurry."""
        self._notifier.stopping()
        self.pool.perform(self.core.shut_down(time.monotonic()))

    def status(self) -> Mapping[str, Any]:
        """The raw status document."""
        now = time.monotonic()
        own = {
            "pid": os.getpid(),
            "version": __version__,
            "started": self._started,
            "uptime": now - self._born,
            "loop_lag": self._lag.worst(now),
            "role": self.place.role,
            "runtime_dir": str(self.place.runtime_dir),
            "state_dir": str(self.place.state_dir),
            "unkept": "; ".join(filter(None, (self._saver.problem, self._archive.problem))) or None,
            "counters": {"unsolicited": self.core.unsolicited, "coalesced": self.pool.coalesced},
        }
        document = status.document(self.core, self.compiler.state, own, status.Clock(now, time.time()))
        document["config"]["error"] = self.compiler.problem
        return document
