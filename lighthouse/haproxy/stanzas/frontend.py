"""``frontend``: where applications of this host connect to reach a cluster."""

from __future__ import annotations

from lighthouse.cluster import Cluster
from lighthouse.haproxy.options import ClusterOptions
from lighthouse.haproxy.stanzas.stanza import Stanza, bind

_ENTRY = ":in"  # no cluster's name holds a colon


def entry(name: str) -> str:
    """The name of the frontend of a cluster or a meta cluster.

    HAProxy 3.3 and later refuse a file in which a frontend and a backend have one name, and 3.1 warns of it.
    """
    return name + _ENTRY


def name_of(frontend: str) -> str:
    """Whose frontend it is, by its name; files that were written before had no more than that."""
    return frontend.removesuffix(_ENTRY)


class FrontendStanza(Stanza):
    """The port of a cluster, with its own lines. It must have one: a cluster without is reached by others' frontends only."""

    def __init__(self, cluster: Cluster, bind_address: str | None = None) -> None:
        options = ClusterOptions.of(cluster)
        lines = list(options.frontend)
        if options.port is not None:
            lines.append(bind(bind_address or "", options.port))
        super().__init__("frontend", entry(cluster.name), (*lines, f"default_backend {cluster.name}"))
