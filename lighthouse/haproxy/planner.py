"""From what should run and what runs to the commands between them. Pure.

Rules, per backend that should run:

* a member that HAProxy has not: **join**, as a server of its own or in the slot that it was given (`lighthouse.haproxy.slots`); if
  neither can be at run time, `Plan.blocked` says why not;
* a member at another address, or with another weight or limit: **change**; what HAProxy takes for a server that it has at a reload
  only, a weight under a fixed map of servers or ``backup``, is no reason for one: `Plan.waiting` tells it;
* a member that was put into maintenance or drain by hand, or whose checks were disabled, or that has none and was put down:
  **ready**, unless the options say ``disabled`` or an agent decides;
* a server that is none of the members and none of the operator's own: **leave**, into maintenance, so that it gets no new
  connection, while those that it has go on (measured on 2.6.12);
* one that has been leaving for too long: **cut**, its sessions are closed;
* one that is in maintenance already: **delete**, which HAProxy refuses while it has connections, so it is asked again at each sync;
  a slot, or a server that lines name, is **free** again, at its neutral address, when its last session has ended;
* a backend whose members are unknown is left alone.

Joins come before leaves, so that no backend is empty in between.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter

from lighthouse.errors import NodeError
from lighthouse.haproxy.arrange import defaults_of
from lighthouse.haproxy.change import Change, Kind, Step
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.dynamic import recipe
from lighthouse.haproxy.member import Member, member_named
from lighthouse.haproxy.running import Running, Server, Servers
from lighthouse.haproxy.slots import FREE_ADDRESS
from lighthouse.haproxy.stanzas.section import Section

_WAITS = (Kind.CUT, Kind.DELETE)


@dataclass(frozen=True, slots=True)
class Plan:
    """``steps`` to take at run time, in order; ``blocked``: what needs a reload and why, by backend.

    ``waiting``: by backend and member, what comes with the next reload, whatever that is made for.
    """

    steps: tuple[Step, ...] = ()
    blocked: Mapping[str, str] = field(default_factory=dict)
    waiting: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def open(self) -> tuple[Step, ...]:
        """The steps without those that wait for connections to end: nothing of this is left once all is well."""
        return tuple(step for step in self.steps if step.kind not in _WAITS)


def plan(
    wanted: Document,
    running: Running,
    unknown: Collection[str] = (),
    expired: Collection[tuple[str, str]] = (),
) -> Plan:
    """How to bring the servers of `running` to `wanted`, which must have the skeleton that runs.

    `expired` names backend and server of those that have been leaving for too long.
    """
    return plan_of(wanted.known(unknown), defaults_of(wanted), running.servers, expired)


def plan_of(
    sections: Mapping[str, Section],
    defaults: Sequence[str],
    servers: Servers,
    expired: Collection[tuple[str, str]] = (),
    everything: Servers | None = None,
) -> Plan:
    """The same for some backends and their servers; `everything` that runs, if these are not all of them."""
    steps: list[Step] = []
    blocked: dict[str, str] = {}
    waiting: dict[str, Mapping[str, str]] = {}
    for backend, section in sections.items():
        have = servers.get(backend, {})
        every = have if everything is None else everything.get(backend, {})
        change = Change(backend, section, have, recipe(section, defaults), expired, every)
        if late := change.waiting():
            waiting[backend] = late
        if change.is_none():
            continue
        steps += change.steps()
        if reasons := list(change.blocked()):
            blocked[backend] = f"backend {backend}: {_some(reasons)}"
    steps.sort(key=attrgetter("kind", "backend", "server"))
    return Plan(tuple(steps), blocked, waiting)


def differing(
    wanted: Section, have: Mapping[str, Server], before: Section, had: Mapping[str, Server]
) -> tuple[Section, Mapping[str, Server]]:
    """A backend and its servers without what was as it should be `before` and is the same object: what is left to plan for.

    One that is only equal is looked at, which does no harm.
    """
    old = set(map(id, before.members))
    same: set[str] = set()
    members: list[Member] = []
    for member in wanted.members:
        name = member.slot or member.name
        if id(member) in old and (server := have.get(name)) is not None and server is had.get(name):
            same.add(name)
        else:
            members.append(member)
    slots = tuple(slot for slot in wanted.slots if slot not in same)
    left = {name: server for name, server in have.items() if name not in same}
    return wanted.having(members, slots), left


def reload_reason(wanted: Document, running: Document | None) -> str | None:
    """Why `wanted` needs a reload, given the document that runs (None: it is not known)."""
    if running is None:
        return "HAProxy runs a configuration that is not ours or not the one on disk"
    if wanted.skeleton == running.skeleton:
        return None
    new, old = ({item.header: item for item in document.sections} for document in (wanted, running))
    reasons = [
        *(f"{header} is new" for header in new if header not in old),
        *(f"{header} is gone" for header in old if header not in new),
        *(reason for header in new if header in old and (reason := _changed(new[header], old[header]))),
    ]
    return _some(reasons) if reasons else rest(wanted, running)


def rest(wanted: Document, running: Document) -> str:
    """What differs between two documents with the same sections and different skeletons."""
    if wanted.comments != running.comments:
        return "the paths of HAProxy's files changed"
    return "the order of the sections changed"


def _changed(new: Section, old: Section) -> str | None:
    if tuple(new.shape()) == tuple(old.shape()):
        return None
    if (new.lines, new.template) == (old.lines, old.template):
        return f"{new.header} needs {len(new.slots)} slots for its members"
    return f"lines of {new.header} changed"


def adopt(backend: str, running: Running | None, on_disk: Document | None) -> tuple[Member, ...]:
    """The members that stay in a backend whose nodes are unknown: its servers as they run, or those of the file if it does not run.

    A server in maintenance stays if the file has it (someone disabled it by hand); if not, it is leaving. HAProxy says nothing of a
    backend without servers.
    """
    section = on_disk.backends().get(backend) if on_disk else None
    servers = running.servers.get(backend) if running else None
    if servers is None:
        if running is None or on_disk is None or running.skeleton != on_disk.skeleton:
            return section.members if section else ()
        servers = {}
    listed = {member.server: member for member in section.members} if section else {}
    slots = section.slots if section else ()
    found = (_adopted(name, server, listed.get(name), name in slots) for name, server in sorted(servers.items()))
    return tuple(member for member in found if member)


def _adopted(name: str, server: Server, listed: Member | None, slot: bool) -> Member | None:
    """None for one that is leaving, or has no plain address, which only the operator's own lines can define."""
    if listed and (not slot or server.address == (listed.ip, listed.port)):
        return replace(listed, ip=server.ip, port=server.port)
    if server.in_maintenance or (slot and server.address == FREE_ADDRESS):
        return None
    try:
        # A slot that was given away just before a crash: the name of its member is lost, its address is not.
        return member_named(f"{server.ip}:{server.port}" if slot else name, server.ip, server.port)
    except NodeError:
        return None


def _some(items: list[str]) -> str:
    shown = ", ".join(items[:3])
    return shown if len(items) <= 3 else f"{shown} and {len(items) - 3} more"
