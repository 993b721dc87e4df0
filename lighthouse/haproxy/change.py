"""One backend: from its members and the servers that run to the commands between them. Pure; the rules are in `planner`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

from lighthouse.haproxy.dynamic import Recipe
from lighthouse.haproxy.ids import free_id, rank_of
from lighthouse.haproxy.member import Member
from lighthouse.haproxy.running import Admin, Checking, Server
from lighthouse.haproxy.slots import FREE_ADDRESS
from lighthouse.haproxy.stanzas.section import Section


class Kind(IntEnum):
    """What a step does; the order is that in which steps are taken."""

    JOIN = 0
    CHANGE = 1
    READY = 2
    LEAVE = 3
    CUT = 4
    FREE = 5
    DELETE = 6


@dataclass(frozen=True, slots=True)
class Step:
    """One change to one server and its commands."""

    kind: Kind
    backend: str
    server: str
    commands: tuple[str, ...]


_FORCED = Admin.FORCED_MAINT | Admin.FORCED_DRAIN


def _unchecked(state: int) -> bool:
    return state != 0 and bool(state & Checking.CONFIGURED) and not state & Checking.ENABLED


@dataclass(frozen=True, slots=True)
class Change:
    """One backend: what it should have and has, and the steps between them.

    ``all`` are the servers that it has, those that are left alone included: a joining server must have an id of its own.
    """

    backend: str
    section: Section
    have: Mapping[str, Server]
    recipe: Recipe
    expired: Collection[tuple[str, str]]
    all: Mapping[str, Server]

    def is_none(self) -> bool:
        """Whether nothing differs: the common case, told quickly."""
        if len(self.have) != len(self.section.slots or self.section.members) + len(self.section.held):
            return False
        wanted = {member.server: member for member in self.section.members}
        vacant = {*self.section.slots, *self.section.held}
        return all(
            name in vacant and self._is_free(server)
            if (member := wanted.get(name)) is None
            else self._is_well(member, server)
            for name, server in self.have.items()
        )

    def blocked(self) -> Iterator[str]:
        """What only a reload can bring, in words."""
        for slot in self.section.slots:
            if slot not in self.have:
                yield f"{slot} was deleted"
        if self.recipe.obstacle and not self.section.slots:
            for member in self.section.members:
                if member.server not in self.have:
                    yield f"it takes no server at run time ({self.recipe.obstacle}): {member.name} joins"

    def waiting(self) -> dict[str, str]:
        """What members get with the next reload only, by their names. A registry is no reason for a reload."""
        if self.recipe.fixed is None and self._is_free_of_backups():
            return {}
        found = ((member, self.have.get(member.server)) for member in self.section.members)
        return {
            member.name: "; ".join(reasons)
            for member, server in found
            if server is not None and (reasons := list(self._late(member, server)))
        }

    def steps(self) -> Iterator[Step]:
        """What can be done at run time."""
        wanted = {member.server: member for member in self.section.members}
        for name, member in wanted.items():
            if (server := self.have.get(name)) is not None:
                yield from self._mend(member, server)
        if not self.recipe.obstacle and not self.section.slots:
            yield from self._joins()
        for name, server in self.have.items():
            if name in wanted or self.section.is_pinned(name):
                continue
            agent = (f"disable agent {self.backend}/{name}",) if server.agent & Checking.ENABLED else ()
            if agent or not server.in_maintenance:  # an agent at work would put it to work again
                yield self._step(Kind.LEAVE, name, *agent, f"set server {self.backend}/{name} state maint")
            if name in self.section.slots or name in self.section.held:
                yield from self._free(name, server)
            else:
                yield from self._delete(name)

    def _joins(self) -> Iterator[Step]:
        joining = [member for member in self.section.members if member.server not in self.have]
        if not joining:
            return
        section, used = self.section, {server.id for server in self.all.values()}
        ours = {
            name: server.id for name, server in self.all.items() if section.is_ranked and not section.is_pinned(name)
        }
        for member in joining:
            number = rank_of(member.name, ours, used) if section.is_ranked else free_id(member.id, used)
            used.add(number)
            ours[member.name] = number
            commands = self.recipe.add(self.backend, member, number if section.gives_ids else None)
            yield self._step(Kind.JOIN, member.server, *commands)

    # -- a member --------------------------------------------------------------------------------------------------------------

    def _is_well(self, member: Member, server: Server) -> bool:
        return (
            server.address == (member.ip, member.port)
            and not server.admin & _FORCED
            and not _unchecked(server.check)
            and not _unchecked(server.agent)
            and not self._is_put_down(server)
            and not self._settings(member, server)
        )

    def _is_put_down(self, server: Server) -> bool:
        return server.is_put_down and not self.recipe.follows

    def _mend(self, member: Member, server: Server) -> Iterator[Step]:
        path = f"{self.backend}/{member.server}"
        moved = server.address != (member.ip, member.port)
        changes = [f"set server {path} addr {member.ip} port {member.port}"] if moved else []
        changes += self._settings(member, server)
        # An agent that is at work may itself have put its server into maintenance; in a free slot none is at work.
        rests = moved and (bool(member.slot) or server.address == FREE_ADDRESS)
        idle = rests or _unchecked(server.agent)
        elsewhere = self.recipe.disabled or (server.agent & Checking.CONFIGURED and not idle)
        revival = []
        if _unchecked(server.check):
            revival.append(f"enable health {path}")
        if _unchecked(server.agent):
            revival.append(f"enable agent {path}")
        if server.admin & _FORCED and not elsewhere:
            revival.append(f"set server {path} state ready")
        if self._is_put_down(server):
            revival.append(f"set server {path} health up")
        if rests and revival:
            # Since 3.0 an address is in force a moment after its command, so the server is put to work once it is seen there: it
            # would still get requests at its old one. An agent may be at work already, so that nobody would do it later.
            now = revival if server.agent & Checking.CONFIGURED else ()
            yield self._step(Kind.JOIN if member.slot else Kind.CHANGE, member.server, *changes, *now)
            return
        if changes:
            yield self._step(Kind.CHANGE, member.server, *changes)
        if revival:
            yield self._step(Kind.READY, member.server, *revival)

    def _settings(self, member: Member, server: Server) -> list[str]:
        """The commands for weight, limit and TLS. An agent that is configured may change the former two, so they are left to it."""
        path = f"{self.backend}/{member.server}"
        commands = []
        weight = self._weight(member, server)
        agent = server.agent & Checking.CONFIGURED
        if server.weight != weight and not agent:
            commands.append(f"set server {path} weight {weight}")
        maxconn = self.recipe.maxconn_of(member)
        if maxconn is not None and server.maxconn not in (None, maxconn) and not agent:
            commands.append(f"set maxconn server {path} {maxconn}")
        if None not in (server.ssl, self.recipe.ssl) and server.ssl != self.recipe.ssl:
            commands.append(f"set server {path} ssl {'on' if self.recipe.ssl else 'off'}")
        return commands

    def _weight(self, member: Member, server: Server) -> int:
        """The weight that can be had now: where HAProxy takes only 0 % and 100 %, that of the declaration for any but 0.

        That of the declaration too where the file alone tells it.
        """
        weight = self.recipe.weight_of(member)
        if weight is None or (weight and self.recipe.fixed is not None):
            return server.initial
        return weight

    def _is_free_of_backups(self) -> bool:
        """Whether certainly each server is a backup, or is none, as the options say: the common case, told quickly."""
        usual = self.recipe.backup
        return all(server.backup in (None, usual) for server in self.have.values()) and not any(
            member.backup for member in self.section.members
        )

    def _late(self, member: Member, server: Server) -> Iterator[str]:
        weight, due = self.recipe.weight_of(member), self._weight(member, server)
        if weight not in (None, due) and not server.agent & Checking.CONFIGURED:
            yield (
                f"weight {weight} is wanted and {due} runs until the next reload, because {self.recipe.fixed}: "
                f"choose an algorithm that takes weights at run time, `balance roundrobin` or `hash-type consistent` for instance"
            )
        backup = self.recipe.backup_of(member)
        if backup is not None and server.backup not in (None, backup):
            yield (
                f"backup {str(backup).lower()} is wanted and {str(server.backup).lower()} runs until the next reload, because "
                f"HAProxy cannot change it for a server that it has: "
                + ("set it in `server_options`" if self.section.slots else "let the node leave and join again")
            )

    # -- no member -------------------------------------------------------------------------------------------------------------

    def _is_free(self, server: Server) -> bool:
        return server.in_maintenance and server.address == FREE_ADDRESS and not server.agent & Checking.ENABLED

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
