"""Members into the backends of a document, in slots where there are slots. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from lighthouse.haproxy.document import Document
from lighthouse.haproxy.dynamic import recipe
from lighthouse.haproxy.running import Running
from lighthouse.haproxy.slots import Before, freed, placed, slotted
from lighthouse.haproxy.stanzas.section import Section
from lighthouse.haproxy.versions import takes_servers


def arranged(
    wanted: Document, base: Document | None, running: Running, obstacle: Callable[[Section], str | None]
) -> Document:
    """`wanted` with slots where its backends need them, given the document and the servers that run.

    `obstacle` tells what was learned about a backend beyond its lines.
    """
    old = base.backends() if base else {}
    defaults = _defaults(wanted)
    dynamic = takes_servers(running.version)

    def arrange(section: Section) -> Section:
        name = section.backend
        if name is None:
            return section
        before = Before(old.get(name), running.servers.get(name, {}))
        reason = obstacle(section) if dynamic else "this HAProxy takes no servers at run time"
        return slotted(section, defaults, before, reason)

    return replace(wanted, sections=tuple(map(arrange, wanted.sections)))


def refilled(base: Document, wanted: Document, running: Running) -> Document:
    """The skeleton of `base` with the members of `wanted`; a backend that only `base` has keeps its own."""
    new = wanted.backends()
    defaults = _defaults(base)

    def refill(section: Section) -> Section:
        name = section.backend
        if name is None or name not in new:
            return section
        members = [replace(item, slot="") for item in new[name].members if not section.is_pinned(item.name)]
        if not section.slots:
            return replace(section, members=tuple(sorted(members)))
        before = Before(section, running.servers.get(name, {}))
        return placed(section, members, recipe(section, defaults), before)

    return replace(base, sections=tuple(map(refill, base.sections)))


def looked_at(document: Document, running: Running, limited: Collection[str]) -> set[str]:
    """The backends about which ``show stat`` must be asked: for limits, for backups, and for slots that are being left."""
    found = set(limited)
    for name, section in document.backends().items():
        if section.slots and freed(section, running.servers.get(name, {})):
            found.add(name)
    return found


def _defaults(document: Document) -> tuple[str, ...]:
    section = document.section("defaults")
    return section.lines if section else ()
