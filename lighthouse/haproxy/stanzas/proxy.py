"""``listen`` of a proxy: a port that is forwarded to servers outside of any cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lighthouse.haproxy.listeners import Upstream
from lighthouse.haproxy.stanzas.stanza import Stanza, bind


class ProxyStanza(Stanza):
    """Forwards a port to `upstreams`, balanced as ``defaults`` or `options` say; HAProxy resolves host names when it starts.

    An upstream may be a mapping as in the configuration. Raises `ConfigError` for one that is not right.
    """

    def __init__(
        self,
        name: str,
        port: int,
        upstreams: Sequence[Upstream | Mapping[str, Any]],
        options: Sequence[str] | None = None,
        bind_address: str | None = None,
    ) -> None:
        servers = (_server(item if isinstance(item, Upstream) else Upstream.from_mapping(item)) for item in upstreams)
        super().__init__("listen", name, (bind(bind_address or "", port), *(options or ()), *servers))


def _server(upstream: Upstream) -> str:
    address = f"[{upstream.host}]" if ":" in upstream.host else upstream.host
    limit = "" if upstream.max_conn is None else f" maxconn {upstream.max_conn}"
    return f"server {upstream.host}:{upstream.port} {address}:{upstream.port}{limit}"
