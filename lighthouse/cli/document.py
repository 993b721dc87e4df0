"""From the supervisor's raw status to the document of ``docs/status.md``.

The supervisor passes on what its workers said as opaque bytes and reads none of it; reading is done here, in a process that may
fail. So each such part may be damaged, and costs only itself: it becomes None with an ``error`` beside it.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lighthouse.cli.health import problems, warnings

# A member with several balancers shows the worst of its states; one that is not listed stands between "pending" and "up".
WORST_FIRST = ("down", "maint", "drain", "pending")

_States = Sequence[tuple[Mapping[str, Any], str]]  # of one cluster, by balancer: states by node, and that of any other


def document(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The whole document. Pure; tolerates any value where the supervisor or a worker should have put another."""
    told = _mapping(raw.get("reported"))
    reports = {
        worker: {**decoded(blob), "reported": told.get(worker)} for worker, blob in _mapping(raw.get("reports")).items()
    }
    workers = workers_of(raw)
    states = _states(workers, reports)
    discoveries = _named(reports, "discovery")
    clusters = {name: _mapping(part) for name, part in _mapping(raw.get("clusters")).items()}
    result: dict[str, Any] = {
        "supervisor": _mapping(raw.get("supervisor")),
        "workers": workers,
        "clusters": {
            name: {**_cluster(name, part, states), **_unread(name, part, discoveries, _now(raw))}
            for name, part in clusters.items()
        },
        "services": {
            name: _service(name, _mapping(part), discoveries) for name, part in _mapping(raw.get("services")).items()
        },
        "config": {**_mapping(raw.get("config")), "files": _mapping(_mapping(raw.get("config")).get("files"))},
        "balancers": _named(reports, "balancer"),
        "discoveries": discoveries,
    }
    found = problems(result)
    return {"health": "degraded" if found else "ok", "problems": found, "warnings": warnings(result), **result}


def workers_of(raw: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The workers, as the supervisor tells of them."""
    workers = raw.get("workers")
    return [item for item in workers if isinstance(item, dict)] if isinstance(workers, list) else []


class _DamagedError(Exception):
    """A part that cannot be read."""


def decoded(blob: Any) -> dict[str, Any]:
    """A worker's report; a damaged one becomes a degraded report."""
    try:
        value = _unpacked(blob)
    except _DamagedError:
        value = None
    return value if isinstance(value, dict) else {"degraded": "its report cannot be read"}


def _unpacked(blob: Any) -> Any:
    """Plain data from base64 of msgpack. Raises `_DamagedError`."""
    import msgpack

    if not isinstance(blob, str):
        raise _DamagedError
    try:
        return _plain(msgpack.unpackb(base64.b64decode(blob, validate=True), strict_map_key=False))
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException):
        raise _DamagedError from None


def _plain(value: Any) -> Any:
    """The value with nothing in it that JSON lacks."""
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else repr(value)


@dataclass(frozen=True, slots=True)
class _Told:
    """What a balancer says of its servers, by cluster, and the state of a member that it does not name.

    ``clusters`` are those that it writes; None while nobody knows.
    """

    states: Mapping[str, Any] = field(default_factory=dict)
    other: str = "pending"
    clusters: Collection[str] | None = None

    def of(self, cluster: str) -> tuple[Mapping[str, Any], str]:
        return _mapping(self.states.get(cluster)), self.other

    def writes(self, cluster: str) -> bool:
        return self.clusters is None or cluster in self.clusters


def _states(workers: Iterable[Mapping[str, Any]], reports: Mapping[str, Mapping[str, Any]]) -> list[_Told]:
    """What each balancer says of its servers; nothing from one that has not spoken yet or does not tell of servers.

    What it said before a sync that failed may be over, so it counts for nothing.
    """
    states: list[_Told] = []
    for worker in workers:
        name = worker.get("id")
        if worker.get("kind") == "balancer" and isinstance(name, str):
            report = reports.get(name)
            if report is None:
                states.append(_Told())
                continue
            servers, left_out = _mapping(report.get("servers")), _mapping(report.get("left_out"))
            if report.get("failed"):
                other = "pending" if report.get("absent") is True else "unknown"
                states.append(_Told(_with_unused({}, left_out), other, servers or None))
            elif "servers" in report:
                states.append(_Told(_with_unused(servers, left_out), clusters=servers))
    return states


def _with_unused(servers: Mapping[str, Any], left_out: Mapping[str, Any]) -> dict[str, Any]:
    """The states of the servers by cluster, with the members that this host leaves out on purpose."""
    unused = {name: dict.fromkeys(_mapping(nodes), "unused") for name, nodes in left_out.items()}
    return {name: {**unused.get(name, {}), **_mapping(servers.get(name))} for name in {*servers, *unused}}


def _cluster(name: str, part: Mapping[str, Any], states: Sequence[_Told]) -> dict[str, Any]:
    result: dict[str, Any] = {
        "discovery": part.get("discovery"),
        "nodes": None,
        "stale": part.get("stale") is True,
        "age": part.get("age"),
        "accepted": part.get("accepted"),
        "held": None,
        "gone": {},
        "leaving": [],
        "refused": [],
        "refused_total": 0,
        "error": None,
    }
    if part.get("members") is None:
        return result
    try:
        members = _mapping(_unpacked(part["members"]))
        nodes = members["nodes"]
        held = _mapping(members.get("held"))
        names = {str(item) for item in held.get("names") or ()}
        told = [item.of(name) for item in [item for item in states if item.writes(name)] or states]
        result["nodes"] = [_node(node, told, names) for node in nodes]
        if names:
            result["held"] = {"count": len(names), "since": held.get("since"), "until": held.get("until")}
        result["gone"] = _mapping(members.get("gone"))
        result["leaving"] = [name for name in members.get("leaving") or [] if isinstance(name, str)]
        refused = [item for item in members.get("refused") or [] if isinstance(item, dict)]
        total = members.get("refused_total")
        result["refused"], result["refused_total"] = refused, total if isinstance(total, int) else len(refused)
    except (_DamagedError, KeyError, TypeError):
        result["error"] = "its members cannot be read"
    return result


def _unread(
    name: str, part: Mapping[str, Any], discoveries: Mapping[str, Mapping[str, Any]], now: float | None
) -> dict[str, Any]:
    """What else is to be said of a cluster that its discovery's last complete answer does not cover."""
    unread = _mapping(discoveries.get(str(part.get("discovery")), {}).get("unread"))
    if name not in unread:
        return {}
    since = part.get("accepted") if unread[name] is None else unread[name]  # they were there when they were taken over
    if now is None or not isinstance(since, int | float):
        return {"stale": True, "age": None}
    return {"stale": True, "age": max(0.0, now - since)}


def _now(raw: Mapping[str, Any]) -> float | None:
    """The supervisor's time."""
    supervisor = _mapping(raw.get("supervisor"))
    started, uptime = supervisor.get("started"), supervisor.get("uptime")
    return started + uptime if isinstance(started, int | float) and isinstance(uptime, int | float) else None


def _service(name: str, part: dict[str, Any], discoveries: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The same with what has become of each port at its registry, as far as its discovery tells."""
    told = _mapping(_mapping(discoveries.get(str(part.get("discovery")), {}).get("announced")).get(name))
    ports = _mapping(part.get("ports"))
    return {
        **part,
        "ports": {port: {**_mapping(item), "announced": told.get(port)} for port, item in ports.items()},
    }


def _node(node: Any, states: _States, held: set[str]) -> dict[str, Any]:
    data = _mapping(node)
    name = f"{data.get('host')}:{data.get('port')}"
    return {
        "name": name,
        "ip": data.get("ip"),
        "port": data.get("port"),
        "state": _worst(name, states),
        "held": name in held,
        "since": data.get("since"),
    }


def _worst(name: str, states: _States) -> str:
    """The worst state that a balancer gives; "known" without a balancer."""
    if not states:
        return "known"
    return min((str(state.get(name, other)) for state, other in states), key=_rank)


def _rank(state: str) -> int:
    if state == "up":
        return len(WORST_FIRST) + 1
    return WORST_FIRST.index(state) if state in WORST_FIRST else len(WORST_FIRST)


def _named(reports: Mapping[str, dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    """The reports of one kind of worker, by plugin instance."""
    prefix = kind + "/"
    return {worker.removeprefix(prefix): report for worker, report in reports.items() if worker.startswith(prefix)}


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
