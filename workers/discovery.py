"""The discovery worker: keeps one registry's picture of the consumed clusters fresh, and announces the provided services there.

It works in steps, each one plugin call on one lane under its own deadline: connect, watch, unwatch, announce, maintain. What is
to be done next is derived from what is wanted and what is done. A step that fails is tried again a little later, and the others go
on meanwhile: a registry that refuses an announcement still tells its members, and the other way round.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from math import inf
from typing import Any

from lighthouse.cluster import Cluster
from lighthouse.discovery import Discovery
from lighthouse.errors import AnnounceError
from lighthouse.ipc.boot import ACCEPT_TOPIC, ANNOUNCE_TOPIC, members_topic, report_topic
from lighthouse.ipc.messages import unpack
from lighthouse.settings import MassLoss
from lighthouse.workers import calls
from lighthouse.workers.bell import Bell
from lighthouse.workers.lanes import Outcome
from lighthouse.workers.own_address import OwnAddress
from lighthouse.workers.plugins import why
from lighthouse.workers.register import Due, Register
from lighthouse.workers.runtime import Runtime
from lighthouse.workers.steps import Failures, Step
from lighthouse.workers.watched import Watched

PARTING = 0.5  # seconds that are kept at the end for parting from the registry, before this process is killed

log = logging.getLogger(__name__)


class DiscoveryJob:
    """The job of ``discovery/NAME``."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._config: dict[str, Any] = {}
        self._applied: dict[str, Any] | None = None
        self._refused: dict[str, Any] | None = None
        self._discovery: Discovery | None = None
        self._register = Register(OwnAddress(runtime, self._looked))
        self._connected = False
        self._watched = Watched(runtime.boot.kept, runtime.lanes.wake)
        self._due = 0.0
        self._bell = Bell(runtime, self._look_now)
        self._busy = False
        self._stopping = False
        self._last = inf
        self._handed = b""
        self._told = b""
        self._degraded: str | None = None
        self._whole = False
        self._failures = Failures()
        runtime.on_wake = self._tell
        if ANNOUNCE_TOPIC in runtime.boot.kept:
            self._register.states = unpack(runtime.boot.kept[ANNOUNCE_TOPIC])
        if ACCEPT_TOPIC in runtime.boot.kept:
            self._watched.accept(unpack(runtime.boot.kept[ACCEPT_TOPIC]))
        if (report := runtime.boot.kept.get(report_topic(runtime.boot.id))) is not None:
            self._register.own.remember(report)

    def configure(self, config: dict[str, Any]) -> None:
        """Take over the registry's configuration, the clusters to watch and the services to announce."""
        if self._config and self._config["plugin"] != config["plugin"]:
            self._runtime.leave(0)  # another plugin wants a fresh process
            return
        self._config = config
        self._refused = None
        self._failures.forget()
        self._watched.guard({name: MassLoss(**rules) for name, rules in config["guards"].items()})
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
        left = self._runtime.until - time.monotonic()
        self._last = self._runtime.until - min(PARTING, left / 2)
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
        discovery, config = self._discovery, self._config
        if (tried := config["config"]) not in (self._applied, self._refused):
            build = partial(calls.build, config, discovery, self._runtime.boot.handover)
            yield Step("set up", build, partial(self._built, tried), partial(self._cannot_set_up, tried))
        if discovery is None:
            return
        if not self._connected:
            yield Step("connect", lambda: calls.connect(discovery), self._has_connected)
            return
        if not self._stopping:
            yield from self._watch_steps(discovery)
        # At the end there is no later turn for what would have to wait.
        due = self._register.due(now, at_once=self._stopping)
        if due is not None:
            announce = partial(calls.announce, discovery, due.items)
            yield Step("announce", announce, partial(self._has_announced, due), partial(self._not_announced, due))
        if now >= self._due and not self._stopping:
            about = self._register.report()
            yield Step("maintain", lambda: calls.maintain(discovery, about, self._unread_since), self._maintained)

    def _unread_since(self, names: Collection[str]) -> Mapping[str, float | None]:
        """What no answer covers: what the plugin says, what it could not even begin to watch, and what cannot be told."""
        wanted = self._config["clusters"]
        _, unwatched = self._watched.differences(dict.fromkeys(wanted))
        names = {*names, *self._watched.problems}
        return self._watched.unread_since({*(name for name in names if name in wanted), *unwatched})

    def _watch_steps(self, discovery: Discovery) -> Iterator[Step]:
        gone, new = self._watched.differences(dict.fromkeys(self._config["clusters"]))
        for name in gone:
            stop = partial(discovery.stop_watching, self._watched[name])
            yield Step(f"stop watching {name}", stop, partial(self._unwatched, name))
        for name in new:
            cluster, signal = self._watched.made(name, self._config["name"])
            start = partial(discovery.start_watching, cluster, signal)
            yield Step(f"watch {name}", start, partial(self._watching, cluster))

    def _finish(self, step: Step, outcome: Outcome) -> None:
        self._busy = False
        if outcome.error is None:
            self._failures.succeeded(step.name)
            step.done(outcome.value)
        elif step.failed:
            step.failed(outcome.error)
        else:
            self._failed(step.name, outcome.error)
        self._tell()
        self._next()

    def _cannot_set_up(self, tried: dict[str, Any], error: BaseException) -> None:
        """Without any plugin there is nothing to do; a running one goes on as it was until the configuration changes again."""
        if tried != self._config["config"]:
            return  # it has changed meanwhile, and is tried next
        if self._discovery is None:
            self._runtime.give_up(why(error))
            return
        self._refused = tried
        self._failed("set up", error)

    def _failed(self, name: str, error: BaseException) -> None:
        """Nothing that is known changes; the step is tried again, and the others go on."""
        self._failures.failed(name, error)
        if name in ("connect", "maintain"):
            self._whole = False
            self._watched.heard(complete=False)
        self._say()
        self._runtime.ready()

    def _rest(self, now: float) -> None:
        """Nothing is to be done now. Come back when something is."""
        if self._stopping:
            self._part(now)
            return
        times = [*self._failures.next(), *self._register.next(now)]
        if self._connected:
            times.append(self._due)
        if times:
            self._runtime.after(max(calls.SHORTEST_PERIOD, min(times) - now), self._next, name="next")

    def _part(self, now: float) -> None:
        """Part from the registry, once nothing is to come any more or there is no more time.

        Only a stop that withdraws waits for what failed: what else is wanted, the next generation announces.
        """
        if self._register.own.pending and now < self._last:
            self._runtime.after(self._last - now, self._next, name="next")  # or as soon as it is known, see `_looked`
            return
        turn = self._register.leaving(now)
        again = self._failures.when(self._steps(now)) if self._runtime.withdraw else None
        times = [when for when in (turn, again) if when is not None]
        if times and now < self._last:
            self._busy = True
            self._runtime.call("wait", partial(time.sleep, max(0.0, min(*times, self._last) - now)), self._waited)
        elif turn is not None:
            self._register.hurry()
            self._next()
        else:
            self._register.own.stop(wait=False)
            config, self._config = self._config, {}
            if self._discovery is not None and config:
                self._runtime.call("disconnect", self._discovery.disconnect, lambda _: None)

    def _waited(self, _outcome: Outcome) -> None:
        self._busy = False
        self._next()

    def _looked(self) -> None:
        """The own address was looked for."""
        self._due = 0.0  # to report it
        self._say()
        self._next()

    # What each step leaves

    def _built(self, applied: dict[str, Any], discovery: Discovery) -> None:
        self._register.doubt()
        self._refused = None
        self._applied = applied
        self._due = 0.0
        if discovery is self._discovery:
            return
        self._bell.drop()
        self._connected = self._whole = False
        self._degraded = None
        self._watched.clear()
        self._discovery = discovery

    def _has_connected(self, handover: bytes) -> None:
        self._connected = True
        self._hand_over(handover)
        self._due = 0.0

    def _watching(self, cluster: Cluster, _value: Any) -> None:
        self._watched.add(cluster)
        self._due = 0.0

    def _unwatched(self, name: str, _value: Any) -> None:
        self._watched.remove(name)

    def _has_announced(self, due: Due, handover: bytes) -> None:
        self._register.done(due, time.monotonic())
        self._hand_over(handover)
        self._due = 0.0  # to report it

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
        self._whole = value.report.complete
        if self._whole:
            self._runtime.fresh = time.monotonic()
        self._degraded = value.report.degraded
        self._hand_over(value.handover)
        if value.told != self._told:
            self._told = value.told
            self._runtime.report(value.told)
        self._bell.follow(value.fd)
        self._tell()
        self._watched.heard(complete=self._whole, unread=value.report.unread)
        self._tell()
        self._say()
        self._runtime.ready()

    def _look_now(self) -> None:
        """The plugin has something to say, which `maintain` reads."""
        self._due = 0.0
        self._next()

    def _hand_over(self, secret: bytes) -> None:
        if secret != self._handed:
            self._handed = secret
            self._runtime.hand_over(secret)

    def _tell(self) -> None:
        for topic, count, payload in self._watched.news():
            log.info("%s: %d", topic, count)
            self._runtime.publish(topic, payload)

    def _say(self) -> None:
        """All that is wrong, in one condition."""
        told = [self._degraded, *self._watched.problems.values(), *self._failures.reasons, self._register.own.problem]
        self._runtime.condition("; ".join(dict.fromkeys(text for text in told if text)) or None, whole=self._whole)
