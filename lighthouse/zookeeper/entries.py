"""The children of a cluster's znode, each with what it announces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lighthouse.errors import NodeError
from lighthouse.identity import shown
from lighthouse.nerve import NamedHost
from lighthouse.node import Node
from lighthouse.records import read
from lighthouse.zookeeper.messages import Found
from lighthouse.zookeeper.names import Address, Pending


@dataclass(frozen=True, slots=True)
class Settled:
    """A child with its address looked up, as `lighthouse.records.chosen` takes it."""

    node: Node | None
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One child: the transaction that changed it last, and what it announces, or None and why it is refused."""

    changed: int
    content: Node | NamedHost | None
    refused: str = ""

    @classmethod
    def of(cls, found: Found) -> Entry:
        """What a znode says."""
        try:
            return cls(found.changed, read(found.data))
        except NodeError as error:
            return cls(found.changed, None, str(error))

    def settled(self, address: Callable[[str], Address]) -> Settled | None:
        """With its address; None while that is being looked up for the first time."""
        if not isinstance(self.content, NamedHost):
            return Settled(self.content, self.refused)
        found = address(self.content.host)
        if isinstance(found, Pending):
            return None
        if found.ip is None:
            return Settled(None, f"the address of {shown(self.content.host)} is not known: {found.problem}")
        return Settled(self.content.at(found.ip))
