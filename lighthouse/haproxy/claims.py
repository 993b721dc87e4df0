"""Who gets a port that several listeners want. Pure.

HAProxy would let them share it, and deal the connections to all in turn. So one gets it: whoever listens there already, so that no
change of another file takes away what works, and nobody gets all addresses of a port of which others have one; then the first in
the order of the listeners. One that is denied stays where it listens, before anybody who is new may listen there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lighthouse.haproxy.addresses import Claims, Spot, whole
from lighthouse.haproxy.binds import places_of
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.stanzas.frontend import name_of
from lighthouse.haproxy.stanzas.section import Section


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
    return tuple(spot for _, place in places_of(document) for spot in place.spots)


def settle(wishes: Sequence[Wish], previous: Document | None) -> Mapping[str, Denial]:
    """Who is denied what it wants, by the header of the section; `previous` is what is in force."""
    pinned = frozenset[str]()
    while True:
        settlement = _Settlement(wishes, previous, pinned)
        if settlement.nobody_moves():
            return {}
        denied = settlement.run()
        if settlement.lost <= pinned:
            return denied
        pinned |= settlement.lost


class _Settlement:
    """One attempt. ``lost``: the owners who listened and now cannot, not even where they did; `pinned` ones keep their places."""

    def __init__(self, wishes: Sequence[Wish], previous: Document | None, pinned: frozenset[str]) -> None:
        self.lost: frozenset[str] = frozenset()
        self._wishes = wishes
        self._pinned = pinned
        head = previous.section("global") if previous else None
        sections = previous.sections if previous else ()
        # Frontends of an earlier version have a name without the suffix.
        self._old = {name_of(item.header): (item, found) for item in sections if (found := spots_of(item, head))}
        self._claims = Claims()
        self._homes = Claims()
        self._listening: set[tuple[str, int | str]] = set()
        self._denied: dict[str, Denial] = {}

    def nobody_moves(self) -> bool:
        """Whether all listen where they want to already: the common case, told quickly."""
        return all(map(self._stays, self._wishes))

    def run(self) -> Mapping[str, Denial]:
        """Where one listens and goes on to do so is closed to others. Then come those who move, and at last those who are new."""
        there = [wish for wish in self._wishes if self._before(wish)]
        for wish in sorted(there, key=lambda wish: not self._stays(wish)):
            self._keep(wish)
        movers: dict[str, Wish] = {}
        for wish in there:
            if self._stays(wish):
                self._grant(wish)
            else:
                movers[wish.owner] = wish
        self._move(movers)
        for wish in self._wishes:
            if wish not in there:
                self._grant(wish)
        return self._denied

    def _move(self, movers: dict[str, Wish]) -> None:
        """Those who cannot move come first, because they stay; then those who displace nobody, then those who change places."""
        movers = dict(sorted(movers.items(), key=lambda item: not self._keeps_ports(item[1])))
        while movers:
            stuck = [wish for wish in movers.values() if self._taker(wish)]
            free = [] if stuck else [wish for wish in movers.values() if self._holder(wish, movers) is None]
            for wish in stuck or free or self._ring(movers):
                self._grant(wish)
                del movers[wish.owner]

    def _ring(self, movers: Mapping[str, Wish]) -> list[Wish]:
        """Some who want the places of each other, where each one wants that of somebody."""
        path: list[Wish] = []
        wish: Wish | None = next(iter(movers.values()))
        while wish is not None and wish not in path:
            path.append(wish)
            wish = self._holder(wish, movers)
        return path[path.index(wish) :] if wish else path

    def _holder(self, wish: Wish, movers: Mapping[str, Wish]) -> Wish | None:
        """One of the movers who listens where this one wants to."""
        found = (owner for spot in wish.spots for owner in self._homes.owners(*spot) if owner != wish.owner)
        return next((movers[owner] for owner in found if owner in movers), None)

    def _before(self, wish: Wish) -> tuple[Spot, ...]:
        return self._home(wish)[1]

    def _home(self, wish: Wish) -> tuple[Section | None, tuple[Spot, ...]]:
        return self._old.get(name_of(wish.section.header), (None, ()))

    def _stays(self, wish: Wish) -> bool:
        """Whether it listens at all these places already."""
        return len(_covered(wish.spots, self._before(wish))) == len(wish.spots)

    def _keeps_ports(self, wish: Wish) -> bool:
        return {port for _, port in wish.spots} <= {port for _, port in self._before(wish)}

    def _keep(self, wish: Wish) -> None:
        """Claims what it has and goes on to want."""
        before = self._before(wish)
        kept = [*_covered(wish.spots, before), *_covered(before, before if wish.owner in self._pinned else wish.spots)]
        for address, port in kept if self._blocked(kept, wish.owner) is None else ():
            self._claims.add(address, port, wish.owner)
            self._listening.add((wish.owner, port))
        for address, port in before:
            self._homes.add(address, port, wish.owner)

    def _taker(self, wish: Wish) -> tuple[Spot, str] | None:
        return self._blocked(wish.spots, wish.owner)

    def _blocked(self, spots: Iterable[Spot], owner: str) -> tuple[Spot, str] | None:
        found = ((spot, other) for spot in spots for other in self._claims.owners(*spot))
        return next(((spot, other) for spot, other in found if other != owner), None)

    def _grant(self, wish: Wish) -> None:
        taker = self._taker(wish)
        if taker is None:
            self._take(wish.spots, wish.owner)
            return
        home, before = self._home(wish)
        stays = home if self._blocked(before, wish.owner) is None else None
        if stays is not None:
            self._take(before, wish.owner)
        elif before:
            self.lost |= {wish.owner}
        spot, owner = taker
        self._denied[wish.section.header] = Denial(spot, owner, (owner, spot[1]) in self._listening, stays)

    def _take(self, spots: Iterable[Spot], owner: str) -> None:
        for address, port in spots:
            self._claims.add(address, port, owner)


def _covered(spots: Iterable[Spot], homes: Iterable[Spot]) -> list[Spot]:
    """The `spots` at which somebody listens who listens at `homes`."""
    there = set(homes)
    return [(address, port) for address, port in spots if {(address, port), (whole(address), port)} & there]
