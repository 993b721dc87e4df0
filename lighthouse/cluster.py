"""Clusters: services that this host consumes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lighthouse.exact import equal_if_same
from lighthouse.node import Node


@equal_if_same("options")
@dataclass(slots=True, eq=False)
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
