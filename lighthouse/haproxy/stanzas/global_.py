"""``global``: the operator's lines, then what Lighthouse needs to talk to HAProxy."""

from __future__ import annotations

from collections.abc import Sequence

from lighthouse.haproxy.stanzas.section import Section, has

HARD_STOP = "hard-stop-after 1h"


def global_section(lines: Sequence[str], socket_file: str) -> Section:
    """The section ``global``.

    A reload leaves the old process until its last connection ends; ``hard-stop-after 1h`` bounds that unless the operator's
    lines do. ``expose-fd listeners`` hands the listeners over at a reload, so that no connection is refused.
    """
    own = [] if has(lines, "hard-stop-after") else [HARD_STOP]
    own += [f"stats socket {socket_file} mode 600 level admin expose-fd listeners", "stats timeout 2m"]
    return Section("global", (*lines, *own))
