"""The main loop that every long-lived worker shares.

It reads what the supervisor sends, sends heartbeats, keeps timers and delivers outcomes of plugin calls to the worker's job. It is
the only sender of heartbeats: if it stops turning, the supervisor learns of it by the silence.
"""

from __future__ import annotations

import logging
import os
import selectors
import time
from collections.abc import Callable
from functools import partial
from math import inf
from typing import Any, Protocol

from lighthouse.exact import same
from lighthouse.ipc.boot import CONFIG_TOPIC, EXIT_BUG, EXIT_CONFIG, Boot, handover_topic, report_topic
from lighthouse.ipc.channel import Channel
from lighthouse.ipc.errors import ProtocolError
from lighthouse.ipc.frames import MAX_SNAPSHOT, Frame, Kind
from lighthouse.ipc.messages import Condition, Heartbeat, Hello, Message, Ready, Stop, unpack
from lighthouse.log.rotation import LogFile
from lighthouse.log.setup import configure
from lighthouse.workers.lanes import Done, Lanes
from lighthouse.workers.memory import footprint
from lighthouse.workers.timers import Timers

MAX_REASON = 4000  # characters of a reason that is sent
MEMORY_EVERY = 10.0  # seconds between two measurements of the own memory, which cost 0.15 ms each

log = logging.getLogger(__name__)


class Job(Protocol):
    """What a kind of worker does. All methods run on the main loop and must not block; plugin code goes to a lane."""

    def configure(self, config: dict[str, Any]) -> None:
        """Take over a configuration: the first, or a changed one."""

    def receive(self, topic: str, payload: bytes) -> None:
        """Take over a newer snapshot."""

    def stop(self) -> None:
        """Finish what must not be left half done; the runtime exits once all lanes are idle."""


class Runtime:
    """One worker's main loop; see the module.

    Once the worker is to stop, ``withdraw`` says that what is to be withdrawn is to be gone before the end, and ``until`` when this
    process is killed (CLOCK_MONOTONIC). ``fresh`` is when the job last had a complete answer from its source (CLOCK_MONOTONIC).
    ``on_wake`` is called after each `Lanes.wake`, by which a plugin's own threads reach the job.
    """

    def __init__(self, boot: Boot, channel: Channel, log_file: LogFile | None = None) -> None:
        self.boot = boot
        self.lanes = Lanes()
        self.fresh = 0.0
        self.withdraw = False
        self.until = inf
        self.on_wake: Callable[[], None] = lambda: None
        self._channel = channel
        self._log_file = log_file
        self._selector = selectors.DefaultSelector()
        self._events = selectors.EVENT_READ
        self._timers = Timers()
        self._condition = Condition()
        self._ready = False
        self._logging: dict[str, Any] | None = None
        self._exit: int | None = None
        self._stopping = False
        self._memory = (0, 0)
        self._measured = 0.0

    # What a job may do

    def call(
        self, name: str, function: Callable[[], Any], done: Done, *, lane: str = "plugin", allowed: float | None = None
    ) -> None:
        """Make a plugin call on a lane; `allowed` seconds, or the configured deadline."""
        self.lanes[lane].call(name, function, allowed=allowed or self.boot.call_deadline, done=done)

    def after(self, delay: float, function: Callable[[], None], *, name: str | None = None) -> None:
        """Call `function` on the main loop after `delay` seconds; of those with a name only the newest is called."""
        self._timers.after(delay, function, name=name)

    def cancel(self, name: str) -> None:
        """Undo `after` with that name."""
        self._timers.cancel(name)

    def watch(self, fd: int, function: Callable[[], None]) -> None:
        """Call `function` whenever `fd` is readable, until `unwatch`."""
        self._selector.register(fd, selectors.EVENT_READ, function)

    def unwatch(self, fd: int) -> None:
        """Undo `watch`; a descriptor that is not watched is left alone."""
        if fd in self._selector.get_map():
            self._selector.unregister(fd)

    def publish(self, topic: str, payload: bytes) -> None:
        """Send the newest state of a topic; an older one that still waits is dropped. One that is too large is not sent."""
        if len(payload) > MAX_SNAPSHOT:
            log.error("%s of %d bytes is larger than %d and is not told", topic, len(payload), MAX_SNAPSHOT)
            return
        self._channel.send(Frame(Kind.SNAPSHOT, payload, topic))

    def report(self, packed: bytes) -> None:
        """Tell packed data for `ctl status`. What a plugin reports is packed on its lane, where it may fail."""
        self.publish(report_topic(self.boot.id), packed)

    def hand_over(self, secret: bytes) -> None:
        """Leave something for the own next generation. It is on its way at once: what is done next may count on it."""
        self.publish(handover_topic(self.boot.id), secret)
        self._flush()

    def ready(self) -> None:
        """Say, once, that the job has caught up."""
        if not self._ready:
            self._ready = True
            self._send(Ready())

    def condition(self, degraded: str | None, *, whole: bool = False) -> None:
        """Say what keeps the job from being done, or that nothing does; `whole`: its source answers in full all the same."""
        condition, before = Condition(degraded and degraded[:MAX_REASON], whole=whole), self._condition
        if condition == before:
            return
        self._condition = condition
        self._send(condition)
        if condition.degraded != before.degraded:
            if condition.degraded:
                log.warning("degraded: %s", condition.degraded)
            else:
                log.info("no longer degraded")

    def give_up(self, reason: str) -> None:
        """End this worker: only a changed configuration can help."""
        log.error("giving up until the configuration changes: %s", reason)
        self._send(Condition(reason[:MAX_REASON], fatal=True))
        self._exit = EXIT_CONFIG

    def leave(self, code: int) -> None:
        """End this worker so that a fresh one takes its place."""
        self._exit = code

    # The loop

    def run(self, job: Job) -> int:
        """Turn until the end; returns the exit code."""
        self._selector.register(self._channel, self._events)
        self._selector.register(self.lanes, selectors.EVENT_READ)
        self._send(Hello(os.getpid()))
        self._beat()
        config = unpack(self.boot.config)
        self._logging = config.get("logging")
        self._guard(partial(job.configure, config))
        while self._exit is None:
            self._turn(job)
        self._drain()
        return self._exit

    def close(self) -> None:
        """Give every descriptor back."""
        self._selector.close()
        self.lanes.close()
        self._channel.close()

    def _turn(self, job: Job) -> None:
        self._flush()
        patience = self._timers.patience()
        self.lanes.start()
        for key, _ in self._selector.select(patience):
            if key.fileobj is self._channel:
                self._read(job)
            elif key.fileobj is self.lanes:
                self._guard(self.lanes.deliver)
                self._guard(self.on_wake)
            else:
                self._guard(key.data)
        for function in self._timers.due():
            self._guard(function)
        if self._stopping and self.lanes.idle and self._exit is None:
            self._exit = 0

    def _guard(self, function: Callable[[], None]) -> None:
        """Run a piece of the job. A bug in it ends the worker: a fresh one from the kept state is safer than a wounded one."""
        try:
            function()
        except Exception:
            log.exception("bug in worker %s", self.boot.id)
            self._exit = EXIT_BUG

    def _read(self, job: Job) -> None:
        try:
            for frame in self._channel.receive():
                if frame.kind is Kind.STOP:
                    stop = Stop.read(frame)
                    self._stopping, self.withdraw = True, stop.withdraw
                    self.until = time.monotonic() + stop.within
                    self._guard(job.stop)
                elif frame.kind is Kind.SNAPSHOT and frame.topic == CONFIG_TOPIC:
                    self._configure(job, unpack(frame.payload))
                elif frame.kind is Kind.SNAPSHOT:
                    self._guard(partial(job.receive, frame.topic, frame.payload))
        except EOFError:
            os._exit(0)  # the supervisor is gone: its successor will fork another
        except ProtocolError as error:
            log.error("the supervisor sent an illegal frame: %s", error)
            self._exit = EXIT_BUG

    def _configure(self, job: Job, config: dict[str, Any]) -> None:
        logging_config = config.get("logging")
        if not same(logging_config, self._logging):
            # It calls whatever factories the file names, so it is plugin code.
            self._logging = logging_config
            setup = partial(configure, self.boot.id, logging_config)
            self.call("set up logging", setup, lambda _outcome: self.lanes.retire(["logging"]), lane="logging")
        self._guard(partial(job.configure, config))

    def _beat(self) -> None:
        now = time.monotonic()
        if now - self._measured >= MEMORY_EVERY:
            self._memory, self._measured = footprint(), now
        if self._log_file:
            self._log_file.rotate_if_needed()
        call = self.lanes.urgent()
        uss, pss = self._memory
        beat = Heartbeat(fresh=self.fresh, uss=uss, pss=pss)
        if call:
            beat = Heartbeat(call.name[:200], call.started, call.deadline, self.fresh, uss, pss)
        self._send(beat)
        self.after(self.boot.heartbeat, self._beat)

    def _send(self, message: Message) -> None:
        self._channel.send(message.frame())

    def _flush(self) -> None:
        events = selectors.EVENT_READ
        if self._channel.wants_write:
            try:
                self._channel.flush()
            except OSError:
                os._exit(0)  # the supervisor is gone
            events |= selectors.EVENT_WRITE if self._channel.wants_write else 0
        if events != self._events:
            self._events = events
            self._selector.modify(self._channel, events)

    def _drain(self) -> None:
        """Let the last words leave: the supervisor reads them even after the exit, so blocking a moment is enough."""
        self._channel.sock.settimeout(1.0)
        try:
            self._channel.flush()
        except OSError:
            log.warning("last words to the supervisor were lost")
