"""What makes HAProxy refuse a configuration, and the configuration without it. Pure but for the judge.

A cluster whose lines are refused is *quarantined*: the sections that HAProxy runs for it stay, its members follow the registry as
always, and the rest gets what it should. So it is with the sections of no cluster that listen, such as a proxy or a meta
cluster's frontend. Both are *parts* here: one of a cluster is called as the cluster, any other by its header. A bad one is found by
the line that HAProxy complains about, or else by trying without one half of what changed, then the other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from lighthouse.haproxy.addresses import Claims
from lighthouse.haproxy.binds import Place, places_of
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.errors import RejectedError
from lighthouse.haproxy.kept import still_named, with_kept
from lighthouse.haproxy.stanzas.frontend import entry, name_of
from lighthouse.haproxy.stanzas.meta import changed_rules, with_own_lines_of, with_rules_of
from lighthouse.haproxy.stanzas.section import Section

Judge = Callable[[Document], RejectedError | None]

_OWN = ("frontend", "backend", "peers")  # sections that belong to the one cluster whose name they carry
MAX_TRIES = 24  # judgements of HAProxy; each takes 0.02 s for a few clusters, 0.1 s for a thousand


@dataclass(frozen=True, slots=True)
class Verdict:
    """``document``: what HAProxy accepts, None if nothing can be saved; ``apart``: parts whose new lines are not in it, and why."""

    document: Document | None
    apart: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""

    @property
    def clusters(self) -> dict[str, str]:
        """The clusters in quarantine."""
        return {part: why for part, why in self.apart.items() if " " not in part}

    @property
    def listeners(self) -> dict[str, str]:
        """Sections of no cluster, or peers: they are left out, or stay as they were."""
        return {part: why for part, why in self.apart.items() if " " in part}


def judge_apart(wanted: Document, good: Document | None, judge: Judge, *, drop: bool = False) -> Verdict:
    """What of `wanted` HAProxy accepts, `good` being what it accepted before, with the newest members.

    A part whose sections in `good` are refused too is left out with ``drop``; else nothing is saved, because it serves.
    """
    return _Search(wanted, good, judge, drop).run()


def without(wanted: Document, good: Document | None, parts: Collection[str]) -> Document:
    """`wanted`, with the sections that `good` has for `parts` in the place of theirs.

    If other sections lead to a backend that is left out, it stays, empty: a client gets an answer (503). What the lines of `parts`
    name stays too, whatever became of it.
    """
    if not parts:
        return wanted
    good = of_today(good)
    old = {item.header: item for item in good.sections if is_of(item, parts)} if good else {}
    kept = [
        _kept(_ruled(item, good, parts), old.pop(item.header, None))
        if is_of(item, parts)
        else _ruled(item, good, parts)
        for item in wanted.sections
    ]
    made = replace(wanted, sections=tuple(item for item in kept if item is not None))
    if good is not None:
        made = with_kept(made, old.values(), good, yields=False)
        made = with_kept(made, [item.section for item in still_named(made.sections, good)], good)
    there = {item.header for item in made.sections}
    names = sorted(part for part in parts if " " not in part and f"backend {part}" not in there)
    empty = [
        Section(f"backend {name}", (), "") for name in names if any(_leads_to(item, name) for item in made.sections)
    ]
    return replace(made, sections=(*made.sections, *empty))


def of_today(document: Document | None) -> Document | None:
    """The same with the names that frontends have today: in files of earlier builds they have no more than their cluster's."""
    if document is None or not any(map(_is_old, document.sections)):
        return document
    found = (replace(item, header=entry(item.header)) if _is_old(item) else item for item in document.sections)
    return replace(document, sections=tuple(found))


def _is_old(section: Section) -> bool:
    return section.header.startswith("frontend ") and name_of(section.header) == section.header


def owner(section: Section) -> str | None:
    """The cluster to which a section belongs, if there is one of that name."""
    kind, _, name = section.header.partition(" ")
    if kind not in _OWN:
        return None
    return name_of(name) if kind == "frontend" else name


def is_of(section: Section, parts: Collection[str]) -> bool:
    """Whether a section belongs to one of these."""
    return section.header in parts or owner(section) in parts


def _kept(section: Section, old: Section | None) -> Section | None:
    """What stays of a section that is set apart; a meta cluster goes on to lead to the clusters of today."""
    return with_own_lines_of(section, old) if old and section.header.startswith("frontend ") else old


def _ruled(section: Section, good: Document | None, parts: Collection[str]) -> Section:
    """A frontend that deals requests to clusters among `parts` keeps the rules that `good` has for them."""
    if not section.header.startswith("frontend "):
        return section
    return with_rules_of(section, good.section(section.header) if good else None, parts)


def _leads_to(section: Section, backend: str) -> bool:
    return any(line.split()[:2] in (["use_backend", backend], ["default_backend", backend]) for line in section.lines)


class _Search:
    def __init__(self, wanted: Document, good: Document | None, judge: Judge, drop: bool) -> None:
        self._wanted = wanted
        self._good = of_today(good)
        self._judge = judge
        self._drop = drop
        self._names = set(wanted.backends())
        self._proxies = {item.header for item in wanted.sections if item.header.startswith("listen ")}
        self._metas = {
            item.header
            for item in wanted.sections
            if item.header.startswith("frontend ") and owner(item) not in self._names
        }
        self._bad: dict[str, str] = {}
        self._left = MAX_TRIES

    def run(self) -> Verdict:
        first = self._refused(self._wanted)
        if first is None:
            return Verdict(self._wanted)
        refused: RejectedError | None = first
        good, whole = self._good, self._good
        while refused is not None and self._left > 0:
            found = self._found(refused)
            news = found.keys() - self._bad.keys()
            if not news and not (self._drop and good is not None and found):
                return Verdict(None, reason=str(first))
            if not news:
                if good is whole and good is not None and self._refused(good) is None:
                    return Verdict(None, reason=str(first))  # all of it serves as it was: better than parts of it
                good = self._good = _less(good, found)  # the last good sections are refused too
            self._bad |= {part: found[part] for part in news}
            self._part_ports()
            refused = self._refused(without(self._wanted, self._good, self._bad))
        if refused is not None:
            return Verdict(None, reason=str(first))
        return Verdict(without(self._wanted, self._good, self._bad), self._bad)

    def _refused(self, document: Document) -> RejectedError | None:
        self._left -= 1
        return self._judge(document)

    def _found(self, refused: RejectedError) -> dict[str, str]:
        """The bad parts. The lines of a meta cluster may be those of its members, so it comes last."""
        named = self._named(refused, {*self._names, *self._proxies})
        if named.keys() - self._bad.keys():
            return named
        reason = str(refused)
        return (
            self._halved(self._changed(), reason)
            or self._named(refused, self._metas)
            or named
            or self._halved(self._changed_listeners(), reason)
            or self._halved(self._removed(), f"it is configured no more, but still named: {reason}")
        )

    def _named(self, refused: RejectedError, parts: Collection[str]) -> dict[str, str]:
        """Those of `parts` in whose sections HAProxy found something."""
        found: dict[str, str] = {}
        for header, text in refused.places.items():
            name = name_of(owner(Section(header)) or "")
            for part in (name, header, f"listen {name}", f"frontend {entry(name)}"):
                if part in parts:
                    found.setdefault(part, text)
                    break
        return found

    def _halved(self, parts: set[str], reason: str) -> dict[str, str]:
        """Those of `parts` without whose changes the rest is accepted."""
        suspects = sorted(parts - self._bad.keys())
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
        """The clusters with lines that `good` has not."""
        new = self._new_sections()
        names = {name for item in new if (name := owner(item)) is not None}
        for item in new:
            if item.header in self._metas:
                names |= changed_rules(item, self._good.section(item.header) if self._good else None)
        return names & self._names

    def _changed_listeners(self) -> set[str]:
        return {item.header for item in self._new_sections()} & {*self._proxies, *self._metas}

    def _removed(self) -> set[str]:
        """What stays if HAProxy has it named where we do not read, in the files of its owner."""
        there = {item.header for item in self._wanted.sections}
        old = (item.header for item in self._good.sections) if self._good else ()
        return {header for header in old if header.startswith(("backend ", "peers ")) and header not in there}

    def _new_sections(self) -> list[Section]:
        old = {item.header: tuple(item.shape()) for item in self._good.sections} if self._good else {}
        return [item for item in self._wanted.sections if old.get(item.header) != tuple(item.shape())]

    def _part_ports(self) -> None:
        """Who takes over a port which a part that is set apart still has waits for it: HAProxy would share the connections."""
        document = without(self._wanted, self._good, self._bad)
        taken = Claims()
        for header, place in _places_of(document, self._bad):
            for spot in place.spots:
                taken.add(*spot, header)
        for header, place in places_of(document):
            part = name if (name := owner(Section(header))) in self._names else header
            holder = next((holder for spot in place.spots for holder in taken.owners(*spot)), None)
            if holder and not is_of(Section(header), self._bad) and part is not None:
                self._bad[part] = f"{header}: {_in_words(place)} is still that of {holder}, which is set apart"


def _in_words(place: Place) -> str:
    return f"its port {place.port}" if place.port else place.host


def _places_of(document: Document, parts: Collection[str]) -> Iterator[tuple[str, Place]]:
    return ((header, place) for header, place in places_of(document) if is_of(Section(header), parts))


def _less(document: Document | None, parts: Iterable[str]) -> Document | None:
    names = frozenset(parts)
    return document and replace(document, sections=tuple(item for item in document.sections if not is_of(item, names)))
