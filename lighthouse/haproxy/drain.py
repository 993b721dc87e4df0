"""Which servers are leaving, whose they were, how long they have been at it, and which are to be cut off."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping

from lighthouse.haproxy.running import Server, Servers
from lighthouse.haproxy.stanzas.section import Section

Place = tuple[str, str]  # backend and server


class Drain:
    """Remembers since when a server has been leaving.

    For one that an earlier process of ours took out, HAProxy tells how long ago its state changed. (For one that was down
    before, that is when it went down; its connections are cut earlier then.) Whose slot it was, nothing tells any more.
    """

    def __init__(self, timeout: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._timeout = timeout
        self._clock = clock
        self._since: dict[Place, float] = {}
        self._nodes: dict[Place, str] = {}
        self._fresh = True

    @property
    def places(self) -> Collection[Place]:
        """Those that are leaving."""
        return self._since.keys()

    def met(self, sections: Mapping[str, Section]) -> None:
        """These were in force until now: a slot that its member leaves does not tell whose it was."""
        before = {place: node for place, node in self._nodes.items() if place in self._since}
        self._nodes = before | {
            (backend, member.slot): member.name
            for backend, section in sections.items()
            if section.slots
            for member in section.members
        }

    def node(self, place: Place) -> str | None:
        """The name of the member that is leaving a slot, if it is known."""
        return self._nodes.get(place) if place in self._since else None

    def note(self, leaving: Iterable[tuple[Place, Server]], only: Collection[str] | None = None) -> None:
        """Note those that are leaving now, and forget all others; those of other backends than `only` stay, if that is given."""
        now = self._clock()
        since = {} if only is None else {place: at for place, at in self._since.items() if place[0] not in only}
        for place, server in leaving:
            first = now - server.since if self._fresh and server.in_maintenance else now
            since[place] = self._since.get(place, first)
        self._since = since
        self._fresh = False

    def expired(self) -> frozenset[Place]:
        """Those that have been leaving for too long."""
        now = self._clock()
        return frozenset(place for place, since in self._since.items() if now - since >= self._timeout)

    def next(self) -> float | None:
        """Seconds until the next one has been leaving for too long; None if none is leaving."""
        return max(0.0, min(self._since.values()) + self._timeout - self._clock()) if self._since else None


def leaving(sections: Mapping[str, Section], servers: Servers) -> list[tuple[Place, Server]]:
    """The servers of these backends that are none of the members and have not gone yet.

    In slots, and of those that are held: those whose last session has not ended.
    """
    found = []
    for backend, section in sections.items():
        members = {member.slot or member.name for member in section.members}
        for name, server in servers.get(backend, {}).items():
            if (
                name in members
                or section.is_pinned(name)
                or (not server.sessions and (name in section.slots or name in section.held))
            ):
                continue
            found.append(((backend, name), server))
    return found
