"""From settings and clusters to the configuration file. Pure: the same input gives the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lighthouse.cluster import Cluster
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.member import Member, members_of
from lighthouse.haproxy.options import ClusterOptions, HAProxySettings
from lighthouse.haproxy.stanzas.backend import backend_section
from lighthouse.haproxy.stanzas.defaults import defaults_section
from lighthouse.haproxy.stanzas.frontend import frontend_section
from lighthouse.haproxy.stanzas.global_ import global_section
from lighthouse.haproxy.stanzas.section import Section
from lighthouse.identity import valid_name


@dataclass(frozen=True, slots=True)
class Desired:
    """What HAProxy should run. ``unknown`` names the clusters without an answer, ``notes`` what was left out and why."""

    document: Document
    unknown: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


class HAProxyConfig:
    """Renders clusters under the given settings."""

    def __init__(self, settings: HAProxySettings) -> None:
        self.settings = settings

    def render(self, clusters: Iterable[Cluster]) -> str:
        """The text of the file. A cluster whose nodes are unknown has no members here; see `desired`."""
        return self.desired(clusters, {}).document.text()

    def desired(self, clusters: Iterable[Cluster], adopted: Mapping[str, Sequence[Member]]) -> Desired:
        """What HAProxy should run; `adopted` gives the members of clusters whose nodes are unknown.

        Two clusters cannot have one port: HAProxy would deal its connections to both in turn. The first by name gets it.
        Raises `ConfigError` or `NodeError` for options or a name that validation would have refused.
        """
        frontends, backends, notes = [], [], []
        unknown, ports = set(), dict[int, str]()
        for cluster in sorted(clusters, key=lambda item: item.name):
            options = ClusterOptions.from_mapping(cluster.options)
            name = valid_name(cluster.name)
            members: Sequence[Member]
            if cluster.nodes is None:
                unknown.add(name)
                members = sorted(adopted.get(name, ()))
            else:
                members, refused = members_of(cluster.nodes)
                notes += [f"cluster {name}: a node is refused: {reason}" for reason in refused[:1]]
            backends.append(self._backend(name, options, members))
            if options.port is None:
                continue
            owner = ports.setdefault(options.port, name)
            if owner == name:
                frontends.append(frontend_section(name, options.frontend, self.settings.bind_address, options.port))
            else:
                notes.append(f"cluster {name}: port {options.port} belongs to cluster {owner}; choose another")
        return Desired(self._document([*frontends, *backends]), frozenset(unknown), tuple(notes))

    def _backend(self, name: str, options: ClusterOptions, members: Sequence[Member]) -> Section:
        return backend_section(name, options.backend, options.server_options, self.settings.defaults, members)

    def _document(self, sections: Iterable[Section]) -> Document:
        settings = self.settings
        # The paths are part of the skeleton: a process that was started with others cannot be reloaded into this file.
        comments = (
            "# Written by Lighthouse; what is changed here by hand is lost. Change balancers/ and clusters/ instead.",
            f"# -S {settings.master_socket_file} -p {settings.pid_file} -f {settings.config_file}",
        )
        head = global_section(settings.global_lines, settings.socket_file), defaults_section(settings.defaults)
        return Document(comments, (*head, *sections))
