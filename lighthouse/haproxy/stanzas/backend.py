"""``backend``: a cluster's members. It is written even when it has none: clients get an answer (503), and the file is valid."""

from __future__ import annotations

from collections.abc import Sequence

from lighthouse.cluster import Cluster
from lighthouse.haproxy.member import Member, members_of
from lighthouse.haproxy.options import ClusterOptions
from lighthouse.haproxy.stanzas.lines import cookie_line, has_id, setting
from lighthouse.haproxy.stanzas.section import COOKIE, RANK, Section
from lighthouse.haproxy.stanzas.stanza import Stanza


class BackendStanza(Stanza):
    """A cluster's own lines and its `members`, which are its nodes unless others are given.

    Each server gets its name as cookie value if the backend, or `defaults`, has a ``cookie`` line; it would do nothing otherwise.
    Not so with ``cookie ... dynamic``: HAProxy then makes the values from the addresses. Under ``balance first`` the ids are in
    the order of names.
    A member whose name the operator's own lines use already is left out.
    """

    def __init__(
        self, cluster: Cluster, *, defaults: Sequence[str] = (), members: Sequence[Member] | None = None
    ) -> None:
        options = ClusterOptions.of(cluster)
        super().__init__("backend", cluster.name, options.backend)
        cookie = cookie_line(self.lines, defaults)
        own = f"{COOKIE} " if cookie and "dynamic" not in cookie.split() else ""
        if (
            not cookie
            and setting((*defaults, *self.lines), "balance") == "first"
            and not has_id(options.server_options)
        ):
            own = f"{RANK} "
        self.template = f"{own}{options.server_options}".strip()
        if members is None:
            members, _ = members_of(cluster.nodes or (), options.server_metadata)
        self.members = tuple(members)

    def section(self) -> Section:
        """The value that goes into the file. Raises `ConfigError` for a line that is none."""
        return Section(self.header, tuple(self.lines), self.template).filled(self.members)
