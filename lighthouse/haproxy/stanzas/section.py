"""A section of HAProxy's configuration, and the guard that nothing in it can become a second line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from lighthouse.haproxy.ids import free_id, id_of
from lighthouse.haproxy.member import UNSET, Member, numbered, ranked
from lighthouse.haproxy.stanzas.lines import defines, has_id, ids_in, one_line
from lighthouse.haproxy.stanzas.upstream import unresolved

MEMBERS = "# members"  # begins the line that says how member lines are made; only member lines follow it
COOKIE = "cookie <name>"  # stands in that line for a cookie with the server's own name
RANK = "id <rank>"  # and this for ids in the order of names

DRAINED = " weight 0"  # follows the name of a member in a slot
FREE = "127.0.0.1:1"  # the address of a slot without a member: should anyone enable it, a connection is refused at once


@dataclass(frozen=True, slots=True)
class Section:
    """A header and its lines. ``template`` is None where no members belong, else what follows the address in a member's line.

    ``slots`` names the servers that are declared for members to come, where HAProxy takes no server at run time
    (`lighthouse.haproxy.slots`); a member then stands in the slot that it names. ``held`` names the servers of members that have
    left whose lines stay, disabled, because other lines name them (`lighthouse.haproxy.held`).
    """

    header: str
    lines: tuple[str, ...] = ()
    template: str | None = None
    members: tuple[Member, ...] = ()
    slots: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    _outline: str = field(default="", init=False, repr=False, compare=False)
    _rendered: str = field(default="", init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _guard(self.header, self.lines, self.template or "")

    @property
    def backend(self) -> str | None:
        """The backend's name, if this is one that has members."""
        return None if self.template is None else self.header.removeprefix("backend ")

    def filled(self, members: Sequence[Member]) -> Section:
        """The same with these members, each with an id, but those whose names the operator's own lines use."""
        shadowed = self.shadowed(members)
        left = [member for member in members if member.name not in shadowed] if shadowed else members
        if self.slots:
            return self.having(left)
        return self.having((ranked if self.is_ranked else numbered)(left, ids_in(self.lines)))

    def shadowed(self, members: Iterable[Member]) -> dict[str, Member]:
        """Those whose names the operator's own lines use, by name."""
        if not any(line.startswith("server") for line in self.lines):
            return {}
        return {member.name: member for member in members if self.is_pinned(member.name)}

    def having(self, members: Iterable[Member], slots: tuple[str, ...] | None = None) -> Section:
        """The same with other members, and other slots if any are given."""
        return Section(self.header, self.lines, self.template, tuple(members), self.slots if slots is None else slots)

    def holding(self, servers: Iterable[str]) -> Section:
        """The same, with the lines of these servers held and of no others."""
        held = tuple(sorted(servers))
        return self if held == self.held else replace(self, held=held)

    def has_shape_of(self, other: Section) -> bool:
        """Whether they differ in their members at most."""
        mine = self.header, self.lines, self.template, self.slots
        return mine == (other.header, other.lines, other.template, other.slots)

    @property
    def servers(self) -> frozenset[str]:
        """The servers for members that it declares, with or without a member."""
        return frozenset((*(member.server for member in self.members), *self.slots, *self.held))

    @property
    def lasting(self) -> tuple[str, ...]:
        """Its lines, those of a proxy without the addresses of names."""
        return tuple(map(unresolved, self.lines)) if self.header.startswith("listen ") else self.lines

    def shape(self) -> Iterator[str]:
        """Its lines without what changes at run time: the members, and the addresses of names."""
        yield self.header
        for line in self.lasting:
            yield f"\t{line}"
        if self.template is not None:
            room = f" in {len(self.slots)} slots" if self.slots else ""
            yield f"\t{MEMBERS}{room}: {self.template}".rstrip()

    @property
    def outline(self) -> str:
        """The text of `shape`; made once, since a section lives through many syncs."""
        if not self._outline:
            object.__setattr__(self, "_outline", "\n".join(self.shape()))
        return self._outline

    @property
    def rendered(self) -> str:
        """The text of it all; made once."""
        if not self._rendered:
            object.__setattr__(self, "_rendered", "\n".join(self.text()))
        return self._rendered

    def text(self) -> Iterator[str]:
        """Its lines."""
        if self.template is None:
            yield self.header
            yield from (f"\t{line}" for line in self.lines)
            return
        yield from self.shape()
        if not self.slots:
            yield from self._lines_of(self.members)
            yield from self._held_lines()
            return
        placed = {member.slot: member for member in self.members}
        for slot in self.slots:
            yield self.server_line(placed[slot]) if slot in placed else self.free_line(slot)

    def _lines_of(self, members: Iterable[Member]) -> list[str]:
        """The lines of members that are not in slots."""
        gives_ids, suffix, is_own = self.gives_ids, self.suffix(""), COOKIE in (self.template or "")
        return [
            f"\tserver {member.place if gives_ids else f'{member.name} {member.address}'}"
            f"{self.suffix(member.name) if is_own else suffix}{' ' if member.keywords else ''}{member.keywords}"
            for member in members
        ]

    def _held_lines(self) -> Iterator[str]:
        """The lines of servers without a member. One that comes back finds its id."""
        used = {*ids_in(self.lines), *(member.id for member in self.members)} if self.held else set()
        for server in self.held:
            number = free_id(id_of(server), used)
            used.add(number)
            gives_id = self.gives_ids and not self.is_ranked
            yield self.opening(server, f"{FREE} id {number}" if gives_id else FREE, disabled=True)

    def server_line(self, member: Member) -> str:
        """The line of one member; in a slot it ends with the member's name, which nothing else would tell.

        A weight of 0 is only noted there, and set at run time: where weights are fixed, what is declared with 0 never gets another.
        So that it gets no connection before, such a member is declared in maintenance.
        """
        if not member.slot:
            return self._lines_of([member])[0]
        drained = member.weight == 0
        keywords = replace(member, weight=UNSET).keywords if drained else member.keywords
        opening = self.opening(member.slot, member.address, disabled=drained)
        name = f"# {member.name}{DRAINED if drained else ''}"
        return " ".join(part for part in (opening, keywords, name) if part)

    @property
    def gives_ids(self) -> bool:
        """Whether its members have ids that are made from their names: neither slots nor one that the operator gave."""
        return not self.slots and (self.is_ranked or not has_id(self.template or ""))

    @property
    def is_ranked(self) -> bool:
        """Whether these are in the order of names."""
        return (self.template or "").startswith(RANK)

    def free_line(self, slot: str) -> str:
        """The line of a server without a member. ``disabled`` stands first, because a comment in the options would hide it."""
        return self.opening(slot, FREE, disabled=True)

    def opening(self, server: str, address: str, *, disabled: bool) -> str:
        """What each server line begins with, up to the options of its member."""
        return f"\tserver {server} {address}{' disabled' if disabled else ''}{self.suffix(server)}"

    def suffix(self, server: str) -> str:
        """What follows a server's address, with the space before it."""
        template = (self.template or "").removeprefix(RANK).lstrip()
        if template.startswith(COOKIE):
            template = f"cookie {server}{template.removeprefix(COOKIE)}"
        return f" {template}" if template else ""

    def is_pinned(self, server: str) -> bool:
        """Whether the operator's own lines define this server, so that it is none of ours."""
        return any(defines(line, server) for line in self.lines if line.startswith("server"))


@lru_cache(maxsize=8192)  # a section is made anew with each change of its members, and its lines are the same
def _guard(header: str, lines: tuple[str, ...], template: str) -> None:
    for line in (header, *lines, template):
        one_line(line)
