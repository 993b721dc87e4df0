"""Which listeners the clusters and the balancer's own settings come to, and what must be left out and why. Pure.

Two listeners on one port would share its connections, and two sections of one name are refused by HAProxy together with the whole
file. So of two that clash one is left out, or stays as it was, and a note says which. Ports belong to who listens there
(`lighthouse.haproxy.claims`), then to the balancer's own settings, then to the clusters in the order of their names. Names
belong to the clusters.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence

from lighthouse.cluster import Cluster
from lighthouse.haproxy.addresses import spots
from lighthouse.haproxy.binds import places_of, rebound
from lighthouse.haproxy.claims import Wish, settle, spots_of
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.host_name import HOST_ADDRESS, HOST_NAME
from lighthouse.haproxy.listeners import STATS
from lighthouse.haproxy.options import ClusterOptions, HAProxySettings
from lighthouse.haproxy.stanzas.frontend import FrontendStanza
from lighthouse.haproxy.stanzas.global_ import local_peer_of
from lighthouse.haproxy.stanzas.meta import MetaFrontendStanza
from lighthouse.haproxy.stanzas.peers import LOOPBACK, PeersStanza, disabled
from lighthouse.haproxy.stanzas.proxy import ProxyStanza
from lighthouse.haproxy.stanzas.section import Section
from lighthouse.haproxy.stanzas.stanza import Stanza
from lighthouse.haproxy.stanzas.stats import StatsStanza
from lighthouse.haproxy.upstreams import Addresses


class Layout:
    """The sections of one file that are neither ``global``, ``defaults`` nor a backend; ``notes`` says what was left out.

    ``remarks``: what no configuration is the cause of, a silent resolver. ``clashes``: the clusters that cannot have their ports,
    and why, which is in the notes too.
    """

    def __init__(
        self, settings: HAProxySettings, clusters: Sequence[Cluster], previous: Document | None, addresses: Addresses
    ) -> None:
        """`clusters` in the order of their names; `previous` is what is in force; `addresses` are those of names.

        An unknown cluster keeps the peers of `previous`, this host its name, and every listener its port.
        """
        self.notes: list[str] = []
        self.remarks: list[str] = []
        self.clashes: dict[str, str] = {}
        self.local_peer: str | None = None
        self._settings = settings
        self._previous = previous
        self._addresses = addresses
        self._backends = {cluster.name for cluster in clusters}
        self._fronts = {cluster.name for cluster in clusters if ClusterOptions.of(cluster).port is not None}
        after = [*self._the_proxies(), *self._the_stats()]
        before = [*self._the_metas(meta_members(settings, clusters)), *self._the_frontends(clusters)]
        self.notes += _stray(settings, clusters)
        peers = self._the_peers(clusters)
        self._denied = settle((*reversed(after), *before, *peers), previous)
        self._tell((*after, *before, *peers))
        self._before, self._after = self._settled(before), self._settled((*peers, *after))

    def before(self) -> list[Section]:
        """The frontends, which come before the backends."""
        return self._before

    def after(self) -> list[Section]:
        """What comes after them."""
        return self._after

    def _tell(self, wishes: Sequence[Wish]) -> None:
        for wish in wishes:
            denial = self._denied.get(wish.section.header)
            if denial is None:
                continue
            if wish.section.header.startswith("peers "):
                cluster = wish.section.header.removeprefix("peers ")
                self.notes.append(
                    f"cluster {cluster}: port {denial.spot[1]} of its peers belongs to {denial.owner}, so it shares nothing with "
                    f"them: give another with `peers`"
                )
                continue
            self.notes.append(f"{wish.owner}: {denial}")
            kind, _, name = wish.owner.partition(" ")
            if kind == "cluster":
                self.clashes[name] = str(denial)

    def _settled(self, wishes: Sequence[Wish]) -> list[Section]:
        found: list[Section] = []
        for wish in wishes:
            denial = self._denied.get(wish.section.header)
            if denial is None:
                found.append(wish.section)
            elif wish.section.header.startswith("peers "):
                found.append(disabled(wish.section.header))
            elif denial.stays is not None:
                found.append(rebound(wish.section, denial.stays))
        return found

    def _the_stats(self) -> list[Wish]:
        stats = self._settings.stats
        if stats is None or self._is_taken("stats page", STATS, self._backends):
            return []
        stanza = StatsStanza(stats.port, stats.uri, stats.bind_address, stats.timeouts)
        return [_wish(stanza, "the stats page", stats.bind_address, stats.port)]

    def _the_proxies(self) -> list[Wish]:
        found: list[Wish] = []
        for proxy in self._settings.proxies:
            if self._is_taken("proxy", proxy.name, self._backends):
                continue
            addresses = self._addresses.get(proxy.name, {})
            stanza = ProxyStanza(
                proxy.name, proxy.port, proxy.upstreams, proxy.options, proxy.bind_address, addresses=addresses
            )
            self.remarks += [
                f"proxy {proxy.name}: the resolver tells no address of {item.host}, so this server is down until it does: "
                f"correct `host` in balancers/haproxy.yaml, or mend the resolver"
                for item in proxy.upstreams
                if addresses.get(item.server, "") is None
            ]
            found.append(_wish(stanza, f"proxy {proxy.name}", proxy.bind_address, proxy.port))
        return found

    def _the_metas(self, members: Mapping[str, Sequence[Cluster]]) -> list[Wish]:
        found: list[Wish] = []
        address = self._settings.bind_address
        for meta in self._settings.meta_clusters:
            if self._is_taken("meta cluster", meta.name, self._fronts):
                continue
            stanza = MetaFrontendStanza(meta.name, meta.port, meta.frontend, members[meta.name], address)
            found.append(_wish(stanza, f"meta cluster {meta.name}", address, meta.port))
        return found

    def _the_frontends(self, clusters: Sequence[Cluster]) -> list[Wish]:
        address = self._settings.bind_address
        return [
            _wish(FrontendStanza(cluster, address), f"cluster {cluster.name}", address, port)
            for cluster in clusters
            if (port := ClusterOptions.of(cluster).port) is not None
        ]

    def _the_peers(self, clusters: Sequence[Cluster]) -> list[Wish]:
        """A cluster whose nodes are unknown keeps the peers that it had; without any, it has the local one alone."""
        found: list[Wish] = []
        for cluster in clusters:
            wish = ClusterOptions.of(cluster).peers
            if wish is False:
                continue
            self.local_peer = self.local_peer or self._own_peer(self._previous)
            port = None if wish is True else wish
            stanza = PeersStanza(cluster, self.local_peer, port, self._own_address(self._previous))
            if stanza.is_shared and stanza.local.ip == LOOPBACK and not self._settings.local_peer_address:
                (self.notes if HOST_ADDRESS.known() else self.remarks).append(
                    f"cluster {cluster.name}: the name of this host has no address that its peers reach, so they share nothing "
                    f"with it: give `local_peer_address` in balancers/haproxy.yaml"
                )
            known = self._previous.section(stanza.header) if self._previous and cluster.nodes is None else None
            places = spots(stanza.local.ip, stanza.local.port)
            found.append(Wish(known or stanza.section(), f"the peers of cluster {cluster.name}", places))
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
        self.remarks.append(
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


def _wish(stanza: Stanza, owner: str, address: str, port: int) -> Wish:
    """What a stanza wants: its port, and what else the operator's own lines say."""
    section = stanza.section()
    return Wish(section, owner, tuple(dict.fromkeys((*spots(address, port), *spots_of(section)))))


def meta_members(settings: HAProxySettings, clusters: Sequence[Cluster]) -> dict[str, list[Cluster]]:
    """The clusters of each configured meta cluster."""
    found: dict[str, list[Cluster]] = {meta.name: [] for meta in settings.meta_clusters}
    for cluster in clusters:
        if cluster.meta_cluster in found:
            found[cluster.meta_cluster].append(cluster)
    return found


def _stray(settings: HAProxySettings, clusters: Sequence[Cluster]) -> list[str]:
    """What clusters say that comes to nothing, and what keeps them out of the meta cluster that they name."""
    known = {meta.name for meta in settings.meta_clusters}
    notes = []
    for cluster in clusters:
        options = ClusterOptions.of(cluster)
        if options.frontend and options.port is None:
            notes.append(
                f"cluster {cluster.name}: its `frontend` lines do nothing without a `port`: give one, or remove them"
            )
        if options.acl and cluster.meta_cluster is None:
            notes.append(
                f"cluster {cluster.name}: its `acl` does nothing, because it names no `meta_cluster`: name one, or remove it"
            )
        if cluster.meta_cluster is not None and cluster.meta_cluster not in known:
            notes.append(
                f"cluster {cluster.name}: there is no meta cluster {cluster.meta_cluster}; give it a port under "
                f"`meta_clusters` in balancers/haproxy.yaml"
            )
        elif cluster.meta_cluster is not None and not options.acl:
            notes.append(
                f"cluster {cluster.name}: without `acl` it gets nothing from meta cluster {cluster.meta_cluster}"
            )
    return notes
