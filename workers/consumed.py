"""The clusters that a balancer writes: what is configured, who their members are, and which of them this host uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lighthouse.cluster import Cluster
from lighthouse.exact import same
from lighthouse.node import Node
from lighthouse.selection import Selected, Selection, select


class Consumed:
    """One balancer's clusters. A cluster that nothing changed of is the same object as before, so that plugins may go by that."""

    def __init__(self) -> None:
        self._items: dict[str, Mapping[str, Any]] = {}
        self._defaults: dict[str, tuple[Node, ...]] = {}
        self._members: dict[str, list[Node]] = {}
        self._clusters: dict[str, Cluster] = {}
        self._selected: dict[str, Selected] = {}
        self._changed: set[str] = set()
        self._silent: set[str] = set()

    def configure(self, items: Sequence[Mapping[str, Any]]) -> None:
        """These are the clusters. One that is gone is forgotten: if it comes back, what it was is no longer known."""
        before, self._items = self._items, {item["name"]: item for item in items}
        self._defaults = {
            name: tuple(map(Node.from_mapping, item["default_nodes"]))
            for name, item in self._items.items()
            if "default_nodes" in item
        }
        self._members = {name: nodes for name, nodes in self._members.items() if name in self._items}
        self._selected = {name: selected for name, selected in self._selected.items() if name in self._items}
        made = {name: cluster for name, cluster in self._clusters.items() if same(before[name], self._items.get(name))}
        self._clusters = {name: made.get(name) or self._made(name, item) for name, item in self._items.items()}
        self._silent = self._items.keys() - self._members.keys()

    def learn(self, name: str, nodes: list[Node]) -> bool:
        """Take over newer members; returns whether they differ."""
        if self._members.get(name) == nodes:
            return False
        self._members[name] = nodes
        self._silent.discard(name)
        self._changed.add(name)
        return True

    def clusters(self) -> list[Cluster]:
        """All of them, in the order of the configuration."""
        for name in self._changed & self._items.keys():
            self._clusters[name] = self._made(name, self._items[name])
        self._changed.clear()
        return list(self._clusters.values())

    def has(self, name: str) -> bool:
        """Whether it is one of them."""
        return name in self._items

    def unknown(self) -> bool:
        """Whether the members of any are not known."""
        return bool(self._silent)

    def report(self) -> dict[str, Any]:
        """For the status: which members are left out and why, and the clusters whose default nodes may stand in."""
        return {
            "left_out": {name: dict(made.left_out) for name, made in sorted(self._selected.items()) if made.left_out},
            "defaults": sorted(self._silent & self._defaults.keys()),
        }

    def _made(self, name: str, item: Mapping[str, Any]) -> Cluster:
        self._selected.pop(name, None)
        nodes = self._members.get(name)
        if nodes is not None and "selection" in item:
            self._selected[name] = select(nodes, Selection.from_mapping(item["selection"]))
            nodes = list(self._selected[name].nodes)
        return Cluster(
            name,
            item["discovery"],
            nodes,
            item["options"],
            item.get("meta_cluster"),
            self._defaults.get(name, ()),
        )
