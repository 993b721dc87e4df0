"""Running the one-shot configuration worker: the thin side of `compilation`."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from lighthouse.ipc.boot import PLAN_TOPIC, Boot
from lighthouse.ipc.channel import Channel
from lighthouse.ipc.errors import ProtocolError
from lighthouse.ipc.frames import Frame, Kind
from lighthouse.ipc.messages import Condition, Progress, pack, unpack
from lighthouse.plan import FileState, Plan
from lighthouse.supervisor import process
from lighthouse.supervisor.compilation import Compilation
from lighthouse.supervisor.core import Core
from lighthouse.supervisor.place import Place
from lighthouse.supervisor.sources import EXITS, FRAMES, REST, Sources
from lighthouse.supervisor.watch import Watch

WORKER = "config"
MAX_BLOBS = 256 * 1024 * 1024

Adopt = Callable[[Plan, Mapping[str, bytes]], None]

log = logging.getLogger("lighthouse.supervisor")


@dataclass(slots=True)
class Running:
    """A compilation under way: its process, and what it has answered so far."""

    child: process.Child
    channel: Channel
    blobs: dict[str, bytes] = field(default_factory=dict)
    size: int = 0
    dumped: bool = False
    deaf: bool = False


class Compiler:
    """Has the configuration directory read when that is due; calls `adopt` with each plan, and `done` after each reading."""

    def __init__(
        self,
        main: process.WorkerMain,
        place: Place,
        core: Core,
        sources: Sources,
        *,
        adopt: Adopt,
        done: Callable[[], None],
    ) -> None:
        self.state = Compilation()
        self._main = main
        self._place = place
        self._core = core
        self._sources = sources
        self._adopt = adopt
        self._done = done
        self._watch = Watch()
        self._running: Running | None = None

    @property
    def child(self) -> process.Child | None:
        """The process that reads the configuration right now."""
        return self._running.child if self._running else None

    @property
    def problem(self) -> str | None:
        """What is wrong with the reading as a whole."""
        return self.state.error or self._watch.problem

    def request(self, *, force: bool = False) -> int:
        """Have the directory read; returns the number of compilations after which that is done."""
        return self.state.request(time.monotonic(), self._core.settings.config, force=force)

    def next_deadline(self) -> float | None:
        """When it must be looked at next."""
        return None if self._core.stopping else self.state.next_deadline(self._core.settings.config)

    def turn(self, now: float, owner: object) -> None:
        """Start reading when that is due, and push a reading that is past its deadline. `owner` as in `process.fork`."""
        if self._running is not None:
            if self.state.overdue(now, self._core.settings.config):
                self.state.started += self._core.settings.deadlines.dump
                _push(self._running)
        elif self.state.may_start(now) and not self._core.stopping:
            self._start(now, owner)

    def close(self) -> None:
        """End a reading under way."""
        if self._running:
            process.kill(self._running.child)
            process.reap(self._running.child)

    def _look(self) -> None:
        """Be told of changes from before the reading on, so that none falls in between."""
        before = self._watch.problem
        if self._watch.open():
            self._sources.add(self._watch, REST, self._changed)
            self._watch.follow(self._core.plan.watch)
            if before:
                log.info("changes are found at once again")
        elif self._watch.problem != before:
            log.warning("%s", self._watch.problem)

    def _changed(self, _mask: int) -> None:
        if self._watch.drain():
            self.request()

    def _start(self, now: float, owner: object) -> None:
        self._look()
        self.state.memory = self._core.settings.config.memory
        # What was refused may be well by now although no file changed: a plugin was installed, a permission was given.
        self.state.forced |= any(file.state is not FileState.OK for file in self._core.plan.files.values())
        boot = self._boot(forced=self.state.start(now))
        try:
            child = process.fork(self._main, boot, owner)
        except OSError as error:
            self._ended(f"it could not be started: {error}")
            return
        running = self._running = Running(child, Channel(child.sock, boot.generation))
        self._sources.add(running.channel, FRAMES, partial(self._read, running))
        self._sources.add(running.child.pidfd, EXITS, partial(self._exited, running))

    def _boot(self, *, forced: bool) -> Boot:
        place, logs = self._place, self._core.settings.logs
        config = {
            "directory": str(place.config_dir),
            "role": place.role,
            "good": str(place.runtime_dir / "config.good"),
            "poisoned": self.state.poisoned,
            "memory": self.state.memory,
            "fingerprint": "" if forced else self.state.fingerprint,
        }
        return Boot(
            WORKER,
            WORKER,
            self.state.generation,
            pack(config),
            log_path=str(place.log_path(WORKER)),
            log_max_bytes=logs.max_bytes,
            log_backups=logs.backups,
        )

    def _read(self, running: Running, _mask: int) -> None:
        self._hear(running)

    def _hear(self, running: Running) -> bool:
        """Take what one read gives; returns whether more may come."""
        try:
            plan = receive(running, self.state, running.channel.receive())
        except EOFError:
            self._deafen(running)
            return False
        except Exception as error:
            # Whatever it says costs this reading, and never the supervisor.
            log.error("the configuration worker is killed: %s", error, exc_info=not isinstance(error, ProtocolError))
            self._deafen(running)
            process.kill(running.child)
            return False
        if plan is not None:
            self._adopt(plan, running.blobs)
            if self._watch.follow(plan.watch):
                self.request()
        return True

    def _deafen(self, running: Running) -> None:
        """The other end is closed: stop reading at once, or the selector would spin. The end itself is told by the pidfd."""
        if not running.deaf:
            running.deaf = True
            self._sources.remove(running.channel)

    def _exited(self, running: Running, _mask: int) -> None:
        for _ in running.channel.last_words():
            if running.deaf or not self._hear(running):
                break
        self._deafen(running)
        self._sources.remove(running.child.pidfd)
        end = process.reap(running.child)
        running.channel.close()
        self._running = None
        death = None if end.code == 0 else end.how
        self._ended("past its deadline" if running.dumped and death else death)

    def _ended(self, death: str | None) -> None:
        said = self.state.ended(time.monotonic(), self._core.settings.config, death)
        if said:
            log.error("%s", said)
        self._done()


def receive(running: Running, state: Compilation, frames: Iterable[Frame]) -> Plan | None:
    """Take what the worker says; the plan, once it is complete. Raises `ProtocolError`, also for what `frames` raises."""
    plan = None
    for frame in frames:
        if frame.kind is Kind.PROGRESS:
            progress = Progress.read(frame)
            state.progress(progress.path, progress.digest, time.monotonic())
        elif frame.kind is Kind.CONDITION:
            state.failed(Condition.read(frame).degraded or "no reason given")
        elif frame.kind is Kind.SNAPSHOT and frame.topic == PLAN_TOPIC:
            plan = _plan(frame.payload, running.blobs)
            state.answered(plan.fingerprint)
        elif frame.kind is Kind.SNAPSHOT:
            running.blobs[frame.topic] = frame.payload
            running.size += len(frame.payload)
            if running.size > MAX_BLOBS:
                raise ProtocolError(f"the workers' configurations are larger than {MAX_BLOBS} bytes together")
        else:
            raise ProtocolError(f"{frame.kind.name} is not for the configuration worker to say")
    return plan


def _push(running: Running) -> None:
    """It is past its deadline: have it write its stacks, and end it the next time."""
    if running.dumped:
        process.kill(running.child)
    else:
        running.dumped = True
        process.send_signal(running.child, signal.SIGUSR1)


def _plan(payload: bytes, blobs: dict[str, bytes]) -> Plan:
    try:
        plan = Plan.from_mapping(unpack(payload))
    except ValueError as error:
        raise ProtocolError(str(error)) from error
    if missing := plan.workers.keys() - blobs.keys():
        raise ProtocolError(f"the plan lacks the configuration of {', '.join(sorted(missing))}")
    return plan
