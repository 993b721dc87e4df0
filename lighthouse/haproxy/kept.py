"""Sections that others still name stay when the configuration has them no more. Pure.

HAProxy refuses a file in which a name leads nowhere, so one cluster that is removed too early would keep everybody else's changes
from coming into force. What stays of it takes no connections of its own: its backend with the servers known last, its peers, or
the stick table of its frontend.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from lighthouse.haproxy.binds import is_bind, places_of
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.mentions import lines_of, mentions
from lighthouse.haproxy.stanzas.frontend import name_of
from lighthouse.haproxy.stanzas.global_ import local_peer_of, with_local_peer
from lighthouse.haproxy.stanzas.lines import has, keyword
from lighthouse.haproxy.stanzas.peers import disabled
from lighthouse.haproxy.stanzas.section import Section

_PROXIES = ("backend", "listen", "frontend")  # the first that has a name counts

# What HAProxy refuses, and does not only ignore, in a backend (2.6.12).
_AT_THE_DOOR = (
    *(("declare",), ("http-request", "capture"), ("http-response", "capture")),
    *(("tcp-request", "connection"), ("tcp-request", "session"), ("use_backend",), ("default_backend",)),
)


@dataclass(frozen=True, slots=True)
class Kept:
    """A section that stays, and the section and line that name it."""

    section: Section
    namer: Section
    line: str


def still_named(sections: Sequence[Section], good: Document | None) -> list[Kept]:
    """What of `good` the lines of `sections` name, and the lines of what stays, that is not among them: each time that they do."""
    gone = _gone(sections, good)
    found: list[Kept] = []
    todo, stays = deque(sections if gone else ()), set[str]()
    while todo:
        namer = todo.popleft()
        for line in lines_of(namer):
            told = mentions(line)
            if not told.proxies and not told.peers:
                continue
            names = (*(f"peers {name}" for name in sorted(told.peers)), *sorted(told.proxies))
            found += [Kept(gone[name], namer, line) for name in names if name in gone]
            new = [name for name in names if name in gone and name not in stays]
            todo.extend(gone[name] for name in new)
            stays.update(new)
    return found


def with_kept(document: Document, kept: Iterable[Section], good: Document | None, *, yields: bool = True) -> Document:
    """`document` and the sections that stay, in the order of `good`.

    Peers that do not know this host by its name of today share nothing; nor do those whose port others want, if `yields`.
    """
    kept = list({item.header: item for item in kept}.values())
    if not kept or good is None:
        return document
    made = replace(document, sections=tuple(in_place(document.sections, kept, good)))
    head, old = made.section("global"), good.section("global")
    if head and old and any(item.header.startswith("peers ") for item in kept):
        known = local_peer_of(head.lines) or local_peer_of(old.lines)
        made = _exchanged(made, {head.header: with_local_peer(head, known)})
    return _exchanged(made, {item.header: disabled(item.header) for item in kept if _is_idle(item, made, yields)})


def in_place(sections: Sequence[Section], more: Iterable[Section], good: Document) -> list[Section]:
    """`more` among `sections`, each behind the nearest that comes before it in `good`: no other order, no needless reload."""
    order = {item.header: index for index, item in enumerate(good.sections)}
    found = list(sections)
    for section in sorted(more, key=lambda item: _position(item, order)):
        at = _position(section, order)
        before = [index for index, item in enumerate(found) if order.get(item.header, len(order)) < at]
        nearest = max(before, key=lambda index: order[found[index].header], default=-1)
        found.insert(nearest + 1, section)
    return found


def notes_of(kept: Sequence[Kept], clusters: Mapping[str, object]) -> Iterator[str]:
    """What the configuration lacks, for people; `clusters` are those that it has. A line is told by its first word only."""
    stays = {item.section.header for item in kept}
    told = set()
    for item in kept:
        place = item.namer.header, item.section.header
        if item.namer.header in stays or place in told:
            continue  # what stays for the sake of what stays itself
        told.add(place)
        owner = name_of(item.namer.header.partition(" ")[2])
        who = f"cluster {owner}" if owner in clusters else item.namer.header
        word = keyword(item.line) if item.line in item.namer.lines else "server_options"
        yield f"{who}: a line `{word}` ({item.namer.header}) still names {_lack(item.section)}"


def _lack(section: Section) -> str:
    kind, _, name = section.header.partition(" ")
    if kind == "peers":
        return f"the peers of {name}, which are configured no more: they stay until that line goes, or they come back"
    return (
        f"{name_of(name)}, which is configured no more: {section.header} stays, with the servers known last, until that line "
        f"goes, or {name_of(name)} comes back"
    )


def _gone(sections: Sequence[Section], good: Document | None) -> dict[str, Section]:
    """The sections of `good` that are not there any more and can stay, by the name by which lines know them."""
    if good is None:
        return {}
    there = {name for item in sections if (name := _name(item))}
    found: dict[str, Section] = {}
    for kind in ("peers", *_PROXIES):
        for item in good.sections:
            name = _name(item)
            if name and name not in there and item.header.startswith(f"{kind} ") and (rest := _rest(item)):
                found.setdefault(name, rest)
    return found


def _name(section: Section) -> str:
    """How lines name a section: proxies share one space of names, peers have another."""
    kind, _, name = section.header.partition(" ")
    return section.header if kind == "peers" else name if kind in _PROXIES else ""


def _rest(section: Section) -> Section | None:
    """What can stay of a section that shall take no connections."""
    kind, _, name = section.header.partition(" ")
    if kind == "frontend":
        tables = tuple(line for line in section.lines if keyword(line) == "stick-table")
        return Section(f"backend {name}", tables) if tables else None
    if kind == "listen":
        lines = (
            line
            for line in section.lines
            if not is_bind(line) and not any(has((line,), *words) for words in _AT_THE_DOOR)
        )
        return Section(f"backend {name}", tuple(lines))
    if section.slots:
        section = section.having((replace(member, slot="") for member in section.members), ())
    return section


def _position(section: Section, order: Mapping[str, int]) -> int:
    name = section.header.partition(" ")[2]
    headers = (section.header, *(f"{kind} {name}" for kind in _PROXIES))
    return next((order[header] for header in headers if header in order), len(order))


def _is_idle(section: Section, document: Document, yields: bool) -> bool:
    if not section.header.startswith("peers ") or has(section.lines, "disabled"):
        return False
    head = document.section("global")
    if not has(section.lines, "peer", local_peer_of(head.lines if head else ())):
        return True
    places = list(places_of(document))
    mine = [place for header, place in places if header == section.header]
    return yields and any(one.meets(other) for one in mine for header, other in places if header != section.header)


def _exchanged(document: Document, new: Mapping[str, Section]) -> Document:
    return replace(document, sections=tuple(new.get(item.header, item) for item in document.sections))
