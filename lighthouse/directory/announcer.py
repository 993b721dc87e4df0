"""Keeping this host's own files as they should be, and no others.

A file is ours by its name, ``<service>/<host>:<port>``: this host's name and a port of its service. What was announced is
remembered and handed over to the next generation, so that a service which was taken out of the configuration in between is
withdrawn all the same.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from enum import Enum, auto

from lighthouse.directory.freshness import Pace
from lighthouse.directory.store import Store
from lighthouse.discovery import Announcement, Wanted
from lighthouse.errors import NodeError, RegistryError
from lighthouse.identity import shown, valid_host, valid_name, valid_port
from lighthouse.node import MAX_RECORD, plain

Key = tuple[str, str]
"""A service and the name of a file in its directory."""


class Act(Enum):
    """What to do with an own file."""

    WRITE = auto()
    TOUCH = auto()
    REMOVE = auto()
    LEAVE = auto()


def decide(wanted: Wanted, found: bytes | None, content: bytes, *, due: bool) -> Act:
    """The act that brings an own file, which holds `found` or is absent, to what is wanted; when `due` it needs a sign of life."""
    if wanted is Wanted.DOWN:
        return Act.LEAVE if found is None else Act.REMOVE
    if found != content and (wanted is Wanted.UP or (wanted is Wanted.LEAVING and found is not None)):
        return Act.WRITE
    return Act.TOUCH if due and found is not None else Act.LEAVE


class Announcer:
    """The announcements of this host. ``failed`` are those, by service and port, that could not be made since the last `want`."""

    def __init__(self) -> None:
        self.failed: set[tuple[str, int]] = set()
        self._wanted: dict[Key, tuple[Wanted, bytes]] | None = None
        self._own: set[Key] = set()
        self._touched: dict[Key, float] = {}

    @property
    def own(self) -> frozenset[Key]:
        """The files that are in place, as far as is known."""
        return frozenset(self._own)

    @property
    def services(self) -> set[str]:
        """The services whose directories hold or should hold files of ours."""
        return {service for service, _ in self._keys()}

    def want(self, announcements: Sequence[Announcement]) -> list[str]:
        """From now on these are wanted; returns what is wrong with those that cannot be announced."""
        problems = []
        wanted = {}
        self.failed.clear()
        for item in announcements:
            try:
                key, content = _record(item)
            except NodeError as error:
                self.failed.add((item.service.name, item.port))
                problems.append(f"{shown(item.service.name)} cannot be announced: {error}")
            else:
                wanted[key] = (item.wanted, content)
        self._wanted = wanted
        return problems

    def settle(self, store: Store, pace: Pace, now: float, services: Collection[str] | None = None) -> list[str]:
        """Do what is to be done; returns what could not be done.

        Looked at are the files that are due for a sign of life and those of `services`; without it, all. Until the first `want`
        what was handed over is kept alive. Raises `RegistryError` when the whole directory is out of reach.
        """
        problems = []
        for key in sorted(self._keys()):
            # Half a period early: the next chance comes only a period later.
            due = now - self._touched.get(key, float("-inf")) >= pace.ttl / 3 - pace.period / 2
            if not due and services is not None and key[0] not in services:
                continue
            try:
                self._settle(store, key, now, due=due)
            except OSError as error:
                self.failed.add((key[0], int(key[1].rpartition(":")[2])))
                problems.append(f"{store.path}/{key[0]}/{key[1]} cannot be kept up: {error.strerror}")
        return problems

    def withdraw(self, store: Store) -> None:
        """Remove all that is ours from a directory that is no longer used; what resists dies of its age."""
        for service, name in self._own:
            try:
                store.remove(service, name)
            except (OSError, RegistryError):
                continue
        self._own.clear()
        self._touched.clear()

    def handover(self, store: Store, *, seen: bool) -> bytes:
        """What `resume` of the next generation needs; `seen` says whether the directory was ever there."""
        return json.dumps({"path": store.path, "own": sorted(self._own), "seen": seen}).encode()

    def resume(self, store: Store, handover: bytes) -> bool:
        """Take over the own files of an earlier generation, unless it used another directory: there they die of their age.

        Returns whether it has seen this directory. Raises `ValueError`, `TypeError` or `KeyError` when this is not what
        `handover` gave.
        """
        data = json.loads(handover)
        if data["path"] != store.path:
            return False
        self._own |= {(valid_name(service), _file_name(name)) for service, name in data["own"]}
        return data.get("seen") is True

    def _keys(self) -> set[Key]:
        return self._own | (self._wanted or {}).keys()

    def _settle(self, store: Store, key: Key, now: float, *, due: bool) -> None:
        if self._wanted is None:
            wanted, content = Wanted.HOLD, b""
        else:
            wanted, content = self._wanted.get(key, (Wanted.DOWN, b""))
        found = store.content(*key)
        act = decide(wanted, found, content, due=due)
        if act is Act.WRITE:
            store.write(*key, content)
        elif act is Act.TOUCH:
            _touch(store, key, found or content)
        elif act is Act.REMOVE:
            store.remove(*key)
        if act in (Act.WRITE, Act.TOUCH):
            self._touched[key] = now
        if act is Act.REMOVE or (found is None and act is not Act.WRITE):
            self._own.discard(key)
            self._touched.pop(key, None)
        else:
            self._own.add(key)


def _touch(store: Store, key: Key, content: bytes) -> None:
    try:
        store.touch(*key)
    except PermissionError:  # it was written under another user: it can be replaced, but not touched
        store.write(*key, content)


def _record(item: Announcement) -> tuple[Key, bytes]:
    """Where an announcement is kept, and what it says. Raises `NodeError` where others would refuse it."""
    valid_host(item.node.host)
    valid_port(item.node.port)
    plain(item.node.metadata)
    content = item.node.serialize().encode()
    if len(content) > MAX_RECORD:
        raise NodeError(f"its record of {len(content)} bytes is larger than {MAX_RECORD}: shorten its metadata")
    return (valid_name(item.service.name), item.node.name), content


def _file_name(name: str) -> str:
    host, _, port = str(name).rpartition(":")
    return f"{valid_host(host)}:{valid_port(int(port))}"
