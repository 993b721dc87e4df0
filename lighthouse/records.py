"""What a registry holds of a cluster: records of any known format, and the members that they make together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from lighthouse import nerve
from lighthouse.nerve import NamedHost
from lighthouse.node import Node, decode


class Entry(Protocol):
    """One record: the node that it announces, or None and the reason why it is refused."""

    @property
    def node(self) -> Node | None:
        """The node."""

    @property
    def refused(self) -> str:
        """The reason."""


def read(record: str | bytes) -> Node | NamedHost:
    """A record of lighthouse or of nerve. Raises `NodeError`."""
    data = decode(record)
    return nerve.read(data) if nerve.speaks(data) else Node.from_mapping(data)


def chosen(entries: Mapping[str, Entry]) -> tuple[list[Node], dict[str, str]]:
    """The members, sorted, and the records that are refused. Of two for one member the first by its own name counts."""
    nodes: dict[str, Node] = {}
    origin: dict[str, str] = {}
    refused: dict[str, str] = {}
    for name, entry in sorted(entries.items()):
        if entry.node is None:
            refused[name] = entry.refused
        elif entry.node.name in nodes:
            refused[name] = f"{entry.node.name} is announced by {origin[entry.node.name]!a} already"
        else:
            nodes[entry.node.name] = entry.node
            origin[entry.node.name] = name
    return [nodes[name] for name in sorted(nodes)], refused
