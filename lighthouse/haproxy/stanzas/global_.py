"""``global``: the operator's lines, then what Lighthouse needs to talk to HAProxy."""

from __future__ import annotations

from collections.abc import Sequence

from lighthouse.haproxy.stanzas.section import has
from lighthouse.haproxy.stanzas.stanza import Stanza

HARD_STOP = "hard-stop-after 1h"


class GlobalStanza(Stanza):
    """A reload leaves the old process until its last connection ends; ``hard-stop-after 1h`` bounds that unless the lines do.

    ``expose-fd listeners`` hands the listeners over at a reload, so that no connection is refused. With `local_peer`, HAProxy
    calls itself so among its peers.
    """

    def __init__(self, lines: Sequence[str], socket_file: str, local_peer: str | None = None) -> None:
        own = [] if has(lines, "hard-stop-after") else [HARD_STOP]
        own += [f"localpeer {local_peer}"] if local_peer and not has(lines, "localpeer") else []
        own += [f"stats socket {socket_file} mode 600 level admin expose-fd listeners", "stats timeout 2m"]
        super().__init__("global", lines=(*lines, *own))
