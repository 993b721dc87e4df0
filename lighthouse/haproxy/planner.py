"""From what should run and what runs to the commands between them. Pure.

Rules, per backend that should run:

* a member that HAProxy has not: **join**, as a server of its own or in the slot that it was given (`lighthouse.haproxy.slots`); if
  neither can be at run time, `Plan.blocked` says why not;
* a member at another address, or with another weight or limit: **change**;
* a member that was put into maintenance or drain by hand, or whose checks were disabled: **ready**, unless the options say
  ``disabled`` or an agent decides;
* a server that is none of the members and none of the operator's own: **leave**, into maintenance, so that it gets no new
  connection, while those that it has go on (measured on 2.6.12);
* one that has been leaving for too long: **cut**, its sessions are closed;
* one that is in maintenance already: **delete**, which HAProxy refuses while it has connections, so it is asked again at each sync;
  a slot is **free** again, at its neutral address, when its last session has ended;
* a backend whose members are unknown is left alone.

Joins come before leaves, so that no backend is empty in between.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from lighthouse.errors import NodeError
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.dynamic import Recipe, recipe
from lighthouse.haproxy.member import Member, member_named
from lighthouse.haproxy.running import Admin, Checking, Running, Server
from lighthouse.haproxy.slots import FREE_ADDRESS
from lighthouse.haproxy.stanzas.section import Section


class Kind(Enum):
    """What a step does; the order is that in which steps are taken."""

    JOIN = 0
    CHANGE = 1
    READY = 2
    LEAVE = 3
    CUT = 4
    FREE = 5
    DELETE = 6


_WAITS = (Kind.CUT, Kind.DELETE)


@dataclass(frozen=True, slots=True)
class Step:
    """One change to one server and its commands."""

    kind: Kind
    backend: str
    server: str
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """``steps`` to take at run time, in order; ``blocked``: what needs a reload and why, by backend."""

    steps: tuple[Step, ...] = ()
    blocked: Mapping[str, str] = field(default_factory=dict)

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
    defaults = wanted.section("defaults")
    inherited = defaults.lines if defaults else ()
    steps: list[Step] = []
    blocked: dict[str, str] = {}
    for backend, section in wanted.backends().items():
        if backend in unknown:
            continue
        have = running.servers.get(backend, {})
        change = _Change(backend, section, have, recipe(section, inherited), expired)
        if change.is_none():
            continue
        steps += change.steps()
        if reasons := list(change.blocked()):
            blocked[backend] = f"backend {backend}: {_some(reasons)}"
    steps.sort(key=lambda step: (step.kind.value, step.backend, step.server))
    return Plan(tuple(steps), blocked)


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
        *(reason for header in new if header in old and (reason := _change(new[header], old[header]))),
    ]
    return _some(reasons) if reasons else "the paths of HAProxy's files changed"


def _change(new: Section, old: Section) -> str | None:
    if tuple(new.shape()) == tuple(old.shape()):
        return None
    if (new.lines, new.template) == (old.lines, old.template):
        return f"{new.header} needs {len(new.slots)} slots for its members"
    return f"lines of {new.header} changed"


def adopt(backend: str, running: Running | None, on_disk: Document | None) -> tuple[Member, ...]:
    """The members that stay in a backend whose nodes are unknown: its servers as they run, or those of the file if it does not run.

    A server in maintenance stays if the file has it (someone disabled it by hand); if not, it is leaving.
    """
    section = on_disk.backends().get(backend) if on_disk else None
    servers = running.servers.get(backend) if running else None
    if servers is None:
        return section.members if section else ()
    listed = {member.server: member for member in section.members} if section else {}
    slots = section.slots if section else ()
    found = (_adopted(name, server, listed.get(name), name in slots) for name, server in sorted(servers.items()))
    return tuple(member for member in found if member)


def _adopted(name: str, server: Server, listed: Member | None, slot: bool) -> Member | None:
    """None for one that is leaving, or has no plain address, which only the operator's own lines can define."""
    if listed and slot and server.address != (listed.ip, listed.port) and server.in_maintenance:
        return None
    if listed and (not slot or server.address == (listed.ip, listed.port)):
        return replace(listed, ip=server.ip, port=server.port)
    if server.in_maintenance or (slot and server.address == FREE_ADDRESS):
        return None
    try:
        # A slot that was given away just before a crash: the name of its member is lost, its address is not.
        return member_named(f"{server.ip}:{server.port}" if slot else name, server.ip, server.port)
    except NodeError:
        return None


_FORCED = Admin.FORCED_MAINT | Admin.FORCED_DRAIN


def _unchecked(state: int) -> bool:
    return state != 0 and bool(state & Checking.CONFIGURED) and not state & Checking.ENABLED


@dataclass(frozen=True, slots=True)
class _Change:
    """One backend: what it should have and has."""

    backend: str
    section: Section
    have: Mapping[str, Server]
    recipe: Recipe
    expired: Collection[tuple[str, str]]

    def is_none(self) -> bool:
        """Whether nothing differs: the common case, told quickly."""
        if len(self.have) != len(self.section.slots or self.section.members):
            return False
        wanted = {member.server: member for member in self.section.members}
        return all(
            self._is_free(server) if (member := wanted.get(name)) is None else self._is_well(member, server)
            for name, server in self.have.items()
        )

    def blocked(self) -> Iterator[str]:
        for slot in self.section.slots:
            if slot not in self.have:
                yield f"{slot} was deleted"
        for member in self.section.members:
            server = self.have.get(member.server)
            if server is not None:
                yield from self._fixed(member, server)
            elif self.recipe.obstacle and not self.section.slots:
                yield f"it takes no server at run time ({self.recipe.obstacle}): {member.name} joins"

    def steps(self) -> Iterator[Step]:
        wanted = {member.server: member for member in self.section.members}
        for name, member in wanted.items():
            server = self.have.get(name)
            if server is not None:
                yield from self._mend(member, server)
            elif not self.recipe.obstacle and not self.section.slots:
                yield self._step(Kind.JOIN, name, *self.recipe.add(self.backend, member))
        for name, server in self.have.items():
            if name in wanted or self.section.is_pinned(name):
                continue
            if not server.in_maintenance:
                agent = (f"disable agent {self.backend}/{name}",) if server.agent & Checking.ENABLED else ()
                yield self._step(Kind.LEAVE, name, *agent, f"set server {self.backend}/{name} state maint")
            if name in self.section.slots:
                yield from self._free(name, server)
            else:
                yield from self._delete(name)

    # -- a member --------------------------------------------------------------------------------------------------------------

    def _is_well(self, member: Member, server: Server) -> bool:
        return (
            server.address == (member.ip, member.port)
            and not server.admin & _FORCED
            and not _unchecked(server.check)
            and not _unchecked(server.agent)
            and not self._settings(member, server)
            and not any(self._fixed(member, server))
        )

    def _mend(self, member: Member, server: Server) -> Iterator[Step]:
        path = f"{self.backend}/{member.server}"
        moved = server.address != (member.ip, member.port)
        changes = [f"set server {path} addr {member.ip} port {member.port}"] if moved else []
        changes += self._settings(member, server)
        # An agent that is at work may itself have put its server into maintenance; in a free slot none is at work.
        elsewhere = self.recipe.disabled or (
            server.agent & Checking.CONFIGURED and not (member.slot and (moved or _unchecked(server.agent)))
        )
        revival = []
        if _unchecked(server.check):
            revival.append(f"enable health {path}")
        if _unchecked(server.agent):
            revival.append(f"enable agent {path}")
        if server.admin & _FORCED and not elsewhere:
            revival.append(f"set server {path} state ready")
        if member.slot and moved and revival:
            yield self._step(Kind.JOIN, member.server, *changes, *revival)
            return
        if changes:
            yield self._step(Kind.CHANGE, member.server, *changes)
        if revival:
            yield self._step(Kind.READY, member.server, *revival)

    def _settings(self, member: Member, server: Server) -> list[str]:
        """The commands for weight and limit. An agent may change the weight, so it is left to one that is configured."""
        path = f"{self.backend}/{member.server}"
        commands = []
        weight = self.recipe.weight_of(member)
        if server.weight != weight and not server.agent & Checking.CONFIGURED and self._takes(weight, server):
            commands.append(f"set server {path} weight {weight}")
        maxconn = self.recipe.maxconn_of(member)
        if server.maxconn not in (None, maxconn):
            commands.append(f"set maxconn server {path} {maxconn}")
        return commands

    def _takes(self, weight: int, server: Server) -> bool:
        return self.recipe.fixed is None or weight in (0, server.initial)

    def _fixed(self, member: Member, server: Server) -> Iterator[str]:
        """What HAProxy gives a server only at a reload."""
        weight = self.recipe.weight_of(member)
        if not self._takes(weight, server):
            yield f"{self.recipe.fixed}, so that {member.name} gets its weight {weight} at a reload only"
        if server.backup not in (None, member.backup or self.recipe.backup):
            yield f"{member.name} {'becomes a backup' if member.backup else 'is a backup no more'}, which needs a reload"

    # -- no member -------------------------------------------------------------------------------------------------------------

    def _is_free(self, server: Server) -> bool:
        return server.in_maintenance and server.address == FREE_ADDRESS

    def _free(self, slot: str, server: Server) -> Iterator[Step]:
        if not server.in_maintenance or server.address == FREE_ADDRESS or server.sessions is None:
            return
        if not server.sessions:
            ip, port = FREE_ADDRESS
            yield self._step(Kind.FREE, slot, f"set server {self.backend}/{slot} addr {ip} port {port}")
        elif (self.backend, slot) in self.expired:
            yield self._step(Kind.CUT, slot, f"shutdown sessions server {self.backend}/{slot}")

    def _delete(self, name: str) -> Iterator[Step]:
        if (self.backend, name) in self.expired:
            yield self._step(Kind.CUT, name, f"shutdown sessions server {self.backend}/{name}")
        yield self._step(Kind.DELETE, name, f"del server {self.backend}/{name}")

    def _step(self, kind: Kind, server: str, *commands: str) -> Step:
        return Step(kind, self.backend, server, commands)


def _some(items: list[str]) -> str:
    shown = ", ".join(items[:3])
    return shown if len(items) <= 3 else f"{shown} and {len(items) - 3} more"
