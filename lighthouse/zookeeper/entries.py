"""The children of a cluster's znode, each with what it announces."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterable, Iterator
from dataclasses import dataclass, replace

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
    """One child: the transaction that changed it last, and what it announces, or None and why it is refused.

    ``size`` is what its record counts for in its cluster, in bytes. One that is ``left_out`` is not kept, because the cluster's
    records together are more than is kept.
    """

    changed: int
    content: Node | NamedHost | None
    refused: str = ""
    size: int = 0
    left_out: bool = False

    @classmethod
    def of(cls, found: Found) -> Entry:
        """What a znode says. A record that is refused counts for nothing, because it is not kept."""
        try:
            return cls(found.changed, read(found.data), size=len(found.data))
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
        try:
            return Settled(self.content.at(found.ip))
        except NodeError as error:
            return Settled(None, f"the address of {shown(self.content.host)} cannot be used: {error}")


class Entries:
    """The children by name, each None until it is read. Of their records `room` bytes are kept, of the others the sizes."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._kept = 0
        self._entries: dict[str, Entry | None] = {}

    def __len__(self) -> int:
        """How many there are, read or not."""
        return len(self._entries)

    def __iter__(self) -> Iterator[str]:
        """Their names."""
        return iter(self._entries)

    def __contains__(self, name: str) -> bool:
        """Whether there is a child of this name."""
        return name in self._entries

    def items(self) -> ItemsView[str, Entry | None]:
        """The children."""
        return self._entries.items()

    def get(self, name: str) -> Entry | None:
        """A child, None if it was not read yet."""
        return self._entries.get(name)

    def follow(self, names: Iterable[str]) -> int:
        """These are the children now; returns how many came and went."""
        known = self._entries
        self._entries = {name: known.get(name) for name in names}
        self._kept = sum(entry.size for entry in self._entries.values() if entry and not entry.left_out)
        return len(known.keys() ^ self._entries.keys())

    def put(self, name: str, entry: Entry) -> None:
        """A child was read."""
        self.remove(name)
        if self._kept + entry.size > self._room:
            entry = replace(entry, content=None, left_out=True)
        else:
            self._kept += entry.size
        self._entries[name] = entry

    def remove(self, name: str) -> None:
        """A child is gone."""
        known = self._entries.pop(name, None)
        if known is not None and not known.left_out:
            self._kept -= known.size

    def left_out(self) -> tuple[list[str], bool]:
        """The children for which there was no room, and whether there is by now."""
        names = [name for name, entry in self._entries.items() if entry and entry.left_out]
        return names, not names or sum(entry.size for entry in self._entries.values() if entry) <= self._room
