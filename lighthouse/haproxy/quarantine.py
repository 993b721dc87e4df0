"""What makes HAProxy refuse a configuration, and the configuration without it. Pure.

A cluster whose lines are refused is *quarantined*: the sections that HAProxy runs for it stay, its members follow the registry as
always, and the rest gets what it should. So it is with the sections of no cluster that listen, such as a proxy or a meta
cluster's frontend. Both are *parts* here: one of a cluster is called as the cluster, any other by its header. A bad one is found by
the line that HAProxy complains about, or else by trying without one half of what changed, then the other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from lighthouse.haproxy.document import Document
from lighthouse.haproxy.kept import still_named, with_kept
from lighthouse.haproxy.stanzas.frontend import entry, name_of
from lighthouse.haproxy.stanzas.meta import with_own_lines_of, with_rules_of
from lighthouse.haproxy.stanzas.section import Section

_OWN = ("frontend", "backend", "peers")  # sections that belong to the one cluster whose name they carry


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
