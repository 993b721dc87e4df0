"""From settings and clusters to the configuration file. Pure: the same input gives the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lighthouse.cluster import Cluster
from lighthouse.exact import same
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.kept import notes_of, still_named, with_kept
from lighthouse.haproxy.layout import Layout, meta_members
from lighthouse.haproxy.member import Member, members_of
from lighthouse.haproxy.options import ClusterOptions, HAProxySettings, Owner
from lighthouse.haproxy.stanzas.backend import BackendStanza
from lighthouse.haproxy.stanzas.defaults import DefaultsStanza
from lighthouse.haproxy.stanzas.global_ import GlobalStanza
from lighthouse.haproxy.stanzas.section import Section
from lighthouse.haproxy.upstreams import Addresses
from lighthouse.identity import valid_name
from lighthouse.node import Node


@dataclass(frozen=True, slots=True)
class Desired:
    """What HAProxy should run. ``unknown`` names the clusters without an answer, and without default nodes that join.

    ``notes``: what of the configuration is left out, and why. ``refused``: the same of the registry's records, by cluster and node.
    ``shadowed``: the members whose names the operator's own lines use, by cluster. ``limited``: the clusters whose nodes may set
    maxconn or backup, which few commands show. ``clashes``: those that cannot have their ports, and why, which is in the notes too.
    ``remarks``: what no configuration is the cause of, such as a silent resolver.
    """

    document: Document
    unknown: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    refused: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    shadowed: Mapping[str, Mapping[str, Member]] = field(default_factory=dict)
    limited: frozenset[str] = frozenset()
    clashes: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rendered:
    """A cluster's backend, what is refused of which node and why, and which are shadowed. For these nodes and options only."""

    section: Section
    refused: Mapping[str, str]
    shadowed: Mapping[str, Member]
    nodes: Sequence[Node]
    options: Mapping[str, Any]


class HAProxyConfig:
    """Renders clusters under the given settings. What did not change since the last time is not rendered again."""

    def __init__(self, settings: HAProxySettings, *stanzas: object) -> None:
        """Raises `TypeError` for the stanzas of which lighthouse 1.0 made it."""
        if stanzas or not isinstance(settings, HAProxySettings):
            raise TypeError(
                "HAProxyConfig is made from the settings of balancers/haproxy.yaml, not from stanzas: "
                "HAProxyConfig(HAProxySettings.from_mapping({...})), see docs/migrating.md"
            )
        self.settings = settings
        self._rendered: dict[str, Rendered] = {}

    def generate(self, clusters: Iterable[Cluster], version: object = None) -> str:  # noqa: ARG002
        """The text of the file, which is the same for each `version`. A cluster whose nodes are unknown has no members here."""
        return self.desired(clusters, {}).document.text()

    def get_meta_clusters(self, clusters: Iterable[Cluster]) -> dict[str, list[Cluster]]:
        """The clusters of each meta cluster that has a port, by its name."""
        return meta_members(self.settings, _in_order(clusters))

    def desired(
        self,
        clusters: Iterable[Cluster],
        adopted: Mapping[str, Sequence[Member]],
        previous: Document | None = None,
        addresses: Addresses | None = None,
    ) -> Desired:
        """What HAProxy should run; `adopted` gives the members of clusters whose nodes are unknown, `previous`, which is in
        force, their peers, the name of this host among peers where nobody else tells it, and who listens where; `addresses` those
        of proxies' servers whose hosts are names, which HAProxy looks up itself without them.

        What clashes is left out and noted; see `lighthouse.haproxy.layout`. What was removed and is still named stays, which is
        noted too; see `lighthouse.haproxy.kept`.
        Raises `ConfigError` or `NodeError` for options or a name that validation would have refused.
        """
        ordered = _in_order(clusters)
        layout = Layout(self.settings, ordered, previous, addresses or {})
        backends: list[Section] = []
        unknown = set()
        refusals, shadowed, limited = dict[str, Mapping[str, str]](), dict[str, Mapping[str, Member]](), set()
        for cluster in ordered:
            options = ClusterOptions.of(cluster)
            name = cluster.name
            if cluster.nodes is None:
                members = sorted(adopted.get(name, ()))
                if members or not cluster.default_nodes:
                    unknown.add(name)
                backends.append(self._section(cluster, members or members_of(cluster.default_nodes)[0]))
            else:
                rendered = self.backend(cluster)
                backends.append(rendered.section)
                if rendered.refused:
                    refusals[name] = rendered.refused
                if rendered.shadowed:
                    shadowed[name] = rendered.shadowed
            if {"maxconn", "backup"} & set(options.server_metadata):
                limited.add(name)
        self._rendered = {
            cluster.name: self._rendered[cluster.name] for cluster in ordered if cluster.nodes is not None
        }
        document = self._document(layout, backends)
        kept = still_named(document.sections, previous)
        return Desired(
            with_kept(document, [item.section for item in kept], previous),
            frozenset(unknown),
            (*layout.notes, *notes_of(kept, self._rendered | dict.fromkeys(unknown))),
            refusals,
            shadowed,
            frozenset(limited),
            layout.clashes,
            tuple(layout.remarks),
        )

    def backend(self, cluster: Cluster) -> Rendered:
        """The backend of a cluster whose nodes are known. Raises `ConfigError`."""
        known = self._rendered.get(cluster.name)
        nodes = cluster.nodes or []
        if known is not None and not same(known.options, cluster.options):
            known = None
        if known is None or known.nodes != nodes:
            members, refused = members_of(nodes, ClusterOptions.of(cluster).server_metadata)
            section = known.section.filled(members) if known else self._section(cluster, members)
            known = self._rendered[cluster.name] = Rendered(
                section, refused, section.shadowed(members), list(nodes), cluster.options
            )
        return known

    def _section(self, cluster: Cluster, members: Sequence[Member]) -> Section:
        return BackendStanza(cluster, defaults=self.settings.defaults, members=members).section()

    def _document(self, layout: Layout, backends: Iterable[Section]) -> Document:
        settings = self.settings
        shared = settings.owner is Owner.SERVICE
        # The paths are part of the skeleton: a process that was started with others cannot be reloaded into this file.
        start = f"-S {settings.master_socket_file} -p {settings.pid_file} -f {settings.config_file}"
        comments = (
            "# Written by Lighthouse; what is changed here by hand is lost. Change balancers/ and clusters/ instead.",
            f"# -f {settings.config_file}, behind the files of HAProxy's owner" if shared else f"# {start}",
        )
        head = (
            GlobalStanza(
                settings.global_lines, settings.socket_file, layout.local_peer, settings.socket_options, shared=shared
            ).section(),
            DefaultsStanza(settings.defaults).section(),
        )
        return Document(comments, (*head, *layout.before(), *backends, *layout.after()))


def _in_order(clusters: Iterable[Cluster]) -> list[Cluster]:
    """By name. Raises `NodeError` for a name that validation would have refused."""
    found = sorted(clusters, key=lambda item: item.name)
    for cluster in found:
        valid_name(cluster.name)
    return found
