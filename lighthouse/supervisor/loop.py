"""The loop: one thread, one selector, and the order in which one turn does its work.

Within a turn frames are read before exits are taken, exits before timers, timers before commands: a worker is never judged by
silence that was only unread. Nothing here waits for anybody: not for a worker, not for a client, not for a plugin.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from lighthouse.ipc.boot import Boot, handover_topic
from lighthouse.ipc.channel import Channel
from lighthouse.ipc.errors import Overflow, ProtocolError
from lighthouse.plan import FileState, Plan
from lighthouse.supervisor import compiling, control, process, status
from lighthouse.supervisor.actions import Action, DumpStacks, Finish, Fork, Kill, Log, Send
from lighthouse.supervisor.commands import table
from lighthouse.supervisor.compilation import Compilation
from lighthouse.supervisor.core import Core
from lighthouse.supervisor.keeper import Keeper
from lighthouse.supervisor.lag import Lag
from lighthouse.supervisor.notify import Notifier
from lighthouse.supervisor.watch import Watch
from lighthouse.version import __version__

FRAMES, EXITS, REST = range(3)
"""The order within a turn."""
LONGEST_REST = 1.0  # seconds in the selector at most, so that a stall of this process is noticed as such
DEAF_FOR = 1.0  # seconds for which no connection is taken after one could not be for want of descriptors
SAVE_EVERY = 1.0  # seconds between two signs of life in the kept state, and between tries while it cannot be written
SAVE_AT_MOST = 200  # files per turn

log = logging.getLogger("lighthouse.supervisor")


@dataclass(frozen=True, slots=True)
class Place:
    """Where everything is: the configuration, the runtime directory, the log directory, and the role's name."""

    config_dir: Path
    runtime_dir: Path
    log_dir: Path
    role: str

    def log_path(self, worker: str) -> Path:
        """The log file of a worker, or of the ``supervisor``."""
        return self.log_dir / f"{worker.replace('/', '-')}.log"


@dataclass(slots=True)
class Running:
    """A worker's process and the channel to it; ``deaf`` once its end of the channel is closed."""

    child: process.Child
    channel: Channel
    deaf: bool = False


class Supervisor:
    """Owns every process, socket and timer; decides nothing itself."""

    def __init__(self, place: Place, main: process.WorkerMain, core: Core, keeper: Keeper, notifier: Notifier) -> None:
        self.place = place
        self.core = core
        self.compilation = Compilation()
        self._main = main
        self._keeper = keeper
        self._notifier = notifier
        self._running: dict[str, Running] = {}
        self._unflushed: list[Running] = []
        self._compiler: compiling.Running | None = None
        self._selector = selectors.DefaultSelector()
        self._watch = Watch()
        self._server = control.ControlServer(table(self), frozenset({0, os.getuid()}))
        self._started = time.time()
        self._born = time.monotonic()
        self._longest_rest = min(LONGEST_REST, notifier.watchdog / 4) if notifier.watchdog else LONGEST_REST
        self._lag = Lag()
        self._woke = time.monotonic()
        self._listener: socket.socket | None = None
        self._deaf_until: float | None = None
        self._reload_target: int | None = 1
        self._saved = 0.0
        self._save_failed = False
        self._finished = False

    # The turn

    def run(self, listener: socket.socket, signals: socket.socket) -> int:
        """Turn until told to end; returns the exit code. `signals` is where the signal handlers' wake-up bytes arrive."""
        process.become_subreaper()
        self._listener = listener
        self._register(listener, REST, self._accept)
        self._register(signals, REST, partial(self._signalled, signals))
        if self._watch.problem is None:
            self._register(self._watch, REST, self._changed)
        else:
            log.warning("%s", self._watch.problem)
        while not self._finished:
            self._turn()
        if self._compiler:
            process.kill(self._compiler.child)
            process.reap(self._compiler.child)
        self._save(everything=True)
        for client in list(self._server.clients.values()):
            self._server.drop(client)
        return 0

    def _turn(self) -> None:
        while self._unflushed:
            self._flush(self._unflushed.pop())
        began = time.monotonic()
        planned = began + self._patience()
        events = self._selector.select(max(0.0, planned - began))
        now = time.monotonic()
        self._pardon(began - self._woke + max(0.0, now - planned), now)
        self._woke = now
        events.sort(key=lambda event: event[0].data[0])
        first = [event for event in events if event[0].data[0] < REST]
        for key, mask in first:
            key.data[1](mask)
        # By the clock of before the reading: what has arrived since is unread, and nobody is judged by that.
        self._do(self.core.tick(now))
        for key, mask in events[len(first) :]:
            key.data[1](mask)
        if self._deaf_until is not None and now >= self._deaf_until and self._listener is not None:
            self._deaf_until = None
            self._register(self._listener, REST, self._accept)
        self._compile(now)
        self._save()
        for client in self._server.expired(now):
            self._drop(client)
        process.reap_strangers(self._children())
        self._notifier.alive()
        if self._reload_target is None:
            self._notifier.status(status.summary(self.core))

    def _children(self) -> set[int]:
        """The processes whose ends are told by a pidfd."""
        own = {running.child.pid for running in self._running.values()}
        return own | {self._compiler.child.pid} if self._compiler else own

    def _patience(self) -> float:
        now = time.monotonic()
        times = [now + self._longest_rest, self.core.next_deadline(), self._deaf_until]
        if not self.core.stopping:
            times.append(self.compilation.next_deadline(self.core.settings.config))
        if self.core.store.dirty:
            times.append(self._saved + SAVE_EVERY if self._save_failed else now)
        return max(0.0, min(when for when in times if when is not None) - now)

    def _pardon(self, late: float, now: float) -> None:
        """If this process itself was stopped or starved, nobody else is judged for that time."""
        self._lag.note(max(0.0, late), now)
        if late > self.core.settings.heartbeat.interval / 2:
            log.warning("the supervisor was held up for %.2f s; nobody is judged for that time", late)
            self.core.forgive(late)
            self.compilation.started += late

    def _register(self, source: Any, order: int, function: Callable[[int], None]) -> None:
        self._selector.register(source, selectors.EVENT_READ, (order, function))

    # Doing what the core decides

    def _do(self, actions: list[Action]) -> None:
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
                    self._finished = True

    def _fork(self, name: str) -> None:
        worker, settings = self.core.workers[name], self.core.settings
        boot = Boot(
            id=name,
            kind=worker.spec.kind,
            generation=self.core.next_generation(name),
            config=worker.blob,
            kept=self.core.store.birthright(self.core.plan, worker.spec),
            handover=self.core.store.snapshots.get(handover_topic(name), b""),
            heartbeat=settings.heartbeat.interval,
            call_deadline=settings.deadlines.call,
            log_path=str(self.place.log_path(name)),
            log_max_bytes=settings.logs.max_bytes,
            log_backups=settings.logs.backups,
        )
        try:
            child = process.fork(self._main, boot, self)
        except OSError as error:
            self._do(self.core.fork_failed(name, str(error), time.monotonic()))
            return
        running = self._running[name] = Running(child, Channel(child.sock, boot.generation))
        self._register(running.channel, FRAMES, partial(self._read, name, running))
        self._register(child.pidfd, EXITS, partial(self._exited, name, running))
        self.core.forked(name, child.pid, time.monotonic())

    def _send(self, name: str, frame: Any) -> None:
        running = self._running[name]
        try:
            running.channel.send(frame)
        except Overflow as error:
            self._do(self.core.violation(name, str(error), time.monotonic()))
        self._unflushed.append(running)

    def dump_stacks(self, name: str) -> None:
        """Ask a worker for its stacks. One that is stopped or has not set itself up yet cannot give them."""
        worker = self.core.workers[name]
        if worker.greeted and name in self._running:
            process.send_signal(self._running[name].child, signal.SIGUSR1)

    # Workers

    def _read(self, name: str, running: Running, mask: int) -> None:
        if mask & selectors.EVENT_READ:
            self._take(name, running)
        if mask & selectors.EVENT_WRITE:
            self._flush(running)

    def _take(self, name: str, running: Running) -> bool:
        """Take what one read gives; returns whether more may come."""
        try:
            for frame in running.channel.receive():
                self._do(self.core.frame(name, frame, time.monotonic()))
        except EOFError:
            self._deafen(running)
            return False
        except Exception as error:
            # Whatever a worker says must cost that worker, and never the supervisor.
            if not isinstance(error, ProtocolError):
                log.exception("bug in reading what %s said", name)
            self._deafen(running)
            self._do(self.core.violation(name, f"protocol error: {error}", time.monotonic()))
            return False
        return True

    def _deafen(self, running: Running | compiling.Running) -> None:
        """The other end is closed: unregister at once, or the selector would spin. The end itself is told by the pidfd."""
        if not running.deaf:
            running.deaf = True
            self._selector.unregister(running.channel)

    def _flush(self, running: Running) -> None:
        if running.deaf:
            return
        try:
            running.channel.flush()
        except OSError:
            self._deafen(running)
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if running.channel.wants_write else 0)
        key = self._selector.get_key(running.channel)
        if key.events != events:
            self._selector.modify(running.channel, events, key.data)

    def _exited(self, name: str, running: Running, _mask: int) -> None:
        for _ in running.channel.last_words():
            if running.deaf or not self._take(name, running):
                break
        self._deafen(running)
        self._selector.unregister(running.child.pidfd)
        end = process.reap(running.child)
        running.channel.close()
        del self._running[name]
        self._do(self.core.exited(name, end.how, end.code, time.monotonic()))

    # The configuration

    def _changed(self, _mask: int) -> None:
        if self._watch.drain():
            self.compilation.request(time.monotonic(), self.core.settings.config)

    def reload(self) -> int:
        """Read the configuration anew; returns the number of compilations after which that is done."""
        self._notifier.reloading()
        self._reload_target = self.compilation.request(time.monotonic(), self.core.settings.config, force=True)
        return self._reload_target

    def _compile(self, now: float) -> None:
        """See to the configuration: start reading it when that is due, and push a reading that is past its deadline."""
        rules = self.core.settings.config
        if self._compiler is not None:
            if self.compilation.overdue(now, rules):
                self.compilation.started += self.core.settings.deadlines.dump
                compiling.push(self._compiler)
        elif self.compilation.may_start(now) and not self.core.stopping:
            self._start_compiler(now)

    def _start_compiler(self, now: float) -> None:
        settings, place = self.core.settings, self.place
        self.compilation.memory = settings.config.memory
        # What was refused may be well by now although no file changed: a plugin was installed, a permission was given.
        self.compilation.forced |= any(file.state is not FileState.OK for file in self.core.plan.files.values())
        boot = Boot(
            compiling.WORKER,
            compiling.WORKER,
            0,
            b"",
            log_path=str(place.log_path(compiling.WORKER)),
            log_max_bytes=settings.logs.max_bytes,
            log_backups=settings.logs.backups,
        )
        order = compiling.Order(place.config_dir, place.role, place.runtime_dir / "config.good")
        try:
            running = compiling.start(self._main, order, self.compilation, boot, now=now, owner=self)
        except OSError as error:
            self._compiled(f"it could not be started: {error}")
            return
        self._compiler = running
        self._register(running.channel, FRAMES, partial(self._read_compiler, running))
        self._register(running.child.pidfd, EXITS, partial(self._compiler_ended, running))

    def _read_compiler(self, running: compiling.Running, _mask: int) -> None:
        self._hear_compiler(running)

    def _hear_compiler(self, running: compiling.Running) -> bool:
        try:
            plan = compiling.receive(running, self.compilation, running.channel.receive())
        except EOFError:
            self._deafen(running)
            return False
        except Exception as error:  # as in `_take`
            log.error("the configuration worker is killed: %s", error, exc_info=not isinstance(error, ProtocolError))
            self._deafen(running)
            process.kill(running.child)
            return False
        if plan is not None:
            self._warn_of_directories(plan)
            self._do(self.core.adopt(plan, running.blobs, time.monotonic()))
            if self._watch.follow(plan.watch):
                self.compilation.request(time.monotonic(), self.core.settings.config)
        return True

    def _warn_of_directories(self, plan: Plan) -> None:
        """These two settings were followed at the start, if at all."""
        before = self.core.plan.settings
        for name in ("runtime_dir", "log_dir"):
            if before and before[name] != plan.settings[name]:
                log.warning("lighthouse.yaml: a changed %s takes effect at the next start", name)

    def _compiler_ended(self, running: compiling.Running, _mask: int) -> None:
        for _ in running.channel.last_words():
            if running.deaf or not self._hear_compiler(running):
                break
        self._deafen(running)
        self._selector.unregister(running.child.pidfd)
        end = process.reap(running.child)
        running.channel.close()
        self._compiler = None
        death = None if end.code == 0 else end.how
        self._compiled("past its deadline" if running.dumped and death else death)

    def _compiled(self, death: str | None) -> None:
        said = self.compilation.ended(time.monotonic(), self.core.settings.config, death)
        if said:
            log.error("%s", said)
        if self._reload_target is not None and self.compilation.completed >= self._reload_target:
            self._reload_target = None
            self._notifier.ready()

    # Everything else

    def _save(self, *, everything: bool = False) -> None:
        """Keep the state on disk, before anybody is told of it: a successor must never know less than the workers did."""
        now, dirty = time.monotonic(), self.core.store.dirty
        pulse = everything or now - self._saved >= SAVE_EVERY
        if self._save_failed and not pulse:
            return
        due = dirty if everything else set(islice(dirty, SAVE_AT_MOST))
        try:
            if pulse:
                self._saved = now
                self._keeper.touch()
            self._keeper.save(due, self.core.store.snapshots)
        except OSError as error:
            if not self._save_failed:
                log.error("the state cannot be kept: %s; a restart now would begin without it", error)
            self._save_failed = True
            self._saved = now
            return
        if self._save_failed:
            log.info("the state is kept again")
        self._save_failed = False
        self.core.store.dirty = dirty - due

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
        self._do(self.core.shut_down(time.monotonic()))

    def perform(self, actions: list[Action]) -> None:
        """Do what a command decided."""
        self._do(actions)

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
            "counters": {
                "unsolicited": self.core.unsolicited,
                "coalesced": sum(running.channel.coalesced for running in self._running.values()),
            },
        }
        document = status.document(self.core, self.compilation, own, status.Clock(now, time.time()))
        document["config"]["error"] = document["config"]["error"] or self._watch.problem
        return document

    def _accept(self, _mask: int) -> None:
        if self._listener is None:
            return
        for _ in range(control.MAX_CLIENTS):
            try:
                client = self._server.accept(self._listener, time.monotonic())
            except OSError as error:
                # Descriptors are short: whoever waits goes on waiting, and this loop does not spin meanwhile.
                log.error("control: no connection can be taken: %s", error.strerror)
                self._selector.unregister(self._listener)
                self._deaf_until = time.monotonic() + DEAF_FOR
                return
            if client is None:
                return
            self._register(client, REST, partial(self._serve, client))
            if crowded := self._server.crowded():
                self._drop(crowded)

    def _serve(self, client: control.Client, mask: int) -> None:
        if client.sock.fileno() < 0:
            return  # dropped earlier in this turn
        serve = self._server.readable if mask & selectors.EVENT_READ else self._server.writable
        if not serve(client):
            self._drop(client)
            return
        # While a reply or another request waits nothing more is read from this client, so that it cannot pile up either.
        events = selectors.EVENT_WRITE if client.has_more else selectors.EVENT_READ
        self._selector.modify(client, events, (REST, partial(self._serve, client)))

    def _drop(self, client: control.Client) -> None:
        self._selector.unregister(client)
        self._server.drop(client)
