"""Members into the backends of a document, in slots where there are slots. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from lighthouse.haproxy.document import Document
from lighthouse.haproxy.dynamic import recipe
from lighthouse.haproxy.held import with_held
from lighthouse.haproxy.member import Member
from lighthouse.haproxy.running import Running, Server
from lighthouse.haproxy.slots import Before, placed, slotted
from lighthouse.haproxy.stanzas.section import Section
from lighthouse.haproxy.upstreams import readdressed
from lighthouse.haproxy.versions import takes_servers


def arranged(
    wanted: Document, base: Document | None, running: Running, obstacle: Callable[[Section], str | None]
) -> Document:
    """`wanted` with slots where its backends need them, given the document and the servers that run.

    `obstacle` tells what was learned about a backend beyond its lines.
    """
    old = base.backends() if base else {}
    defaults = defaults_of(wanted)
    named = wanted.named
    dynamic = takes_servers(running.version)

    def arrange(section: Section) -> Section:
        name = section.backend
        if name is None:
            return section
        before = Before(old.get(name), running.servers.get(name, {}))
        reason = obstacle(section) if dynamic else "this HAProxy takes no servers at run time"
        made = with_held(slotted(section, defaults, before, reason), named.get(name, ()), before)
        return before.section if before.section == made and before.section else made

    return wanted.mapped(arrange)


def refilled(base: Document, wanted: Document, running: Running) -> Document:
    """The skeleton of `base` with the members of `wanted`, and its addresses of names; what only `base` has keeps its own."""
    new = wanted.backends()
    defaults, named = defaults_of(base), base.named

    def refill(section: Section) -> Section:
        name = section.backend
        if name is None:
            return readdressed(section, wanted)
        if name not in new:
            return section
        servers = running.servers.get(name, {})
        made = with_held(
            refilled_section(section, new[name], defaults, servers), named.get(name, ()), Before(section, servers)
        )
        return section if made == section else made

    return base.mapped(refill)


def grown(base: Document, wanted: Document, running: Running, obstacle: Callable[[Section], str | None]) -> Document:
    """The same as `refilled`, but with slots for all members: whose lines stay as they are may have more of them, too."""
    if base.skeleton == wanted.skeleton:
        return base
    new = wanted.backends()

    def fill(section: Section) -> Section:
        name = section.backend
        return section if name is None or name not in new else section.filled(_guests(section, new[name]))

    return arranged(base.mapped(fill), base, running, obstacle)


def _guests(base: Section, wanted: Section) -> list[Member]:
    """The members of `wanted` that are none of the operator's own servers in `base`, with no slot yet."""
    return sorted(replace(item, slot="") for item in wanted.members if not base.is_pinned(item.name))


def refilled_section(base: Section, wanted: Section, defaults: Sequence[str], servers: Mapping[str, Server]) -> Section:
    """The shape of `base` with the members of `wanted`, but those for whom there is no slot; `servers` are those that run."""
    if wanted is base:
        return base
    if not base.slots and not wanted.slots and (base.lines, base.template) == (wanted.lines, wanted.template):
        return wanted
    members = _guests(base, wanted)
    before = Before(base, servers)
    made = placed(base, members, recipe(base, defaults), before) if base.slots else base.filled(members)
    return base if made == base else made


def last_resort(good: Document | None, current: Document | None, wanted: Document) -> Document | None:
    """What parts that are refused go back to: `good`, or what is in force where they would get the very same again."""
    if good is None or current is None or good is current:
        return good

    def resort(section: Section) -> Section:
        new, old = wanted.section(section.header), current.section(section.header)
        return old if new and old and new.has_shape_of(section) else section

    return good.mapped(resort)


def with_running(document: Document, running: Running, backends: Collection[str]) -> Document:
    """The document without the members of these `backends` that do not run: HAProxy may refuse them in the file, too."""

    def left(section: Section) -> Section:
        name = section.backend
        if name is None or name not in backends:
            return section
        have = running.servers.get(name, {})
        return section.having(member for member in section.members if member.server in have).holding(section.held)

    return document.mapped(left) if backends else document


def defaults_of(document: Document) -> tuple[str, ...]:
    """The lines of ``defaults``, which all backends inherit."""
    section = document.section("defaults")
    return section.lines if section else ()
