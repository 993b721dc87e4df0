"""The status document, from the core's state alone. See docs/status.md for what the CLI makes of it.

Members and reports are passed on as bytes (base64): the supervisor does not look into what came from outside.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lighthouse.health import State
from lighthouse.ipc.boot import explained_topic, members_topic, report_topic
from lighthouse.service_state import TABLE, Checker, Order, PortState
from lighthouse.supervisor.compilation import Compilation
from lighthouse.supervisor.core import Core
from lighthouse.supervisor.services import UNTOLD
from lighthouse.supervisor.worker import Worker


@dataclass(frozen=True, slots=True)
class Clock:
    """The same moment on both clocks, seconds."""

    monotonic: float
    wall: float

    def at(self, monotonic: float) -> float:
        """The unix time of a moment on CLOCK_MONOTONIC."""
        return self.wall - (self.monotonic - monotonic)


def document(core: Core, compilation: Compilation, supervisor: Mapping[str, Any], clock: Clock) -> dict[str, Any]:
    """Everything that `ctl status` asks for; `supervisor` is what the loop knows of itself."""
    fresh = core.store.freshness()
    return {
        "supervisor": {**supervisor, "config_epoch": core.epoch, "stopping": core.stopping},
        "workers": [_worker(worker, clock) for worker in sorted(core.workers.values(), key=lambda item: item.spec.id)],
        "clusters": {
            name: _cluster(core, name, discovery, fresh, clock)
            for name, discovery in sorted(core.plan.clusters.items())
        },
        "services": {name: _service(core, name, clock) for name in sorted(core.plan.services)},
        "config": {
            "epoch": core.epoch,
            "compilations": compilation.completed,
            "compiling": compilation.running,
            "error": compilation.error,
            "files": {path: {"state": file.state.value, "error": file.error} for path, file in core.plan.files.items()},
        },
        "reports": {
            worker: _text(core.store.snapshots.get(report_topic(worker)))
            for worker in sorted(core.workers)
            if report_topic(worker) in core.store.snapshots
        },
        "reported": {
            worker: clock.at(core.store.times[report_topic(worker)])
            for worker in sorted(core.workers)
            if report_topic(worker) in core.store.times
        },
    }


def explained(core: Core) -> dict[str, str | None]:
    """What each balancer last explained, as it said it."""
    snapshots = core.store.snapshots
    return {
        worker: _text(snapshots[topic])
        for worker in sorted(core.workers)
        if (topic := explained_topic(worker)) in snapshots
    }


def summary(core: Core) -> str:
    """One line for the service manager."""
    at_work = sum(worker.at_work for worker in core.workers.values())
    others = [f"{worker.spec.id} {worker.state.value}" for worker in core.workers.values() if not worker.at_work]
    return f"{at_work}/{len(core.workers)} workers up" + (f"; {', '.join(sorted(others)[:5])}" if others else "")


def _worker(worker: Worker, clock: Clock) -> dict[str, Any]:
    now, call, last = clock.monotonic, worker.call, worker.last_exit
    return {
        "id": worker.spec.id,
        "kind": worker.spec.kind,
        "state": worker.state.value,
        "since": clock.at(worker.since),
        "pid": worker.pid,
        "generation": worker.generation,
        "restarts": worker.restarts,
        "last_exit": last and {"reason": last.reason, "at": clock.at(last.at)},
        "heartbeat_age": max(0.0, now - worker.heard) if worker.pid else None,
        "call": call and {"name": call.name, "age": now - call.started, "deadline": call.deadline - call.started},
        "memory": {"uss": worker.uss, "pss": worker.pss} if worker.uss else None,
        "reason": worker.reason,
        "retry_in": None if worker.due is None or worker.live else max(0.0, worker.due - now),
    }


def _cluster(core: Core, name: str, discovery: str, earlier: Mapping[str, float], clock: Clock) -> dict[str, Any]:
    worker = core.workers.get(f"discovery/{discovery}")
    fresh = clock.at(worker.fresh) if worker and worker.fresh else earlier.get(f"discovery/{discovery}")
    return {
        "discovery": discovery,
        "stale": worker is None or not worker.fully_read,
        "age": None if fresh is None else max(0.0, clock.wall - fresh),
        "accepted": _moment(core, members_topic(name), clock),
        "members": _text(core.store.snapshots.get(members_topic(name))),
    }


def _moment(core: Core, topic: str, clock: Clock) -> float | None:
    """When a topic was last told."""
    return clock.at(core.store.times[topic]) if topic in core.store.times else None


def _service(core: Core, name: str, clock: Clock) -> dict[str, Any]:
    plan, known, orders = core.plan.services[name], core.store.service(name), core.store.orders
    worker, checker = core.workers.get(f"checker/{name}"), _checker(core, name, clock)
    will, order = orders.counting(name)
    ports = {}
    for port in plan.ports:
        told = known.get(str(port), UNTOLD)
        state, _ = TABLE[will, checker, State(told["state"])]
        since: float | None = told["since"]
        if order is not None:
            since, reason = order.since, order.reason or f"ordered by uid {order.uid}, who gave no reason"
        elif state is PortState.UNKNOWN:
            since = None if worker is None else clock.at(worker.seen + core.settings.hold)
            reason = f"its checker has been away for longer than {core.settings.hold:g} s"
        elif state is PortState.STARTING:
            since = clock.at(worker.since) if since is None and worker else since
            reason = "its checks have come to no verdict yet"
        else:
            reason = _reason(told)
        ports[str(port)] = {**told, "state": state.value, "since": since, "reason": reason}
    return {
        "discovery": plan.discovery,
        "ports": ports,
        "held": checker is not Checker.AT_WORK,
        "orders": {kind.value: _order(order) for kind, order in orders.of(name).items()},
    }


def _checker(core: Core, service: str, clock: Clock) -> Checker:
    """Whether the service's checker is there."""
    worker = core.workers.get(f"checker/{service}")
    if worker is None:
        return Checker.AWAY
    if worker.ready and worker.live:
        return Checker.AT_WORK
    return Checker.LOST if clock.monotonic - worker.seen > core.settings.hold else Checker.AWAY


def _reason(told: Mapping[str, Any]) -> str:
    """Why a port is what its checks say."""
    if told["flap"] and told["flap"]["held"]:
        return "held down because it flaps"
    if told["state"] == State.UP.value:
        return "its checks pass" if told["checks"] else "it has no check"
    bad = {name: check for name, check in told["checks"].items() if check["state"] != State.UP.value}
    return "; ".join(f"{name}: {check['reason']}" for name, check in bad.items())


def _order(order: Order) -> dict[str, Any]:
    until_boot = order.boot is not None
    return {
        "since": order.since,
        "until": order.until,
        "until_boot": until_boot,
        "uid": order.uid,
        "reason": order.reason,
    }


def _text(payload: bytes | None) -> str | None:
    return None if payload is None else b64encode(payload).decode("ascii")
