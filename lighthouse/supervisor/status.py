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
from lighthouse.supervisor.compilation import Compilation
from lighthouse.supervisor.core import Core
from lighthouse.supervisor.worker import Worker


@dataclass(frozen=True, slots=True)
class Clock:
    """The same moment on both clocks, seconds."""

    monotonic: float
    wall: float

    def at(self, monotonic: float) -> float:
        """The unix time of a moment on CLOCK_MONOTONIC."""
        return self.wall - (self.monotonic - monotonic)


_UNTOLD: Mapping[str, Any] = {
    "state": State.UNKNOWN.value,
    "since": None,
    "verdict": State.UNKNOWN.value,
    "flap": None,
    "checks": {},
}


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
        "stale": worker is None or not worker.at_work,
        "age": None if fresh is None else max(0.0, clock.wall - fresh),
        "accepted": _moment(core, members_topic(name), clock),
        "members": _text(core.store.snapshots.get(members_topic(name))),
    }


def _moment(core: Core, topic: str, clock: Clock) -> float | None:
    """When a topic was last told."""
    return clock.at(core.store.times[topic]) if topic in core.store.times else None


def _service(core: Core, name: str, clock: Clock) -> dict[str, Any]:
    plan, known = core.plan.services[name], core.store.service(name)
    worker = core.workers.get(f"checker/{name}")
    away = worker is None or not worker.ready or not worker.live
    lost = away and worker is not None and clock.monotonic - worker.seen > core.settings.hold
    ports = {}
    for port in plan.ports:
        told = known.get(str(port), _UNTOLD)
        ports[str(port)] = {**told, "state": State.UNKNOWN.value} if lost else dict(told)
    return {"discovery": plan.discovery, "ports": ports, "held": away}


def _text(payload: bytes | None) -> str | None:
    return None if payload is None else b64encode(payload).decode("ascii")
