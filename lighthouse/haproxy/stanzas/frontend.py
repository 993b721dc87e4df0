"""``frontend``: where applications of this host connect to reach a cluster."""

from __future__ import annotations

from collections.abc import Sequence

from lighthouse.haproxy.stanzas.section import Section


def frontend_section(cluster: str, lines: Sequence[str], bind_address: str, port: int) -> Section:
    """The section ``frontend`` of a cluster."""
    return Section(f"frontend {cluster}", (*lines, f"bind {_host(bind_address)}:{port}", f"default_backend {cluster}"))


def _host(address: str) -> str:
    """HAProxy would resolve ``localhost`` at each start; the address that is meant needs no resolver and is the same everywhere."""
    if address in ("", "*"):
        return "*"
    if address == "localhost":
        return "127.0.0.1"
    return f"[{address}]" if ":" in address else address
