"""Who gets a port that several listeners want. Pure.

HAProxy would let them share it, and deal the connections to all in turn. So one gets it: whoever listens there already, so that no
change of another file takes away what works; then the first in the order of the listeners. One that is denied stays where it
listens, before anybody who is new may listen there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lighthouse.haproxy.binds import places_of
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.listeners import Claims
from lighthouse.haproxy.stanzas.frontend import name_of
from lighthouse.haproxy.stanzas.section import Section

Spot = tuple[str, int | str]
"""An address and a port; for a UNIX socket nothing and its path."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A section that is to listen at `spots`; ``owner`` says whose it is, in words."""

    section: Section
    owner: str
    spots: tuple[Spot, ...]


@dataclass(frozen=True, slots=True)
class Denial:
    """``spot`` belongs to ``owner``, which ``listens`` there already or comes first; ``stays``: what was in force and goes on."""

    spot: Spot
    owner: str
    listens: bool
    stays: Section | None

    def __str__(self) -> str:
        address, port = self.spot
        where = f"port {port}" if isinstance(port, int) else f"{address}{port}"
        why = ", which listens there already" if self.listens else ""
        rest = "; choose another, until then it stays where it listens" if self.stays else "; choose another"
        return f"{where} belongs to {self.owner}{why}{rest}"


def spots_of(section: Section, head: Section | None = None) -> tuple[Spot, ...]:
    """Where a section listens, as far as its lines tell; `head` is the section ``global``, which peers need for that."""
    document = Document((), tuple(item for item in (head, section) if item))
    return tuple(("", place.host) if not place.port else (place.host, place.port) for _, place in places_of(document))


def settle(wishes: Sequence[Wish], previous: Document | None) -> Mapping[str, Denial]:
    """Who is denied what it wants, by the header of the section; `previous` is what is in force."""
    return _Settlement(wishes, previous).run()


class _Settlement:
    def __init__(self, wishes: Sequence[Wish], previous: Document | None) -> None:
        self._wishes = wishes
        head = previous.section("global") if previous else None
        sections = previous.sections if previous else ()
        # Frontends of an earlier version have a name without the suffix.
        self._old = {name_of(item.header): (item, found) for item in sections if (found := spots_of(item, head))}
        self._claims = Claims()
        self._listening: set[str] = set()
        self._denied: dict[str, Denial] = {}

    def run(self) -> Mapping[str, Denial]:
        """Those who keep their ports come first, then those who cannot move, those who can, and at last those who are new."""
        rest: list[Wish] = []
        for wish in self._wishes:
            if self._keeps(wish):
                self._listening.add(wish.owner)
                self._grant(wish)
            else:
                rest.append(wish)
        movers = [wish for wish in rest if self._before(wish)]
        stuck = [wish for wish in movers if self._taker(wish)]
        for wish in (*stuck, *(wish for wish in movers if wish not in stuck)):
            self._grant(wish)
        for wish in rest:
            if wish not in movers:
                self._grant(wish)
        return self._denied

    def _before(self, wish: Wish) -> tuple[Section, tuple[Spot, ...]] | None:
        return self._old.get(name_of(wish.section.header))

    def _keeps(self, wish: Wish) -> bool:
        """Whether it listens at all these ports already."""
        before = self._before(wish)
        return before is not None and {port for _, port in wish.spots} <= {port for _, port in before[1]}

    def _taker(self, wish: Wish) -> tuple[Spot, str] | None:
        return self._blocked(wish.spots, wish.owner)

    def _blocked(self, spots: Iterable[Spot], owner: str) -> tuple[Spot, str] | None:
        found = ((spot, self._claims.owner(*spot)) for spot in spots)
        return next(((spot, other) for spot, other in found if other not in (None, owner) and other), None)

    def _grant(self, wish: Wish) -> None:
        taker = self._taker(wish)
        if taker is None:
            self._take(wish.spots, wish.owner)
            return
        before, stays = self._before(wish), None
        if before is not None and self._blocked(before[1], wish.owner) is None:
            stays = before[0]
            self._take(before[1], wish.owner)
        spot, owner = taker
        self._denied[wish.section.header] = Denial(spot, owner, owner in self._listening, stays)

    def _take(self, spots: Iterable[Spot], owner: str) -> None:
        for address, port in spots:
            self._claims.take(address, port, owner)
