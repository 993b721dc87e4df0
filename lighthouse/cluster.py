"""Clusters: services that this host consumes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lighthouse.exact import same
from lighthouse.node import Node


@dataclass(slots=True)
class Cluster:
    """A cluster as plugins see it.

    ``nodes`` is None until a complete answer is known: unknown is not empty, and whoever finds None leaves things as they are.
    ``options`` is the part of the cluster's file that is addressed to the balancer at hand.
    ``default_nodes`` may stand in while ``nodes`` is None and the balancer knows no members of the cluster either.
    ``refused`` gives the reason for each record of the last answer that cannot be used, by the record's name in the registry.
    ``meta_cluster`` names the group of clusters that share a port with it, if it is in one.
    """

    name: str
    discovery: str = ""
    nodes: list[Node] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    meta_cluster: str | None = None
    default_nodes: tuple[Node, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __eq__(self, other: object) -> bool:
        """As nodes are compared; of two clusters the options say the same, and not only what is equal in Python."""
        if not isinstance(other, Cluster):
            return NotImplemented
        mine = self.name, self.discovery, self.meta_cluster, self.nodes, self.default_nodes, self.refused
        theirs = other.name, other.discovery, other.meta_cluster, other.nodes, other.default_nodes, other.refused
        return mine == theirs and same(self.options, other.options)
