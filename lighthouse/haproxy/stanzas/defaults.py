"""``defaults``: the operator's lines, and what should not be missing among them."""

from __future__ import annotations

from collections.abc import Sequence

from lighthouse.haproxy.stanzas.lines import has
from lighthouse.haproxy.stanzas.stanza import Stanza

TIMEOUTS = {"connect": "5s", "client": "1h", "server": "1h"}


class DefaultsStanza(Stanza):
    """Without a timeout HAProxy waits for ever, and warns. Without ``option redispatch`` it tries a dead server for 3 s, and fails.

    Timeouts that the operator does not give become 5 s to connect and 1 h of silence on an open connection: long, because pooled
    connections to databases are silent for long and lighthouse 1.0 cut none. A connection that a server refuses goes to another one
    at once: until the checks have found a dead member, and while it is held after a mass loss. (Measured on 2.6.12: a hash chooses
    the same again. ``leastconn`` and ``first`` choose between two dead ones for ever, because these have the fewest connections. So
    may ``random``, which is what HAProxy 3.3 and later choose by where nothing else is said.)
    """

    def __init__(self, lines: Sequence[str]) -> None:
        missing = [f"timeout {name} {value}" for name, value in TIMEOUTS.items() if not has(lines, "timeout", name)]
        if not (has(lines, "option", "redispatch") or has(lines, "no", "option", "redispatch")):
            missing.append("option redispatch")
        super().__init__("defaults", lines=(*lines, *missing))
