"""Where the listeners of a document listen, read from their lines. Pure.

Peers listen too: the one of this host, which ``localpeer`` names, at the address of its line.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain, product

from lighthouse.haproxy.addresses import ALL_6, Claims, Spot, overlap, reach, six_alone
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.stanzas.global_ import local_peer_of
from lighthouse.haproxy.stanzas.lines import has
from lighthouse.haproxy.stanzas.section import Section

MAX_RANGE = 1000  # ports of one range that are looked at
_LISTENERS = ("frontend ", "listen ")


@dataclass(frozen=True, slots=True)
class Place:
    """An address and its port, or the path of a UNIX socket with port 0.

    ``foreign``: it need not be an address of this host. ``v6only``: ``::`` leaves IPv4 to others.
    """

    host: str
    port: int
    foreign: bool = False
    v6only: bool = False

    @property
    def spots(self) -> tuple[Spot, ...]:
        """What no two listeners had better have both."""
        return (
            tuple((address, self.port) for address in reach(self.host, self.v6only))
            if self.port
            else (("", self.host),)
        )

    def meets(self, other: Place) -> bool:
        """Whether they have the path in common, or the port of an address."""
        pairs = product(self.spots, other.spots)
        return any(one[1] == another[1] and overlap(one[0], another[0]) for one, another in pairs)

    def __str__(self) -> str:
        if not self.port:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host or '*'}:{self.port}"


def places_of(document: Document) -> Iterator[tuple[str, Place]]:
    """Header and place of all that listen at plain addresses or paths; what else there is, such as host names, is not told."""
    for section in document.sections:
        for line in bind_lines(section, document):
            yield from ((section.header, place) for place in _places(line, document) or ())


def crowding(document: Document, stays: Callable[[str], bool]) -> Iterator[tuple[str, Place, str]]:
    """Header and place of those who listen where sections do that `stays` tells of, by their headers, and who that is.

    `stays` is asked about each again when its turn comes: who crowds may come to stay as well.
    """
    taken, places = Claims(), list(places_of(document))
    for header, place in places:
        for spot in place.spots if stays(header) else ():
            taken.add(*spot, header)
    for header, place in places:
        holder = next((holder for spot in place.spots for holder in taken.owners(*spot)), None)
        if holder and not stays(header):
            yield header, place, holder


def is_clear(section: Section, document: Document) -> bool:
    """Whether all that keeps a listener of `document` from its places shows when these are tried."""
    lines = bind_lines(section, document)
    return all(_places(line, document) is not None and "interface" not in line.split() for line in lines)


def bind_lines(section: Section, document: Document) -> list[str]:
    """The lines by which a section of `document` listens."""
    if section.header.startswith(_LISTENERS):
        return list(filter(is_bind, section.lines))
    if section.header.startswith("peers ") and not has(section.lines, "disabled"):
        head = document.section("global")
        local = local_peer_of(head.lines if head else ())
        return [line for line in section.lines if local and line.split()[:2] == ["peer", local]]
    return []


def is_bind(line: str) -> bool:
    """Whether by this line of a frontend it listens."""
    return line.split()[:1] == ["bind"]


def rebound(section: Section, old: Section) -> Section:
    """A frontend with the ``bind`` lines of `old`."""
    lines = [line for line in section.lines if not is_bind(line)]
    if lines == [line for line in old.lines if not is_bind(line)]:
        return replace(section, lines=old.lines)
    return replace(section, lines=(*filter(is_bind, old.lines), *lines))


def _places(line: str, document: Document) -> Sequence[Place] | None:
    """None if that is not to be told from the line."""
    section = document.section("global")
    return _read(line, prefixed=section is not None and _has_prefix(section.lines))


@lru_cache(maxsize=8)
def _has_prefix(lines: tuple[str, ...]) -> bool:
    return has(lines, "unix-bind")


@lru_cache(maxsize=16384)  # asked for every listener at every whole comparison, and the lines hardly change
def _read(line: str, *, prefixed: bool) -> Sequence[Place] | None:
    words = line.split()
    at = 2 if words[0] == "peer" else 1
    if len(words) <= at or "namespace" in words or set(words[at]) & set("\"'\\$"):
        return None
    found = [_of(address, words[at + 1 :], prefixed=prefixed) for address in words[at].split(",")]
    told = [places for places in found if places is not None]
    return tuple(chain.from_iterable(told)) if len(told) == len(found) else None


def _of(address: str, options: Sequence[str], *, prefixed: bool) -> list[Place] | None:
    path = address.removeprefix("unix@")
    if path.startswith("/"):
        return None if prefixed else [Place(path, 0)]
    host, _, numbers = address.rpartition(":")
    whole = "::" if host.startswith("ipv6@") else ""
    host = host.removeprefix("ipv4@").removeprefix("ipv6@").strip("[]").replace("*", "") or whole
    first, _, last = numbers.partition("-")
    last = last or first
    if not (first.isdecimal() and last.isdecimal() and (not host or is_literal(host))):
        return None
    ports = range(int(first), int(last) + 1)[:MAX_RANGE]
    alone = ALL_6 in reach(host) and ("v6only" in options or (six_alone() and "v4v6" not in options))
    return [Place(host, port, "transparent" in options, alone) for port in ports]


def is_literal(host: str) -> bool:
    """Whether it is an address and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
