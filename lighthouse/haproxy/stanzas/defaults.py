"""``defaults``: the operator's lines, and a timeout where they give none."""

from __future__ import annotations

from collections.abc import Sequence

from lighthouse.haproxy.stanzas.section import has
from lighthouse.haproxy.stanzas.stanza import Stanza

TIMEOUTS = {"connect": "5s", "client": "1h", "server": "1h"}


class DefaultsStanza(Stanza):
    """Without a timeout HAProxy waits for ever, and warns.

    Those that the operator does not give become 5 s to connect and 1 h of silence on an open connection: long, because pooled
    connections to databases are silent for long and lighthouse 1.0 cut none.
    """

    def __init__(self, lines: Sequence[str]) -> None:
        missing = [f"timeout {name} {value}" for name, value in TIMEOUTS.items() if not has(lines, "timeout", name)]
        super().__init__("defaults", lines=(*lines, *missing))
