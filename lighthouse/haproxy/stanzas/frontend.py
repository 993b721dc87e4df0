"""``frontend``: where applications of this host connect to reach a cluster."""

from __future__ import annotations

from lighthouse.cluster import Cluster
from lighthouse.haproxy.options import ClusterOptions
from lighthouse.haproxy.stanzas.stanza import Stanza, bind


class FrontendStanza(Stanza):
    """The port of a cluster, with its own lines. It must have one: a cluster without is reached by others' frontends only."""

    def __init__(self, cluster: Cluster, bind_address: str | None = None) -> None:
        options = ClusterOptions.of(cluster)
        lines = list(options.frontend)
        if options.port is not None:
            lines.append(bind(bind_address or "", options.port))
        super().__init__("frontend", cluster.name, (*lines, f"default_backend {cluster.name}"))
