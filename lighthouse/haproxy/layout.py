"""Which listeners the clusters and the balancer's own settings come to, and what must be left out and why. Pure.

Two listeners on one port would share its connections, and two sections of one name are refused by HAProxy together with the whole
file. So of two that clash one is left out, and a note says which. Ports belong to the balancer's own settings first, then to the
clusters in the order of their names; names belong to the clusters.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence

from lighthouse.cluster import Cluster
from lighthouse.haproxy.binds import places_of
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.host_name import HOST_ADDRESS, HOST_NAME
from lighthouse.haproxy.listeners import STATS, Claims
from lighthouse.haproxy.options import ClusterOptions, HAProxySettings
from lighthouse.haproxy.stanzas.frontend import FrontendStanza
from lighthouse.haproxy.stanzas.global_ import local_peer_of
from lighthouse.haproxy.stanzas.meta import MetaFrontendStanza
from lighthouse.haproxy.stanzas.peers import LOOPBACK, PeersStanza, disabled
from lighthouse.haproxy.stanzas.proxy import ProxyStanza
from lighthouse.haproxy.stanzas.section import Section
from lighthouse.haproxy.stanzas.stanza import Stanza
from lighthouse.haproxy.stanzas.stats import StatsStanza


class Layout:
    """The sections of one file that are neither ``global``, ``defaults`` nor a backend; ``notes`` says what was left out."""

    def __init__(self, settings: HAProxySettings, clusters: Sequence[Cluster], previous: Document | None) -> None:
        """`clusters` in the order of their names; an unknown cluster keeps the peers of `previous`, this host its name."""
        self.notes: list[str] = []
        self._settings = settings
        self._claims = Claims()
        self._backends = {cluster.name for cluster in clusters}
        self._fronts = {cluster.name for cluster in clusters if ClusterOptions.of(cluster).port is not None}
        self._stats = self._the_stats()
        self._proxies = self._the_proxies()
        self._metas = self._the_metas(meta_members(settings, clusters))
        self.notes += _stray(settings, clusters)
        self._frontends = self._the_frontends(clusters)
        self.local_peer: str | None = None
        self._peers = self._the_peers(clusters, previous)

    def before(self) -> list[Section]:
        """The frontends, which come before the backends."""
        return [stanza.section() for stanza in (*self._metas, *self._frontends)]

    def after(self) -> list[Section]:
        """What comes after them."""
        return [*self._peers, *(stanza.section() for stanza in (*self._proxies, *self._stats))]

    def _the_stats(self) -> list[Stanza]:
        stats = self._settings.stats
        if stats is None or self._is_taken("stats page", STATS, self._backends):
            return []
        self._claims.take(stats.bind_address, stats.port, "the stats page")
        return [StatsStanza(stats.port, stats.uri, stats.bind_address, stats.timeouts)]

    def _the_proxies(self) -> list[Stanza]:
        found: list[Stanza] = []
        for proxy in self._settings.proxies:
            if self._is_taken("proxy", proxy.name, self._backends):
                continue
            self._claims.take(proxy.bind_address, proxy.port, f"proxy {proxy.name}")
            found.append(ProxyStanza(proxy.name, proxy.port, proxy.upstreams, proxy.options, proxy.bind_address))
        return found

    def _the_metas(self, members: Mapping[str, Sequence[Cluster]]) -> list[Stanza]:
        found: list[Stanza] = []
        address = self._settings.bind_address
        for meta in self._settings.meta_clusters:
            if self._is_taken("meta cluster", meta.name, self._fronts):
                continue
            self._claims.take(address, meta.port, f"meta cluster {meta.name}")
            found.append(MetaFrontendStanza(meta.name, meta.port, meta.frontend, members[meta.name], address))
        return found

    def _the_frontends(self, clusters: Sequence[Cluster]) -> list[Stanza]:
        found: list[Stanza] = []
        address = self._settings.bind_address
        for cluster in clusters:
            port = ClusterOptions.of(cluster).port
            if port is None:
                continue
            if owner := self._claims.take(address, port, f"cluster {cluster.name}"):
                self.notes.append(f"cluster {cluster.name}: port {port} belongs to {owner}; choose another")
            else:
                found.append(FrontendStanza(cluster, address))
        return found

    def _the_peers(self, clusters: Sequence[Cluster], previous: Document | None) -> list[Section]:
        """A cluster whose nodes are unknown keeps the peers that it had; without any, it has the local one alone."""
        found: list[Section] = []
        for cluster in clusters:
            wish = ClusterOptions.of(cluster).peers
            if wish is False:
                continue
            self.local_peer = self.local_peer or self._own_peer(previous)
            port = None if wish is True else wish
            stanza = PeersStanza(cluster, self.local_peer, port, self._own_address(previous))
            if stanza.is_shared and stanza.local.ip == LOOPBACK and not self._settings.local_peer_address:
                self.notes.append(
                    f"cluster {cluster.name}: the name of this host has no address that its peers reach, so they share nothing "
                    f"with it: give `local_peer_address` in balancers/haproxy.yaml"
                )
            known = previous.section(stanza.header) if previous and cluster.nodes is None else None
            local = stanza.local
            if owner := self._claims.take(local.ip, local.port, f"the peers of cluster {cluster.name}"):
                self.notes.append(
                    f"cluster {cluster.name}: port {local.port} of its peers belongs to {owner}, so it shares nothing with them: "
                    f"give another with `peers`"
                )
                found.append(disabled(stanza.header))
            else:
                found.append(known or stanza.section())
        return found

    def _own_peer(self, previous: Document | None) -> str:
        """The name of this host among peers; what the operator's own lines say comes first.

        While the resolver does not tell it, it stays what it was: another name is a reload, and shares no tables meanwhile.
        """
        own = local_peer_of(self._settings.global_lines) or self._settings.local_peer or HOST_NAME.known()
        section = previous.section("global") if previous else None
        if own or (own := local_peer_of(section.lines if section else ())):
            return own
        name = socket.gethostname()
        self.notes.append(
            f"the resolver does not tell the full name of this host, which is {name} among peers until then; give it with "
            f"`local_peer` in balancers/haproxy.yaml, or mend the resolver"
        )
        return name

    def _own_address(self, previous: Document | None) -> str:
        """Where this host listens to its peers. While the resolver does not tell, it stays where it was, or is the loopback."""
        own = self._settings.local_peer_address or HOST_ADDRESS.known()
        if own or previous is None:
            return own or LOOPBACK
        return next((place.host for header, place in places_of(previous) if header.startswith("peers ")), LOOPBACK)

    def _is_taken(self, kind: str, name: str, names: set[str]) -> bool:
        if name not in names:
            return False
        self.notes.append(f"the {kind} {name} is left out, because a cluster has its name: rename one of them")
        return True


def meta_members(settings: HAProxySettings, clusters: Sequence[Cluster]) -> dict[str, list[Cluster]]:
    """The clusters of each configured meta cluster."""
    found: dict[str, list[Cluster]] = {meta.name: [] for meta in settings.meta_clusters}
    for cluster in clusters:
        if cluster.meta_cluster in found:
            found[cluster.meta_cluster].append(cluster)
    return found


def _stray(settings: HAProxySettings, clusters: Sequence[Cluster]) -> list[str]:
    """What keeps clusters out of the meta cluster that they name."""
    known = {meta.name for meta in settings.meta_clusters}
    notes = []
    for cluster in clusters:
        if cluster.meta_cluster is not None and cluster.meta_cluster not in known:
            notes.append(
                f"cluster {cluster.name}: there is no meta cluster {cluster.meta_cluster}; give it a port under "
                f"`meta_clusters` in balancers/haproxy.yaml"
            )
        elif cluster.meta_cluster is not None and not ClusterOptions.of(cluster).acl:
            notes.append(
                f"cluster {cluster.name}: without `acl` it gets nothing from meta cluster {cluster.meta_cluster}"
            )
    return notes
