"""Slots: servers that are declared beforehand, for backends into which HAProxy takes no server at run time.

Those are backends with a fixed map of servers, with cookies, or with options that ``add server`` does not know. A slot without a
member is in maintenance at an address where nobody listens. A member that joins gives a slot its address and is made ready; one
that leaves puts its slot back into maintenance; all of that is done at run time (measured on 2.6.12 for each of these kinds). When
there are fewer slots than members, a reload makes more: half as many again, and four more at least. A slot whose last connections
go on counts as free, so that a change of all members at once needs none.

Which member has which slot is kept in the file, as a comment behind each line: a member keeps its slot while it is there, also at a
new address, and after a restart of any process. A cookie names the slot: it stays with a member as long as the member stays,
and a client whose member has left goes to whoever has the slot next. It means nothing on another host, whose slots may be dealt
otherwise; who needs that writes ``cookie NAME insert dynamic`` and ``dynamic-cookie-key``, by which HAProxy makes the cookie from
the address.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from lighthouse.haproxy.dynamic import Recipe, recipe
from lighthouse.haproxy.member import UNSET, Member
from lighthouse.haproxy.running import Server
from lighthouse.haproxy.stanzas.lines import defines, template_prefix
from lighthouse.haproxy.stanzas.section import FREE, Section

LEAST_SPARE = 4
FREE_ADDRESS = (FREE.rpartition(":")[0], int(FREE.rpartition(":")[2]))


def slot_names(lines: Sequence[str], count: int) -> tuple[str, ...]:
    """The names of `count` slots: ``slot1`` and so on, without those that the operator's own lines use.

    If a ``server-template`` line has that prefix, they are called ``slot_1`` and so on: its count may be a variable's.
    """
    prefixes = {template_prefix(line) for line in lines}
    stem = "slot"
    while stem in prefixes:
        stem += "_"
    own = [line for line in lines if line.startswith("server")]
    names = (f"{stem}{number}" for number in itertools.count(1))
    return tuple(itertools.islice((name for name in names if not any(defines(line, name) for line in own)), count))


def slots_for(members: int, declared: int) -> int:
    """How many slots to declare for so many members, given how many there are: as many as before while they suffice."""
    if 0 < members <= declared or (declared and not members):
        return declared
    return members + max(LEAST_SPARE, -(-members // 2))


@dataclass(frozen=True, slots=True)
class Before:
    """What decides about slots: the section that runs, if one is known, and its servers."""

    section: Section | None
    servers: Mapping[str, Server]


def slotted(section: Section, defaults: Sequence[str], before: Before, obstacle: str | None = None) -> Section:
    """The section as it should be declared: with slots, enough of them, if its backend takes no server at run time.

    ``obstacle`` is a reason that the lines do not tell. One that has slots, under lines that did not change, keeps them: to take
    them away would be a reload for nothing.
    """
    made = recipe(section, defaults)
    old = before.section
    kept = old is not None and (old.lines, old.template) == (section.lines, section.template) and bool(old.slots)
    if not (made.obstacle or obstacle or kept):
        return section
    count = slots_for(len(section.members), len(old.slots) if old else 0)
    return placed(replace(section, slots=slot_names(section.lines, count)), section.members, made, before)


def placed(section: Section, members: Iterable[Member], made: Recipe, before: Before) -> Section:
    """The section with `members` in its slots, in the order of the slots; those for whom there is none are left out.

    A member keeps the slot that it has in the file. If the file does not tell, it keeps the one that runs at its address. Others
    get a slot that was never used or has been left the longest, and that was declared with the member's own weight if weights
    cannot change. Slots whose last connections have not ended are taken last of all: these
    then have no time limit any more, since HAProxy cannot end them alone.
    """
    free = list(section.slots)
    result: list[Member] = []

    def take(member: Member, slot: str) -> None:
        free.remove(slot)
        weight = UNSET if made.agent and not member.weight else member.weight  # an agent decides about drains
        result.append(replace(member, slot=slot, weight=weight, moved=0))

    homes = {member.name: member.slot for member in before.section.members} if before.section else {}
    homeless = []
    for member in sorted(members):
        home = homes.get(member.name)
        if home in free:
            take(member, home)
        else:
            homeless.append(member)
    strangers = []
    for member in homeless:
        at_home = (slot for slot in free if _serves(before.servers.get(slot), member))
        slot = next(at_home, None)
        take(member, slot) if slot else strangers.append(member)
    for member in strangers:
        if free:
            take(member, min(free, key=lambda slot: _reluctance(before.servers.get(slot), member, made)))
    order = {slot: index for index, slot in enumerate(section.slots)}
    return section.having(sorted(result, key=lambda member: order[member.slot]))


def _serves(server: Server | None, member: Member) -> bool:
    return server is not None and server.address == (member.ip, member.port)


def _reluctance(server: Server | None, member: Member, made: Recipe) -> tuple[bool, bool, bool, int]:
    """The least is taken first; the first of equals wins, so that every host deals alike."""
    if server is None:
        return False, False, False, 0
    misfit = bool(made.fixed) and made.weight_of(member) not in (None, 0, server.initial)
    unlike = server.backup not in (None, made.backup_of(member))
    clean = server.address == FREE_ADDRESS
    return misfit or unlike, not clean, bool(server.sessions), 0 if clean else -server.since
