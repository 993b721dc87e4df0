"""The discovery worker: keeps one registry's picture of the consumed clusters fresh, and announces the provided services there.

It works in steps, each one plugin call on one lane under its own deadline: connect, watch, unwatch, announce, maintain. What is
to be done next is derived from what is wanted and what is done. A step that fails is tried again a little later, and the others go
on meanwhile: a registry that refuses an announcement still tells its members, and the other way round.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from functools import partial
from math import inf
from typing import Any

from lighthouse.discovery import Discovery
from lighthouse.errors import AnnounceError
from lighthouse.exact import same
from lighthouse.ipc.boot import ACCEPT_TOPIC, ANNOUNCE_TOPIC, members_topic, report_topic
from lighthouse.ipc.messages import unpack
from lighthouse.workers import calls
from lighthouse.workers.lanes import Outcome
from lighthouse.workers.own_address import OwnAddress
from lighthouse.workers.parting import Then, last_moment, then
from lighthouse.workers.plugins import why
from lighthouse.workers.register import Due, Register
from lighthouse.workers.registry import Registry
from lighthouse.workers.runtime import Runtime
from lighthouse.workers.steps import Failures, Step
from lighthouse.workers.watched import Watched

log = logging.getLogger(__name__)


class DiscoveryJob:
    """The job of ``discovery/NAME``."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._config: dict[str, Any] = {}
        self._registry = Registry(runtime, self._look_now)
        self._register = Register(OwnAddress(runtime, self._looked))
        self._watched = Watched(runtime.boot.kept, runtime.lanes.wake)
        self._due = 0.0
        self._busy = False
        self._stopping = False
        self._last = inf
        self._failures = Failures()
        runtime.on_wake = self._tell
        if ANNOUNCE_TOPIC in runtime.boot.kept:
            self._register.states = unpack(runtime.boot.kept[ANNOUNCE_TOPIC])
        if (report := runtime.boot.kept.get(report_topic(runtime.boot.id))) is not None:
            self._register.own.remember(report)

    def configure(self, config: dict[str, Any]) -> None:
        """Take over the registry's configuration, the clusters to watch and the services to announce."""
        if self._config and self._config["plugin"] != config["plugin"]:
            self._runtime.leave(0)  # another plugin wants a fresh process
            return
        self._config = config
        self._registry.refused(None)
        self._failures.forget()
        self._watched.configure(config)
        self._register.configure(config)
        self._next()

    def receive(self, topic: str, payload: bytes) -> None:
        """What should be announced, which losses of members are confirmed, or whom a cluster had that moves here."""
        if topic == ANNOUNCE_TOPIC:
            self._register.states = unpack(payload)
            self._due = 0.0
            self._next()
        elif topic == ACCEPT_TOPIC:
            self._watched.accept(unpack(payload))
            self._tell()
        elif topic == members_topic(name := topic.partition("/")[2]):
            self._watched.inherit(name, payload)

    def stop(self) -> None:
        """The last wanted announcements are made before the end, and stay in the registry."""
        self._stopping = True
        self._last = last_moment(time.monotonic(), self._runtime.until)
        self._register.own.stop(wait=self._runtime.withdraw)
        self._failures.forget()
        self._next()

    # What comes next

    def _next(self) -> None:
        """Take the first step whose time has come, if none is under way."""
        if self._busy or not self._config:
            return
        now = time.monotonic()
        step = self._failures.first(self._steps(now))
        if step is None:
            self._rest(now)
            return
        self._busy = True
        self._runtime.call(step.name, step.call, partial(self._finish, step))

    def _steps(self, now: float) -> Iterator[Step]:
        """All that there is to do, the most urgent first."""
        plugin, config = self._registry.plugin, self._config
        if self._registry.lacks(tried := config["config"]):
            build = partial(calls.build, config, plugin, self._runtime.boot.handover)
            yield Step("set up", build, partial(self._built, tried), partial(self._cannot_set_up, tried))
        if plugin is None:
            return
        if not self._registry.connected:
            yield Step("connect", partial(calls.connect, plugin), self._has_connected)
            return
        if not self._stopping:
            yield from self._watched.steps(plugin)
        # At the end there is no later turn for what would have to wait.
        due = self._register.due(now, at_once=self._stopping)
        if due is not None:
            announce = partial(calls.announce, plugin, due.items)
            yield Step("announce", announce, partial(self._has_announced, due), partial(self._not_announced, due))
        if now >= self._due and not self._stopping:
            maintain = partial(calls.maintain, plugin, self._register.report(), self._watched.uncovered)
            yield Step("maintain", maintain, self._maintained)

    def _finish(self, step: Step, outcome: Outcome) -> None:
        self._busy = False
        if outcome.error is None:
            self._failures.succeeded(step.name)
            self._due = 0.0  # what this step changed is reported
            step.done(outcome.value)
        elif step.failed:
            step.failed(outcome.error)
        else:
            self._failed(step.name, outcome.error)
        self._tell()
        self._next()

    def _cannot_set_up(self, tried: dict[str, Any], error: BaseException) -> None:
        """Without any plugin there is nothing to do; a running one goes on as it was until the configuration changes again."""
        if not same(tried, self._config["config"]):
            return  # it has changed meanwhile, and is tried next
        if self._registry.plugin is None:
            self._runtime.give_up(why(error))
            return
        self._registry.refused(tried)
        self._failed("set up", error)

    def _failed(self, name: str, error: BaseException) -> None:
        """Nothing that is known changes; the step is tried again, and the others go on."""
        self._failures.failed(name, error)
        if name in ("connect", "maintain"):
            self._registry.whole = False
            self._watched.heard(complete=False)
        self._say()
        self._runtime.ready()

    def _rest(self, now: float) -> None:
        """Nothing is to be done now. Come back when something is."""
        if self._stopping:
            self._part(now)
            return
        times = [*self._failures.next(), *self._register.next(now)]
        if self._registry.connected:
            times.append(self._due)
        if times:
            self._runtime.after(max(calls.SHORTEST_PERIOD, min(times) - now), self._next, name="next")

    def _part(self, now: float) -> None:
        """Part from the registry, once nothing is to come any more or there is no more time."""
        own, plugin = self._register.own, self._registry.plugin
        again = self._failures.when(self._steps(now)) if self._runtime.withdraw else None
        match then(now, self._last, looking=own.pending, turn=self._register.leaving(now), again=again):
            case Then.LOOK, when:
                self._runtime.after(when - now, self._next, name="next")  # or as soon as it is known, see `_looked`
            case Then.WAIT, when:
                self._busy = True
                self._runtime.call("wait", partial(time.sleep, max(0.0, when - now)), self._waited)
            case Then.HURRY, _:
                self._register.hurry()
                self._next()
            case Then.PART, _:
                own.stop(wait=False)
                self._config = {}
                if plugin is not None:
                    self._runtime.call("disconnect", plugin.disconnect, lambda _: None)

    def _waited(self, _outcome: Outcome) -> None:
        self._busy = False
        self._next()

    def _looked(self) -> None:
        """The own address was looked for."""
        self._due = 0.0  # to report it
        self._say()
        self._next()

    # What each step leaves

    def _built(self, applied: dict[str, Any], plugin: Discovery) -> None:
        self._register.doubt()
        if self._registry.built(applied, plugin):
            self._watched.clear()

    def _has_connected(self, handover: bytes) -> None:
        self._registry.connected = True
        self._registry.hand_over(handover)

    def _has_announced(self, due: Due, handover: bytes) -> None:
        self._register.done(due, time.monotonic())
        self._registry.hand_over(handover)

    def _not_announced(self, due: Due, error: BaseException) -> None:
        """One announcement that cannot be made holds no other back: of those that could be, what follows from it goes on."""
        if isinstance(error, AnnounceError) and error.failed:
            self._register.done(due, time.monotonic(), error.failed)
            self._due = 0.0
        else:
            self._register.doubt()
        self._failed("announce", error)

    def _maintained(self, value: calls.Maintained) -> None:
        self._due = time.monotonic() + value.period
        self._registry.maintained(value)
        self._tell()
        self._watched.heard(complete=self._registry.whole, unread=value.report.unread)
        self._tell()
        self._say()
        self._runtime.ready()

    def _look_now(self) -> None:
        """The plugin has something to say, which `maintain` reads."""
        self._due = 0.0
        self._next()

    def _tell(self) -> None:
        for topic, count, payload in self._watched.news():
            log.info("%s: %d", topic, count)
            self._runtime.publish(topic, payload)

    def _say(self) -> None:
        """All that is wrong, in one condition."""
        told = [
            self._registry.degraded,
            *self._watched.problems.values(),
            *self._failures.reasons,
            self._register.own.problem,
        ]
        self._runtime.condition(
            "; ".join(dict.fromkeys(text for text in told if text)) or None, whole=self._registry.whole
        )
