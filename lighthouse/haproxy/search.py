"""The search for what HAProxy refuses, by asking about one candidate after the other. Pure: who is asked answers in his own time.

What HAProxy names is taken at its word. Else it is found by trying without one half of what changed, then the other: about twice
as many questions for each bad part as there are halvings, so 45 for three among a thousand, and however many it takes. None is
set apart that is not bad.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable
from dataclasses import replace
from typing import TypeVar

from lighthouse.haproxy.binds import Place, crowding
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.errors import RejectedError
from lighthouse.haproxy.quarantine import Verdict, is_of, of_today, owner, without
from lighthouse.haproxy.stanzas.frontend import entry, name_of
from lighthouse.haproxy.stanzas.meta import changed_rules
from lighthouse.haproxy.stanzas.section import Section

Judge = Callable[[Document], RejectedError | None]

T = TypeVar("T")
_Steps = Generator[Document, RejectedError | None, T]


def judge_apart(wanted: Document, good: Document | None, judge: Judge, *, drop: bool = False) -> Verdict:
    """What of `wanted` HAProxy accepts, `good` being what it accepted before, with the newest members.

    A part whose sections in `good` are refused too is left out with ``drop``; else nothing is saved, because it serves.
    """
    return Search(wanted, good, drop=drop).go_on(judge)


class Search:
    """One search. It may be interrupted by whatever a judge raises, and goes on then with the same question."""

    def __init__(self, wanted: Document, good: Document | None, *, drop: bool = False) -> None:
        self._wanted = wanted
        self._good = of_today(good)
        self._drop = drop
        self._names = set(wanted.backends())
        self._proxies = {item.header for item in wanted.sections if item.header.startswith("listen ")}
        self._metas = {
            item.header
            for item in wanted.sections
            if item.header.startswith("frontend ") and owner(item) not in self._names
        }
        self._bad: dict[str, str] = {}
        self._lost: set[str] = set()
        self.first: RejectedError | None = None
        self.tries = 0
        self._steps = self._run()
        self._question = next(self._steps)

    def go_on(self, judge: Judge) -> Verdict:
        """Ask until all is answered."""
        while True:
            answer = judge(self._question)
            self.tries += 1
            self.first = self.first or answer
            try:
                self._question = self._steps.send(answer)
            except StopIteration as end:
                verdict: Verdict = end.value
                return verdict

    def made_of(self, wanted: Document, good: Document | None) -> Document:
        """`wanted` without what was found; both may have got other members while the search went on."""
        return without(wanted, _less(of_today(good), self._lost), self._bad)

    def _run(self) -> _Steps[Verdict]:
        first = yield self._wanted
        if first is None:
            return Verdict(self._wanted)
        refused: RejectedError | None = first
        good, whole = self._good, self._good
        while refused is not None:
            found = yield from self._found(refused)
            news = found.keys() - self._bad.keys()
            if not news and not (self._drop and good is not None and found):
                return Verdict(None, reason=str(first))
            if not news:
                if good is whole and good is not None and (yield good) is None:
                    return Verdict(None, reason=str(first))  # all of it serves as it was: better than parts of it
                if not found.keys() - self._lost:
                    return Verdict(None, reason=str(first))
                self._lost |= found.keys()
                good = self._good = _less(good, found)  # the last good sections are refused too
            self._bad |= {part: found[part] for part in news}
            self._part_ports()
            refused = yield without(self._wanted, self._good, self._bad)
        return Verdict(without(self._wanted, self._good, self._bad), self._bad)

    def _found(self, refused: RejectedError) -> _Steps[dict[str, str]]:
        """The bad parts. The lines of a meta cluster may be those of its members, so it comes last."""
        named = self._named(refused, {*self._names, *self._proxies})
        if named.keys() - self._bad.keys():
            return named
        reason = str(refused)
        return (
            (yield from self._halved(self._changed(), reason))
            or self._named(refused, self._metas)
            or named
            or (yield from self._halved(self._changed_listeners(), reason))
            or (yield from self._halved(self._removed(), f"it is configured no more, but still named: {reason}"))
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

    def _halved(self, parts: set[str], reason: str) -> _Steps[dict[str, str]]:
        """Those of `parts` without whose changes the rest is accepted."""
        suspects = sorted(parts - self._bad.keys())
        if not suspects or (yield without(self._wanted, self._good, {*self._bad, *suspects})) is not None:
            return {}
        return dict.fromkeys((yield from self._bad_among(suspects, self._bad.keys())), reason)

    def _bad_among(self, suspects: list[str], away: Collection[str]) -> _Steps[list[str]]:
        """`suspects` are bad together when those `away` are away too: which of them?"""
        if len(suspects) == 1:
            return suspects
        one, other = suspects[: len(suspects) // 2], suspects[len(suspects) // 2 :]
        for half in (one, other):
            if (yield without(self._wanted, self._good, {*away, *half})) is None:
                return (yield from self._bad_among(half, away))
        among_one = yield from self._bad_among(one, {*away, *other})
        return [*among_one, *(yield from self._bad_among(other, {*away, *one}))]

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
        for header, place, holder in crowding(document, lambda header: is_of(Section(header), self._bad)):
            name = owner(Section(header))
            part = name if name is not None and name in self._names else header
            self._bad[part] = f"{header}: {_in_words(place)} is still that of {holder}, which is set apart"


def _in_words(place: Place) -> str:
    return f"its port {place.port}" if place.port else place.host


def _less(document: Document | None, parts: Iterable[str]) -> Document | None:
    names = frozenset(parts)
    return document and replace(document, sections=tuple(item for item in document.sections if not is_of(item, names)))
