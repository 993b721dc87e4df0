"""From what should run and what runs to the commands between them. Pure.

Rules, per backend that should run:

* a member that HAProxy has not: **join**; if the backend cannot at run time (`lighthouse.haproxy.dynamic`), `Plan.blocked` says
  why not;
* a member at another address: **move**;
* a member that was put into maintenance or drain by hand, or whose checks were disabled: **ready**, unless the options say
  ``disabled`` or an agent decides;
* a server that is none of the members and none of the operator's own: **leave**, into maintenance, so that it gets no new request;
* one that is in maintenance already: **delete**, which HAProxy refuses while it has connections, so it is asked again at each sync;
* a backend whose members are unknown is left alone.

Joins come before leaves, so that no backend is empty in between.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from lighthouse.errors import NodeError
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.dynamic import Recipe, recipe
from lighthouse.haproxy.member import Member, member_named
from lighthouse.haproxy.running import Admin, Checking, Running, Server
from lighthouse.haproxy.stanzas.section import Section


class Kind(Enum):
    """What a step does; the order is that in which steps are taken."""

    JOIN = 0
    MOVE = 1
    READY = 2
    LEAVE = 3
    DELETE = 4


@dataclass(frozen=True, slots=True)
class Step:
    """One change to one server and its commands."""

    kind: Kind
    backend: str
    server: str
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """``steps`` to take at run time, in order; ``blocked``: why some members need a reload, by backend."""

    steps: tuple[Step, ...] = ()
    blocked: Mapping[str, str] = field(default_factory=dict)

    @property
    def open(self) -> tuple[Step, ...]:
        """The steps without deletes, which may wait for connections to end: nothing of this is left once all is well."""
        return tuple(step for step in self.steps if step.kind is not Kind.DELETE)


def plan(wanted: Document, running: Running, unknown: Collection[str] = ()) -> Plan:
    """How to bring the servers of `running` to `wanted`, which must have the skeleton that runs."""
    defaults = wanted.section("defaults")
    inherited = defaults.lines if defaults else ()
    steps: list[Step] = []
    blocked: dict[str, str] = {}
    for backend, section in wanted.backends().items():
        if backend in unknown or _equal(section, have := running.servers.get(backend, {})):
            continue
        change = _Change(backend, section, have, recipe(section, inherited))
        steps += change.steps()
        if joins := change.blocked():
            blocked[backend] = (
                f"backend {backend} takes no server at run time ({change.recipe.obstacle}): {_some(joins)} joins"
            )
    steps.sort(key=lambda step: (step.kind.value, step.backend, step.server))
    return Plan(tuple(steps), blocked)


def reload_reason(wanted: Document, running: Document | None) -> str | None:
    """Why `wanted` needs a reload, given the document that runs (None: it is not known)."""
    if running is None:
        return "HAProxy runs a configuration that is not ours or not the one on disk"
    if wanted.skeleton == running.skeleton:
        return None
    new, old = ({item.header: tuple(item.shape()) for item in document.sections} for document in (wanted, running))
    reasons = [
        *(f"{header} is new" for header in new if header not in old),
        *(f"{header} is gone" for header in old if header not in new),
        *(f"lines of {header} changed" for header in new if old.get(header, new[header]) != new[header]),
    ]
    return _some(reasons) if reasons else "the paths of HAProxy's files changed"


def adopt(backend: str, running: Running | None, on_disk: Document | None) -> tuple[Member, ...]:
    """The members that stay in a backend whose nodes are unknown: its servers as they run, or those of the file if it does not run.

    A server in maintenance stays if the file has it (someone disabled it by hand); if not, it is leaving.
    """
    section = on_disk.backends().get(backend) if on_disk else None
    listed = {member.name: member for member in section.members} if section else {}
    servers = running.servers.get(backend) if running else None
    if servers is None:
        return tuple(listed.values())
    stay = {name: server for name, server in servers.items() if name in listed or not server.admin & Admin.FORCED_MAINT}
    return tuple(member for name, server in sorted(stay.items()) if (member := _member(name, server)))


def _member(name: str, server: Server) -> Member | None:
    """None for a server without a plain address, which only the operator's own lines can define."""
    try:
        return member_named(name, server.ip, server.port)
    except NodeError:
        return None


def _equal(section: Section, have: Mapping[str, Server]) -> bool:
    """The common case, told quickly."""
    if len(have) != len(section.members):
        return False
    return all((server := have.get(member.name)) and not _differs(member, server) for member in section.members)


def _differs(member: Member, server: Server) -> bool:
    return server.port != member.port or server.ip != member.ip or _disturbed(server)


_FORCED = Admin.FORCED_MAINT | Admin.FORCED_DRAIN


def _disturbed(server: Server) -> bool:
    """Whether someone took the server, or its checks, out of service."""
    return bool(server.admin & _FORCED) or _unchecked(server.check) or _unchecked(server.agent)


def _unchecked(state: int) -> bool:
    return state != 0 and bool(state & Checking.CONFIGURED) and not state & Checking.ENABLED


@dataclass(frozen=True, slots=True)
class _Change:
    """One backend that differs."""

    backend: str
    section: Section
    have: Mapping[str, Server]
    recipe: Recipe

    def blocked(self) -> list[str]:
        if not self.recipe.obstacle:
            return []
        return [member.name for member in self.section.members if member.name not in self.have]

    def steps(self) -> Iterator[Step]:
        wanted = set()
        for member in self.section.members:
            wanted.add(member.name)
            server = self.have.get(member.name)
            if server is not None:
                yield from self._mend(member, server)
            elif not self.recipe.obstacle:
                yield Step(Kind.JOIN, self.backend, member.name, self.recipe.add(self.backend, member))
        for name, server in self.have.items():
            if name not in wanted and not self.section.is_pinned(name):
                yield from self._remove(name, server)

    def _mend(self, member: Member, server: Server) -> Iterator[Step]:
        path = f"{self.backend}/{member.name}"
        if (server.ip, server.port) != (member.ip, member.port):
            yield self._step(Kind.MOVE, member.name, f"set server {path} addr {member.ip} port {member.port}")
        if _disturbed(server):
            yield from self._revive(member.name, server)

    def _revive(self, name: str, server: Server) -> Iterator[Step]:
        path = f"{self.backend}/{name}"
        commands = []
        if _unchecked(server.check):
            commands.append(f"enable health {path}")
        if _unchecked(server.agent):
            commands.append(f"enable agent {path}")
        elsewhere = self.recipe.disabled or server.agent & Checking.CONFIGURED
        if server.admin & _FORCED and not elsewhere:
            commands.append(f"set server {path} state ready")
        if commands:
            yield self._step(Kind.READY, name, *commands)

    def _remove(self, name: str, server: Server) -> Iterator[Step]:
        path = f"{self.backend}/{name}"
        if not server.admin & Admin.FORCED_MAINT:
            agent = (f"disable agent {path}",) if server.agent & Checking.ENABLED else ()
            yield self._step(Kind.LEAVE, name, *agent, f"set server {path} state maint")
        yield self._step(Kind.DELETE, name, f"del server {path}")

    def _step(self, kind: Kind, server: str, *commands: str) -> Step:
        return Step(kind, self.backend, server, commands)


def _some(items: list[str]) -> str:
    shown = ", ".join(items[:3])
    return shown if len(items) <= 3 else f"{shown} and {len(items) - 3} more"
