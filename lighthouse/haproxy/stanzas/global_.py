"""``global``: the operator's lines, then what Lighthouse needs to talk to HAProxy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lighthouse.haproxy.stanzas.lines import has
from lighthouse.haproxy.stanzas.section import Section
from lighthouse.haproxy.stanzas.stanza import Stanza

STATS_MAXCONN = 10  # HAProxy's default
HARD_STOP = "hard-stop-after 1h"


class GlobalStanza(Stanza):
    """A reload leaves the old process until its last connection ends; ``hard-stop-after 1h`` bounds that unless the lines do.

    ``expose-fd listeners`` hands the listeners over at a reload, so that no connection is refused. With `local_peer`, HAProxy
    calls itself so among its peers. Where the section is `shared`, because it comes on top of the ``global`` of HAProxy's owner,
    only what we cannot do without is added: the rest would overrule the owner's own lines.
    """

    def __init__(
        self,
        lines: Sequence[str],
        socket_file: str,
        local_peer: str | None = None,
        socket_options: str = "mode 600",
        *,
        shared: bool = False,
    ) -> None:
        own = [] if shared or has(lines, "hard-stop-after") else [HARD_STOP]
        own += [f"localpeer {local_peer}"] if local_peer and not has(lines, "localpeer") else []
        own.append(f"stats socket {socket_file} {socket_options} level admin expose-fd listeners")
        own += [] if shared else ["stats timeout 2m"]
        super().__init__("global", lines=(*lines, *own))


def with_local_peer(section: Section, name: str) -> Section:
    """The same with this name among peers, where `GlobalStanza` puts it, unless it has one."""
    if not name or local_peer_of(section.lines):
        return section
    sockets = [index for index, line in enumerate(section.lines) if has((line,), "stats", "socket")]
    at = sockets[-1] if sockets else len(section.lines)
    return replace(section, lines=(*section.lines[:at], f"localpeer {name}", *section.lines[at:]))


def local_peer_of(lines: Sequence[str]) -> str:
    """The local peer that lines of ``global`` name, or nothing."""
    return next((line.split()[1] for line in lines if has((line,), "localpeer") and len(line.split()) > 1), "")


def stats_maxconn_of(lines: Sequence[str]) -> int:
    """How many connections the stats socket takes at a time, by lines of ``global``; the last of several counts."""
    found = [line.split()[2] for line in lines if has((line,), "stats", "maxconn") and len(line.split()) > 2]
    return int(found[-1]) if found and found[-1].isdecimal() else STATS_MAXCONN
