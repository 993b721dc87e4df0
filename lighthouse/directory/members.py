"""From the files of one service's directory to the members of a cluster: a state machine without I/O, time injected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lighthouse.directory.freshness import Mark, Pace, Sighting, pardoned, sighted, stalled
from lighthouse.node import Node
from lighthouse.records import chosen


@dataclass(frozen=True, slots=True)
class Stamp:
    """By what a file is recognised as unchanged; the change time is there because its owner cannot set it back."""

    mtime_ns: int
    inode: int
    size: int
    ctime_ns: int

    @property
    def mark(self) -> Mark:
        """The part that tells whether the owner is alive."""
        return Mark(self.mtime_ns, self.inode)


@dataclass(frozen=True, slots=True)
class Entry:
    """One file: its stamp, and the node that it announces, or None and the reason why it is refused."""

    stamp: Stamp
    node: Node | None
    refused: str = ""


class Members:
    """What is known of one service's directory.

    ``nodes`` is None until the first complete reading, then the sorted members. ``refused`` gives the reason for each file that is
    not used, ``expired`` counts the files that died since the beginning.
    """

    def __init__(self) -> None:
        self.nodes: list[Node] | None = None
        self.entries: Mapping[str, Entry] = {}
        self.refused: dict[str, str] = {}
        self.expired = 0
        self._sightings: dict[str, Sighting] = {}
        self._dead: set[str] = set()
        self._last = 0.0

    def take(self, entries: Mapping[str, Entry], now: float, wall: float, pace: Pace) -> bool:
        """Take over a complete reading; returns whether ``nodes`` or ``refused`` changed; the first reading always does."""
        known = self._sightings
        if self.nodes is not None and stalled(self._last, now, pace):
            known = {name: pardoned(sighting, self._last, now, pace) for name, sighting in known.items()}
        self._sightings = {
            name: sighted(known.get(name), entry.stamp.mark, now, wall, pace) for name, entry in entries.items()
        }
        self._last = now
        self.entries = entries
        dead = {
            name
            for name, sighting in self._sightings.items()
            if entries[name].node is not None and not sighting.fresh(now, pace)
        }
        self.expired += len(dead - self._dead)
        self._dead = dead
        nodes, refused = chosen({name: entry for name, entry in entries.items() if name not in dead})
        changed = (nodes, refused) != (self.nodes, self.refused)
        self.nodes, self.refused = nodes, refused
        return changed

    def abandoned(self, now: float, pace: Pace) -> list[str]:
        """The dead files that may be removed. One that is no announcement is never among them: it may be anybody's."""
        return [
            name
            for name, sighting in self._sightings.items()
            if self.entries[name].node is not None and sighting.abandoned(now, pace)
        ]


def differences(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> int:
    """How many files came, went or got another content; a touched file is the same file."""
    old = {(name, entry.stamp.inode, entry.stamp.size) for name, entry in before.items()}
    new = {(name, entry.stamp.inode, entry.stamp.size) for name, entry in after.items()}
    return len({name for name, _, _ in old ^ new})
