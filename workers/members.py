"""Reading snapshots of members: a node of which nothing changed is the same object as before, and costs next to nothing."""

from __future__ import annotations

from lighthouse.ipc.messages import elements, unpack
from lighthouse.node import Node


class Members:
    """The nodes of each cluster by their packed form, as the last snapshots had them."""

    def __init__(self) -> None:
        self._known: dict[str, dict[bytes, Node]] = {}

    def read(self, cluster: str, payload: bytes) -> list[Node]:
        """The nodes in a snapshot of a cluster's members. Raises `ProtocolError` or `NodeError`."""
        before = self._known.get(cluster, {})
        packed = elements(payload, "nodes")
        nodes = [before.get(item) or Node.from_mapping(unpack(item)) for item in packed]
        self._known[cluster] = dict(zip(packed, nodes, strict=True))
        return nodes

    def keep(self, clusters: list[str]) -> None:
        """Forget all clusters but these."""
        self._known = {name: self._known[name] for name in clusters if name in self._known}
