"""Which clusters make HAProxy refuse a configuration, and the configuration without their new lines. Pure but for the judge.

A cluster whose lines are refused is *quarantined*: the sections that HAProxy runs for it stay, its members follow the registry as
always, and the other clusters get what they should. Its new lines are found by the line that HAProxy complains about, or else by
trying without one half of what changed, then the other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from lighthouse.haproxy.document import Document
from lighthouse.haproxy.errors import RejectedError
from lighthouse.haproxy.ports import binds
from lighthouse.haproxy.stanzas.frontend import name_of
from lighthouse.haproxy.stanzas.meta import changed_rules, with_rules_of
from lighthouse.haproxy.stanzas.section import Section

Judge = Callable[[Document], RejectedError | None]
Taken = Callable[
    [Document], Mapping[str, str]
]  # why ports of a document cannot be listened on, by the header of the section

_OWN = ("frontend", "backend", "peers")  # sections that belong to the one cluster whose name they carry
MAX_TRIES = 24  # judgements of HAProxy; each takes 0.02 s for a few clusters, 0.1 s for a thousand


@dataclass(frozen=True, slots=True)
class Verdict:
    """``document``: what HAProxy accepts, None if nothing can be saved; ``clusters``: those in quarantine and why.

    ``listeners``: sections of no cluster that are left out, or stay where they listen, because their port is taken.
    """

    document: Document | None
    clusters: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    listeners: Mapping[str, str] = field(default_factory=dict)


def judge_apart(wanted: Document, good: Document | None, judge: Judge, *, drop: bool = False) -> Verdict:
    """What of `wanted` HAProxy accepts, `good` being what it accepted before, with the newest members.

    A cluster whose sections in `good` are refused too is left out with ``drop``; else nothing is saved, because it serves.
    """
    return _Search(wanted, good, judge, drop).run()


def part_ports(wanted: Document, good: Document | None, taken: Taken, *, drop: bool = False) -> Verdict:
    """What of `wanted` can be listened for. HAProxy judges no ports, so this comes before it is asked; `drop` as above."""
    why, names = taken(wanted), wanted.backends()
    gone = {header: text for header, text in why.items() if owner(Section(header)) not in names}
    if gone:
        kept = (
            item if item.header not in gone else _where_it_was(item, wanted, good, taken) for item in wanted.sections
        )
        wanted = replace(wanted, sections=tuple(item for item in kept if item is not None))
    if len(gone) == len(why):
        return Verdict(wanted, listeners=gone)
    return replace(judge_apart(wanted, good, with_ports(taken), drop=drop), listeners=gone)


def with_ports(taken: Taken, judge: Judge = lambda _: None) -> Judge:
    """A judge who refuses what needs ports that are `taken`, before the other one is asked."""

    def judged(document: Document) -> RejectedError | None:
        held = taken(document)
        return RejectedError("; ".join(held.values()), held) if held else judge(document)

    return judged


def _where_it_was(item: Section, wanted: Document, good: Document | None, taken: Taken) -> Section | None:
    """The listener with the addresses that it has in `good`, if these are free; None if it has none."""
    old = good.section(item.header) if good else None
    if old is None:
        return None
    lines = (line for line in item.lines if not _is_bind(line))
    moved = replace(item, lines=(*filter(_is_bind, old.lines), *lines))
    alone = replace(wanted, sections=(moved,))
    others = {port for header, _, port in binds(wanted) if header != item.header}
    if taken(alone) or others & {port for _, _, port in binds(alone)}:
        return None
    return moved


def _is_bind(line: str) -> bool:
    return line.split()[:1] == ["bind"]


def without(wanted: Document, good: Document | None, clusters: Collection[str]) -> Document:
    """`wanted`, with the sections that `good` has for `clusters` in the place of theirs.

    If other sections lead to one that `good` has not, its backend stays, empty: a client gets an answer (503).
    """
    if not clusters:
        return wanted
    old = {item.header: item for item in good.sections if owner(item) in clusters} if good else {}
    kept = [
        old.pop(item.header, None) if owner(item) in clusters else _ruled(item, good, clusters)
        for item in wanted.sections
    ]
    sections = [item for item in kept if item is not None]
    first = next((index for index, item in enumerate(sections) if item.header.startswith("backend ")), len(sections))
    sections[first:first] = old.values()
    there = {item.header for item in sections}
    for name in sorted(clusters):
        if f"backend {name}" not in there and any(_leads_to(item, name) for item in sections):
            sections.append(Section(f"backend {name}", (), ""))
    return replace(wanted, sections=tuple(sections))


def owner(section: Section) -> str | None:
    """The cluster to which a section belongs."""
    kind, _, name = section.header.partition(" ")
    if kind not in _OWN:
        return None
    return name_of(name) if kind == "frontend" else name


def _ruled(section: Section, good: Document | None, clusters: Collection[str]) -> Section:
    """A frontend that deals requests to `clusters` keeps the rules that `good` has for them."""
    if not section.header.startswith("frontend "):
        return section
    return with_rules_of(section, good.section(section.header) if good else None, clusters)


def _leads_to(section: Section, backend: str) -> bool:
    return any(line.split()[:2] in (["use_backend", backend], ["default_backend", backend]) for line in section.lines)


class _Search:
    def __init__(self, wanted: Document, good: Document | None, judge: Judge, drop: bool) -> None:
        self._wanted = wanted
        self._good = good
        self._judge = judge
        self._drop = drop
        self._names = set(wanted.backends())
        self._bad: dict[str, str] = {}
        self._left = MAX_TRIES

    def run(self) -> Verdict:
        first = self._refused(self._wanted)
        if first is None:
            return Verdict(self._wanted)
        refused: RejectedError | None = first
        good = self._good
        while refused is not None and self._left:
            found = named = self._named(refused)
            if not named.keys() - self._bad.keys():
                found = self._halved(str(refused)) or named
            news = found.keys() - self._bad.keys()
            if not news and not (self._drop and good is not None and found):
                return Verdict(None, reason=str(first))
            if not news:
                good = self._good = _less(good, found)  # the last good sections are refused too
            self._bad |= {name: found[name] for name in news}
            self._part_ports()
            refused = self._refused(without(self._wanted, self._good, self._bad))
        if refused is not None:
            return Verdict(None, reason=str(first))
        return Verdict(without(self._wanted, self._good, self._bad), self._bad)

    def _refused(self, document: Document) -> RejectedError | None:
        self._left -= 1
        return self._judge(document)

    def _named(self, refused: RejectedError) -> dict[str, str]:
        """The clusters in whose sections HAProxy found something."""
        found: dict[str, str] = {}
        for header, text in refused.places.items():
            name = owner(Section(header))
            if name in self._names:
                found.setdefault(name, text)
        return found

    def _halved(self, reason: str) -> dict[str, str]:
        """The clusters without whose changes the rest is accepted."""
        suspects = sorted(self._changed() - self._bad.keys())
        if not suspects or self._refused(without(self._wanted, self._good, {*self._bad, *suspects})) is not None:
            return {}
        return dict.fromkeys(self._bad_among(suspects, self._bad.keys()), reason)

    def _bad_among(self, suspects: list[str], away: Collection[str]) -> list[str]:
        """`suspects` are bad together when those `away` are away too: which of them?"""
        if len(suspects) == 1 or self._left <= 0:
            return suspects
        one, other = suspects[: len(suspects) // 2], suspects[len(suspects) // 2 :]
        for half in (one, other):
            if self._refused(without(self._wanted, self._good, {*away, *half})) is None:
                return self._bad_among(half, away)
        return [*self._bad_among(one, {*away, *other}), *self._bad_among(other, {*away, *one})]

    def _changed(self) -> set[str]:
        old = {item.header: tuple(item.shape()) for item in self._good.sections} if self._good else {}
        new = [item for item in self._wanted.sections if old.get(item.header) != tuple(item.shape())]
        names = {name for item in new if (name := owner(item)) is not None}
        for item in new:
            if item.header.startswith("frontend "):
                names |= changed_rules(item, self._good.section(item.header) if self._good else None)
        return names & self._names

    def _part_ports(self) -> None:
        """A cluster that takes over a port which a quarantined one still has waits for it: HAProxy would share the connections."""
        document = without(self._wanted, self._good, self._bad)
        taken = {port: header for header, _, port in _binds_of(document, self._bad)}
        for header, _, port in binds(document):
            name = owner(Section(header))
            if port in taken and name in self._names and name not in self._bad and name is not None:
                self._bad[name] = f"{header}: its port {port} is still that of {taken[port]}, which is quarantined"


def _binds_of(document: Document, clusters: Collection[str]) -> Iterator[tuple[str, str, int]]:
    return (bind for bind in binds(document) if owner(Section(bind[0])) in clusters)


def _less(document: Document | None, clusters: Iterable[str]) -> Document | None:
    names = frozenset(clusters)
    return document and replace(
        document, sections=tuple(item for item in document.sections if owner(item) not in names)
    )
