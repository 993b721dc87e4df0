"""The balancer worker: gives the newest members of every cluster to a balancer plugin, and asks it again from time to time.

The plugin reconciles, so nothing is lost when a call fails or this process dies: the next call sees what is and what should be.
"""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from lighthouse.balancer import Balancer
from lighthouse.cluster import Cluster
from lighthouse.errors import AbsentError, LighthouseError, NodeError
from lighthouse.exact import same
from lighthouse.ipc.boot import EXPLAIN_TOPIC, explained_topic, members_topic
from lighthouse.ipc.errors import ProtocolError
from lighthouse.ipc.messages import pack, unpack
from lighthouse.workers.bell import Bell
from lighthouse.workers.consumed import Consumed
from lighthouse.workers.lanes import Outcome
from lighthouse.workers.members import Members
from lighthouse.workers.plugins import load, why
from lighthouse.workers.reports import Reports
from lighthouse.workers.runtime import Runtime

VERIFY = 10.0  # seconds between two reconciliations when nothing changed
RETRY = 1.0  # seconds after one that failed
AGAIN_LEAST = 0.1  # seconds; a balancer that asks for less is not called in a tight loop
WOKEN_LEAST = 1.0  # seconds between two syncs that a plugin's descriptor calls for

_MEMBERS = members_topic("")  # what the topics of all clusters' members begin with

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Setup:
    plugin: str
    own: Mapping[str, Any]


class BalancerJob:
    """The job of ``balancer/NAME``."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._setup: _Setup | None = None
        self._balancer: Balancer | None = None
        self._consumed = Consumed()
        self._members = Members()
        self._patience = 0.0
        self._refused: str | None = None
        self._failure = ""
        self._busy = False
        self._dirty = False
        self._settled = False
        self._stopping = False
        self._reports = Reports(runtime, self._failed)
        self._bell = Bell(runtime, self._wake)
        self._woken = 0.0
        for topic, payload in runtime.boot.kept.items():
            self._learn(topic, payload)

    def configure(self, config: dict[str, Any]) -> None:
        """Take over the balancer's own configuration and the clusters that it is to write."""
        if self._setup and self._setup.plugin != config["plugin"]:
            self._runtime.leave(0)  # another plugin wants a fresh process
            return
        if not self._patience:
            self._patience = time.monotonic() + config["initial_wait"]
            self._runtime.after(config["initial_wait"], self._sync)
        self._consumed.configure(config["clusters"])
        self._members.keep([item["name"] for item in config["clusters"]])
        setup = _Setup(config["plugin"], config["config"])
        if self._setup and same(setup.own, self._setup.own):
            self._sync()
            return
        self._setup = setup
        self._runtime.call("set up the balancer", lambda: _build(setup, self._runtime.boot.call_deadline), self._adopt)

    def receive(self, topic: str, payload: bytes) -> None:
        """Newer members of a cluster, or a question about one."""
        if topic == EXPLAIN_TOPIC:
            self._explain(unpack(payload))
        elif self._learn(topic, payload):
            self._sync()

    def stop(self) -> None:
        """A sync under way is finished: the runtime waits for the lane."""
        self._stopping = True
        self._bell.drop()
        self._balancer = None

    def _explain(self, asked: dict[str, Any]) -> None:
        """Have the plugin explain a cluster, after whatever it is at."""
        balancer, cluster = self._balancer, asked["cluster"]
        if balancer is None or not self._consumed.has(cluster):
            self._explained({**asked, "configured": balancer is None}, Outcome())
            return
        self._runtime.call("explain", lambda: _explain(balancer, cluster), partial(self._explained, asked))

    def _explained(self, asked: dict[str, Any], outcome: Outcome) -> None:
        error = outcome.error and not isinstance(outcome.error, NotImplementedError) and why(outcome.error)
        absent = isinstance(outcome.error, AbsentError)
        answer = {**asked, "error": error or None, "absent": absent, "servers": outcome.value}
        self._runtime.publish(explained_topic(self._runtime.boot.id), pack(answer))

    def _learn(self, topic: str, payload: bytes) -> bool:
        if not topic.startswith(_MEMBERS):
            return False
        cluster = topic.removeprefix(_MEMBERS)
        try:
            nodes = self._members.read(cluster, payload)
        except (NodeError, ProtocolError) as error:
            # Unknown is not empty: members that cannot be read change nothing.
            log.error("members of %s cannot be read and stay as they are: %s", cluster, why(error))
            return False
        return self._consumed.learn(cluster, nodes)

    def _adopt(self, outcome: Outcome) -> None:
        if self._stopping:
            return
        if outcome.error is None:
            self._bell.drop()
            self._balancer, self._refused = outcome.value, None
        elif self._balancer is None:
            self._runtime.give_up(why(outcome.error))
            return
        else:
            self._refused = f"goes on with its last configuration, because of the new one: {why(outcome.error)}"
        self._sync()

    def _sync(self) -> None:
        if self._balancer is None:
            return
        if self._busy:
            self._dirty = True
            return
        if self._consumed.unknown() and time.monotonic() < self._patience:
            return  # a source has not spoken yet; the timer set in `configure` comes back
        self._busy, self._dirty = True, False
        balancer, clusters, about = self._balancer, self._consumed.clusters(), self._consumed.report()
        call = partial(_sync, balancer, clusters, about, told=self._reports.are_due)
        self._runtime.call("sync", call, partial(self._synced, balancer))

    def _synced(self, balancer: Balancer, outcome: Outcome) -> None:
        self._busy = False
        degraded = again = None
        if outcome.error is None:
            self._failure = ""
            degraded, again, report, packed, fd = outcome.value
            self._reports.add(report, packed)
            if balancer is self._balancer:  # one that was parted from has closed it
                self._bell.follow(fd)
            self._runtime.fresh = time.monotonic()
            self._runtime.condition("; ".join(filter(None, (self._refused, degraded))) or None)
        else:
            self._failed(outcome.error)
        if outcome.error is None and not self._settled:
            # Most of what a first sync leaves stays. A collection that looks at it takes 7 ms with a thousand clusters of 10.
            gc.freeze()
            self._settled = True
        self._runtime.ready()
        if self._dirty:
            self._sync()
            return
        self._runtime.after(_delay(RETRY if outcome.error else VERIFY, again), self._sync, name="sync")

    def _wake(self) -> None:
        """The plugin has something to find. The descriptor is waited for again after the next sync that goes well."""
        now = time.monotonic()
        delay = max(0.0, self._woken + WOKEN_LEAST - now)
        self._woken = now + delay
        self._runtime.after(delay, self._sync, name="sync")

    def _failed(self, error: BaseException) -> None:
        reason, before = why(error), self._failure
        self._failure = reason
        self._runtime.condition(reason)
        if reason == before:
            return  # it is logged and told once, not with each try
        if not isinstance(error, LighthouseError):
            log.error("sync failed", exc_info=error)
        failed = {"degraded": reason, "failed": reason, "absent": isinstance(error, AbsentError)}
        self._reports.fail({**self._consumed.report(), **failed})


def _delay(usual: float, again: Any) -> float:
    """Seconds until the next sync: sooner than usual if the balancer asks for it, but never at once."""
    if isinstance(again, int | float) and not isinstance(again, bool) and again >= 0:
        return min(usual, max(again, AGAIN_LEAST))
    return usual


def _sync(
    balancer: Balancer, clusters: list[Cluster], about: Mapping[str, Any], *, told: bool
) -> tuple[str | None, Any, dict[str, Any], bytes | None, int | None]:
    """Why the balancer is degraded, if it is, after how long it wants to be asked again, its report, what to wait for; on a lane.

    The report is the plugin's, with what the worker itself has to tell `about` the clusters. It comes packed if it is to be told.
    One that is degraded and does not know how long it will be so is asked again soon.
    """
    report = {**balancer.sync(clusters), **about, "failed": None, "synced": time.time()}
    degraded = report.get("degraded")
    again = report.get("again", RETRY if degraded else None)
    reason = None if degraded is None else str(degraded)
    fd = balancer.watch_fd()
    return reason, again, report, pack(report) if told else None, fd


def _explain(balancer: Balancer, cluster: str) -> dict[str, Any]:
    """The plugin's answer; on a lane. It is packed here once, because that may fail."""
    answer = {str(node): dict(facts) for node, facts in balancer.explain(cluster).items()}
    pack(answer)
    return answer


def _build(setup: _Setup, call_deadline: float) -> Balancer:
    """A plugin object with the configuration; on a lane. It takes the place of a running one only once it has accepted it."""
    balancer: Balancer = load(setup.plugin)()
    balancer.call_deadline = call_deadline
    balancer.apply_config(dict(setup.own))
    return balancer
