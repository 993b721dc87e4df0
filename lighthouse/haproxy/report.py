"""What the balancer reports of a reconciliation, as plain data."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from lighthouse.haproxy.drain import Drain
from lighthouse.haproxy.outcome import Outcome
from lighthouse.haproxy.running import Server
from lighthouse.haproxy.stanzas.section import Section
from lighthouse.haproxy.tools import Tools
from lighthouse.haproxy.versions import limits, too_old

SHADOWED = "shadowed"  # another server, of the operator's own lines, has the member's name
_ABOUT = re.compile(r"(?:cluster|frontend|backend) ([\w.-]+)", re.ASCII)


class Report:
    """Makes the report of each reconciliation. What it says of clusters that were not looked at is taken from the last one."""

    def __init__(self) -> None:
        self._states: dict[str, dict[str, str]] = {}
        self._missing: str | None = None  # why HAProxy could not be started again

    def of(self, outcome: Outcome, tools: Tools) -> dict[str, Any]:
        """The report on an outcome; see `lighthouse.haproxy.balancer.HAProxy.sync`."""
        account = outcome.account
        if outcome.only is None:
            self._missing = tools.process.missing()
        return {
            "servers": self._servers(outcome),
            "leaving": _leaving(outcome, tools.drain),
            **_process(outcome, tools.lifecycle.missing_master(), self._missing),
            "quarantined": {**outcome.desired.clashes, **account.quarantined},
            "refused": _refused(outcome),
            "waiting": {cluster: dict(nodes) for cluster, nodes in account.waiting.items()},
            "pending": account.pending,
            "again": account.again,
            "last": {"commands": account.commands, "start": account.start, "reload": account.reload},
            "drift": tools.drift.report(),
        }

    def _servers(self, outcome: Outcome) -> dict[str, dict[str, str]]:
        wanted, in_force = outcome.desired.document.backends(), outcome.document.backends()
        names = wanted if outcome.only is None else outcome.only
        states = {
            name: _states(wanted[name], in_force.get(name), outcome.running.servers.get(name, {}))
            | {member: state for member, (state, _) in _shadowed(outcome, name).items()}
            for name in names
            if name in wanted
        }
        self._states = states if outcome.only is None else {**self._states, **states}
        return self._states


def _states(wanted: Section, in_force: Section | None, have: Mapping[str, Server]) -> dict[str, str]:
    slots = {item.name: item.slot for item in in_force.members} if in_force and in_force.slots else {}
    return {
        item.name: have[key].state if (key := slots.get(item.name, item.name)) in have else "pending"
        for item in wanted.members
    }


def _shadowed(outcome: Outcome, backend: str) -> dict[str, tuple[str, str]]:
    """Of the members whose names the operator's own lines use: the state, and where HAProxy's server is if it is elsewhere."""
    have = outcome.running.servers.get(backend, {})
    found = {}
    for name, member in outcome.desired.shadowed.get(backend, {}).items():
        server = have.get(name)
        if server is None:
            found[name] = "pending", ""
        elif server.address == (member.ip, member.port):
            found[name] = server.state, ""
        else:
            found[name] = SHADOWED, replace(member, ip=server.ip, port=server.port).address
    return found


def _refused(outcome: Outcome) -> dict[str, dict[str, str]]:
    refused = {cluster: dict(nodes) for cluster, nodes in outcome.desired.refused.items()}
    for cluster in outcome.desired.shadowed:
        for name, (_, address) in _shadowed(outcome, cluster).items():
            if address:
                refused.setdefault(cluster, {})[name] = (
                    f"a line `server` of the cluster's own `backend` has its name, and HAProxy connects to {address} for it: "
                    "remove that line, or give its server another name"
                )
    return refused


def _process(outcome: Outcome, missing_master: str | None, missing: str | None) -> dict[str, Any]:
    version, pid = outcome.running.version, outcome.running.pid
    facts: dict[str, Any] = {"version": version, "worker_pid": pid or None, "limits": limits(version)}
    notes = [*outcome.notes, *too_old(version), *([missing] if missing else [])]
    processes = outcome.account.processes
    if processes is None and missing_master and pid:
        notes.append(missing_master)
    elif processes is not None:
        facts |= {"pid": processes.master, "uptime": processes.uptime}
        facts |= {"reloads": processes.reloads, "old_workers": processes.old_workers}
    clusters = outcome.desired.document.backends()
    told = [{"cluster": _cluster_of(note, clusters), "text": note} for note in notes]
    return {"degraded": "; ".join(notes) or None, "notes": told, "haproxy": facts}


def _cluster_of(note: str, clusters: Collection[str]) -> str | None:
    """The one cluster that a note is about, if it is about one."""
    found = _ABOUT.match(note)
    return found[1] if found and found[1] in clusters else None


def _leaving(outcome: Outcome, drain: Drain) -> dict[str, list[dict[str, str | None]]]:
    gone: dict[str, list[dict[str, str | None]]] = {}
    backends = outcome.document.backends()
    for backend, name in sorted(drain.places):
        server = outcome.running.servers[backend][name]
        node = drain.node((backend, name)) if name in backends[backend].slots else name
        gone.setdefault(backend, []).append({"server": name, "node": node, "address": server.place})
    return gone
