"""``listen`` of a proxy: a port that is forwarded to servers outside of any cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lighthouse.haproxy.listeners import Upstream
from lighthouse.haproxy.stanzas.stanza import Stanza, bind
from lighthouse.haproxy.stanzas.upstream import resolved


class ProxyStanza(Stanza):
    """Forwards a port to `upstreams`, balanced as ``defaults`` or `options` say.

    An upstream may be a mapping as in the configuration. `addresses` gives those of servers whose hosts are names, None for one
    that has none; HAProxy itself resolves what is not in it, when it starts. Raises `ConfigError` for one that is not right.
    """

    def __init__(
        self,
        name: str,
        port: int,
        upstreams: Sequence[Upstream | Mapping[str, Any]],
        options: Sequence[str] | None = None,
        bind_address: str | None = None,
        *,
        addresses: Mapping[str, str | None] | None = None,
    ) -> None:
        found = (item if isinstance(item, Upstream) else Upstream.from_mapping(item) for item in upstreams)
        servers = (_server(upstream, addresses or {}) for upstream in found)
        super().__init__("listen", name, (bind(bind_address or "", port), *(options or ()), *servers))


def _server(upstream: Upstream, addresses: Mapping[str, str | None]) -> str:
    address = f"[{upstream.host}]" if ":" in upstream.host else upstream.host
    limit = "" if upstream.max_conn is None else f" maxconn {upstream.max_conn}"
    line = f"server {upstream.server} {address}:{upstream.port}{limit}"
    return resolved(line, addresses[upstream.server]) if upstream.server in addresses else line
