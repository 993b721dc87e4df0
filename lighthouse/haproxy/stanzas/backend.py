"""``backend``: a cluster's members. It is written even when it has none: clients get an answer (503), and the file is valid."""

from __future__ import annotations

from collections.abc import Sequence

from lighthouse.haproxy.member import Member
from lighthouse.haproxy.stanzas.section import COOKIE, Section, has


def backend_section(
    cluster: str, lines: Sequence[str], server_options: str, defaults: Sequence[str], members: Sequence[Member]
) -> Section:
    """The section ``backend`` of a cluster.

    Each server gets its name as cookie value if the backend, or `defaults`, has a ``cookie`` line; it would do nothing otherwise.
    A member whose name the operator's own lines use already is left out.
    """
    template = server_options.strip()
    if has(lines, "cookie") or (has(defaults, "cookie") and not has(lines, "no", "cookie")):
        template = f"{COOKIE} {template}".strip()
    empty = Section(f"backend {cluster}", tuple(lines), template)
    return Section(
        empty.header, empty.lines, template, tuple(item for item in members if not empty.is_pinned(item.name))
    )
