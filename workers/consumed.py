"""The clusters that a balancer writes: what is configured, who their members are, and which of them this host uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lighthouse.cluster import Cluster
from lighthouse.node import Node
from lighthouse.selection import Selected, Selection, select


class Consumed:
    """One balancer's clusters. A cluster that nothing changed of is the same object as before, so that plugins may go by that."""

    def __init__(self) -> None:
        self._items: dict[str, Mapping[str, Any]] = {}
        self._members: dict[str, list[Node]] = {}
        self._clusters: dict[str, Cluster] = {}
        self._selected: dict[str, Selected] = {}

    def configure(self, items: Sequence[Mapping[str, Any]]) -> None:
        """These are the clusters. One that is gone is forgotten: if it comes back, what it was is no longer known."""
        before, self._items = self._items, {item["name"]: item for item in items}
        self._members = {name: nodes for name, nodes in self._members.items() if name in self._items}
        self._clusters = {name: made for name, made in self._clusters.items() if before[name] == self._items.get(name)}

    def learn(self, name: str, nodes: list[Node]) -> bool:
        """Take over newer members; returns whether they differ."""
        if self._members.get(name) == nodes:
            return False
        self._members[name] = nodes
        self._clusters.pop(name, None)
        return True

    def clusters(self) -> list[Cluster]:
        """All of them, in the order of the configuration."""
        for name, item in self._items.items():
            if name not in self._clusters:
                self._clusters[name] = self._made(name, item)
        return [self._clusters[name] for name in self._items]

    def has(self, name: str) -> bool:
        """Whether it is one of them."""
        return name in self._items

    def unknown(self) -> bool:
        """Whether the members of any are not known."""
        return any(name not in self._members for name in self._items)

    def report(self) -> dict[str, Any]:
        """For the status: which members are left out and why, and the clusters whose default nodes may stand in."""
        return {
            "left_out": {name: dict(self._selected[name].left_out) for name in self._items if self._left_out(name)},
            "defaults": [name for name, item in self._items.items() if self._stands_in(name, item)],
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
            tuple(Node.from_mapping(node) for node in item.get("default_nodes", ())),
        )

    def _left_out(self, name: str) -> bool:
        return name in self._selected and bool(self._selected[name].left_out)

    def _stands_in(self, name: str, item: Mapping[str, Any]) -> bool:
        return name not in self._members and "default_nodes" in item
