"""``frontend`` of a meta cluster: one port whose requests are dealt to several clusters."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
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
    own, mine = _parted(section)
    _, theirs = _parted(good)
    if all(mine.get(name) == theirs.get(name) for name in {*mine, *theirs} if name in clusters):
        return section
    rules = {name: lines for name, lines in mine.items() if name not in clusters}
    rules |= {name: lines for name, lines in theirs.items() if name in clusters}
    return _joined(section, own, rules)


def with_own_lines_of(section: Section, old: Section) -> Section:
    """`section` with the operator's lines of `old` and its own rules."""
    own, _ = _parted(old)
    _, rules = _parted(section)
    return _joined(section, own, rules)


def changed_rules(section: Section, old: Section | None) -> set[str]:
    """The clusters whose rules differ between two versions of a meta cluster's frontend."""
    (_, mine), (_, theirs) = _parted(section), _parted(old)
    return {name for name in {*mine, *theirs} if mine.get(name) != theirs.get(name)}


def _joined(section: Section, own: Sequence[str], rules: Mapping[str, Sequence[str]]) -> Section:
    return replace(section, lines=(*own, *(line for name in sorted(rules) for line in rules[name])))


def _parted(section: Section | None) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """The operator's lines, and behind them the rules that `MetaFrontendStanza` wrote: pairs, in the order of the clusters' names.

    What looks like a rule among the operator's lines is theirs.
    """
    lines = section.lines if section else ()
    end, rules = len(lines), dict[str, tuple[str, ...]]()
    while end >= 2 and (name := _cluster_of(*lines[end - 2 : end])) and all(name < other for other in rules):
        rules[name] = lines[end - 2 : end]
        end -= 2
    return lines[:end], rules


def _cluster_of(acl: str, use: str) -> str | None:
    """The cluster that a pair of lines is for."""
    match acl.split(), use.split():
        case ["acl", name, *_], ["use_backend", backend, "if", condition] if name == condition == f"is_{backend}":
            return backend
    return None
