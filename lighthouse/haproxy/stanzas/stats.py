"""``listen stats``: HAProxy's page about itself."""

from __future__ import annotations

from collections.abc import Iterable

from lighthouse.haproxy.listeners import STATS
from lighthouse.haproxy.stanzas.stanza import Stanza, bind


class StatsStanza(Stanza):
    """The stats page at `uri`. `timeouts` are pairs of name and milliseconds."""

    def __init__(
        self,
        port: int,
        uri: str = "/",
        bind_address: str | None = None,
        timeouts: Iterable[tuple[str, int]] = (),
    ) -> None:
        times = (f"timeout {name} {milliseconds}ms" for name, milliseconds in timeouts)
        # HAProxy 2.x refuses the address in the header, where lighthouse 1.0 had it.
        lines = (bind(bind_address or "", port), "mode http", "stats enable", f"stats uri {uri}", *times)
        super().__init__("listen", STATS, lines)
