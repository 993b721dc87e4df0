"""``frontend`` of a meta cluster: one port whose requests are dealt to several clusters."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from lighthouse.cluster import Cluster
from lighthouse.haproxy.options import ClusterOptions
from lighthouse.haproxy.stanzas.frontend import entry
from lighthouse.haproxy.stanzas.section import Section
from lighthouse.haproxy.stanzas.stanza import Stanza, bind


class MetaFrontendStanza(Stanza):
    """Each member cluster gets the requests that its ``acl`` matches; the first by name, if several do.

    A member without an ``acl`` gets none. A request that no member matches is answered with 503.
    """

    def __init__(
        self, name: str, port: int, lines: Sequence[str], members: Iterable[Cluster], bind_address: str | None = None
    ) -> None:
        rules = []
        for cluster in sorted(members, key=lambda item: item.name):
            acl = ClusterOptions.of(cluster).acl
            if acl:
                rules += [f"acl is_{cluster.name} {acl}", f"use_backend {cluster.name} if is_{cluster.name}"]
        super().__init__("frontend", entry(name), (bind(bind_address or "", port), *lines, *rules))


def with_rules_of(section: Section, good: Section | None, clusters: Collection[str]) -> Section:
    """`section`, with the rules that `good` has for `clusters` in the place of its own."""
    mine, theirs = _rules(section), _rules(good)
    if all(mine.get(name) == theirs.get(name) for name in clusters):
        return section
    rules = {name: lines for name, lines in mine.items() if name not in clusters}
    rules |= {name: lines for name, lines in theirs.items() if name in clusters}
    others = [line for line in section.lines if _cluster_of(line) is None]
    return replace(section, lines=(*others, *(line for name in sorted(rules) for line in rules[name])))


def changed_rules(section: Section, old: Section | None) -> set[str]:
    """The clusters whose rules differ between two versions of a meta cluster's frontend."""
    mine, theirs = _rules(section), _rules(old)
    return {name for name in {*mine, *theirs} if mine.get(name) != theirs.get(name)}


def _rules(section: Section | None) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in section.lines if section else ():
        name = _cluster_of(line)
        if name is not None:
            found.setdefault(name, []).append(line)
    return found


def _cluster_of(line: str) -> str | None:
    """The cluster that a line written by `MetaFrontendStanza` is for."""
    match line.split():
        case ["acl", name, *_] if name.startswith("is_"):
            return name.removeprefix("is_")
        case ["use_backend", backend, "if", condition] if condition == f"is_{backend}":
            return backend
    return None
