"""Servers that lines name keep a line of their own when their member has left. Pure.

HAProxy refuses a file in which ``use-server``, ``track`` or a sample fetch names a server that is not there, and does not delete
such a server at run time either. So it leaves like any other, with its last connections, and stays in maintenance; its line stays
in the file, ``disabled`` at an address where nobody listens, like a free slot. Requests that a rule has for it go to the others.

A server that a line names and that never was there is refused with that line: that may be a mistake in it.
"""

from __future__ import annotations

from collections.abc import Collection

from lighthouse.haproxy.slots import Before
from lighthouse.haproxy.stanzas.section import Section


def with_held(section: Section, named: Collection[str], before: Before) -> Section:
    """The section with the lines of those `named` that have no member now, and were there `before`."""
    if section.slots or not named:
        return section.holding(())
    there = before.section.servers if before.section else frozenset[str]()
    absent = (set(named) - section.servers) | (set(named) & set(section.held))
    return section.holding(name for name in absent if name in there or name in before.servers)
