"""A configuration without the listeners that cannot listen. Pure but for the one who tries (`lighthouse.haproxy.ports`)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from lighthouse.haproxy.binds import crowding, places_of, rebound
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.errors import RejectedError
from lighthouse.haproxy.quarantine import Verdict, of_today, owner
from lighthouse.haproxy.search import Judge, judge_apart
from lighthouse.haproxy.stanzas.global_ import local_peer_of
from lighthouse.haproxy.stanzas.peers import disabled, moved
from lighthouse.haproxy.stanzas.section import Section

Taken = Callable[[Document], Mapping[str, str]]
"""Why listeners of a document cannot listen, by the header of the section."""


def part_ports(wanted: Document, good: Document | None, taken: Taken, *, drop: bool = False) -> Verdict:
    """What of `wanted` can listen. HAProxy judges no ports, so this comes before it is asked; `drop` as in `judge_apart`.

    A listener of no cluster stays where it listened, and who takes over its port waits for it; or else it is left out. Peers that
    cannot listen are shared with nobody.
    """
    why, names, good = taken(wanted), wanted.backends(), of_today(good)
    gone = {header: text for header, text in why.items() if _is_apart(header, names)}
    if gone:
        kept = (
            item if item.header not in gone else _where_it_was(item, wanted, good, taken) for item in wanted.sections
        )
        wanted = replace(wanted, sections=tuple(item for item in kept if item is not None))
    stay = [item.header for item in wanted.sections if item.header in gone and not item.header.startswith("peers ")]

    def held(document: Document) -> Mapping[str, str]:
        return {**taken(document), **_crowding(document, stay)}

    if len(gone) == len(why) and not _crowding(wanted, stay):
        return Verdict(wanted, gone)
    verdict = judge_apart(wanted, good, with_ports(held), drop=drop)
    return replace(verdict, apart={**gone, **verdict.apart})


def with_ports(taken: Taken, judge: Judge = lambda _: None) -> Judge:
    """A judge who refuses what needs ports that are `taken`, before the other one is asked."""

    def judged(document: Document) -> RejectedError | None:
        held = taken(document)
        return RejectedError("; ".join(held.values()), held) if held else judge(document)

    return judged


def _is_apart(header: str, clusters: Mapping[str, Section]) -> bool:
    return header.startswith("peers ") or owner(Section(header)) not in clusters


def _where_it_was(item: Section, wanted: Document, good: Document | None, taken: Taken) -> Section | None:
    """The listener with the addresses that it has in `good`, if these are free; else none, or peers that are disabled."""
    if item.header.startswith("peers "):
        return _peers_at_home(item, wanted, taken)
    old = good.section(item.header) if good else None
    if good is None or old is None:
        return None
    again = rebound(item, old)
    return again if _is_free(again, good, taken) else None


def _crowding(document: Document, stay: Collection[str]) -> dict[str, str]:
    """Who listens where those listen that had to stay where they were, by header."""
    found = crowding(document, lambda header: header in stay) if stay else ()
    return {
        header: f"{header}: {place} is still that of {holder}, which is set apart" for header, place, holder in found
    }


def _peers_at_home(item: Section, wanted: Document, taken: Taken) -> Section:
    """Peers of which the local one listens on the loopback, or that are disabled if it cannot either."""
    head = wanted.section("global")
    home = moved(item, local_peer_of(head.lines if head else ()))
    return home if _is_free(home, wanted, taken) else disabled(item.header)


def _is_free(item: Section, wanted: Document, taken: Taken) -> bool:
    """Whether a section that takes the place of that in `wanted` can listen."""
    alone = replace(wanted, sections=tuple(one for one in (wanted.section("global"), item) if one))
    others = [place for header, place in places_of(wanted) if header != item.header]
    return not taken(alone) and not any(place.meets(other) for _, place in places_of(alone) for other in others)
