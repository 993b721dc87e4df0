"""The discovery plugin ``directory``."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from lighthouse.cluster import Cluster
from lighthouse.directory.announcer import Announcer
from lighthouse.directory.freshness import Pace
from lighthouse.directory.members import Members, differences
from lighthouse.directory.store import Store
from lighthouse.directory.watch import Watch
from lighthouse.discovery import Announcement, Discovery, Report, ShouldUpdate
from lighthouse.errors import AnnounceError, ConfigError, RegistryError
from lighthouse.identity import shown, valid_name
from lighthouse.options import Option

LONGEST_PERIOD = 5.0  # seconds between two full readings
SHOWN = 20  # refused files that are named in the report

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Watched:
    """A cluster, whom to tell of its members, what is known of them, and what keeps its directory from being read."""

    cluster: Cluster
    should_update: ShouldUpdate
    members: Members = field(default_factory=Members)
    problem: str | None = None

    @property
    def unread(self) -> bool:
        """Whether its last reading is missing or was not complete."""
        return self.members.nodes is None or self.problem is not None


class DirectoryDiscovery(Discovery):
    """A directory, local or shared, as registry: one file per announced node at ``<path>/<service>/<host>:<port>``.

    A file holds the record of lighthouse 1.0, is replaced atomically, and is touched every third of ``ttl`` while its owner lives;
    older ones are ignored and removed. Changes on this host are seen at once; what inotify does not tell, such as changes by other
    hosts on a network file system, is found by the full reading every ``period``, and counted as ``missed``.
    """

    options: ClassVar[Mapping[str, Option] | None] = {
        "path": Option(str, "the directory, as an absolute path; it is made if it does not exist"),
        "ttl": Option(
            float, "seconds after which an announcement that its owner does not renew is dead", 15.0, minimum=0.5
        ),
    }

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time) -> None:
        self._monotonic = monotonic
        self._wall = wall
        self._store = Store("")
        self._pace = Pace(15.0, LONGEST_PERIOD)
        self._announcer = Announcer()
        self._watch: Watch | None = None
        self._watched: dict[str, Watched] = {}
        self._seen = False
        self._full_due = 0.0
        self._counts = {"full_reads": 0, "missed": 0, "expired": 0, "swept": 0}

    @classmethod
    def validate_config(cls, config: dict[str, Any]) -> None:
        """Refuse a path that is not absolute."""
        path = config["path"]
        if not path.startswith("/") or "\0" in path:
            raise ConfigError(f"path {shown(path)} must be absolute: start it with '/'", ("path",))

    def apply_config(self, config: dict[str, Any]) -> None:
        """Take over the directory and the pace. What was announced in another directory is withdrawn there."""
        store = Store(config["path"])
        if store.path != self._store.path:
            self._announcer.withdraw(self._store)
            self.disconnect()
            self._store, self._seen = store, False
        ttl = float(config.get("ttl", 15.0))
        self.period = min(LONGEST_PERIOD, ttl / 3)
        self._pace = Pace(ttl, self.period)

    def connect(self) -> None:
        """Make the directory where it does not exist. One that vanished is not made again: what it holds is unknown.

        Raises `RegistryError`.
        """
        self._close()
        if not self._seen:
            self._store.create()
        with self._store.root():
            self._seen = True
        self._watch = Watch(self._store.path)
        self._full_due = float("-inf")

    def disconnect(self) -> None:
        """Undo `connect` and `start_watching`; announcements stay in place."""
        self._close()
        self._watched.clear()

    def start_watching(self, cluster: Cluster, should_update: ShouldUpdate) -> None:
        """The next `maintain` reads the cluster for the first time."""
        self._watched[valid_name(cluster.name)] = Watched(cluster, should_update)

    def stop_watching(self, cluster: Cluster) -> None:
        """Forget a cluster."""
        if self._watched.pop(cluster.name, None) and self._watch and cluster.name not in self._announcer.services:
            self._watch.drop(cluster.name)

    def announce(self, announcements: Sequence[Announcement]) -> None:
        """Bring the own files to the wanted set: every one that can be, before `RegistryError` tells of those that cannot."""
        problems = self._announcer.want(announcements)
        problems += self._announcer.settle(self._store, self._pace, self._monotonic())
        if problems:
            text = f"{_listed(problems)}: check free space and permissions; it is tried again"
            raise AnnounceError(text, self._announcer.failed)

    def maintain(self) -> Report:
        """Renew what is announced, and read what changed, or everything when that is due. Raises `RegistryError`."""
        if self._watch is None:
            raise RegistryError(f"directory {self._store.path} is not connected")
        touched = self._watch.drain()
        now = self._monotonic()
        try:
            with self._store.root() as root:
                problems = self._announcer.settle(self._store, self._pace, now, touched or ())
                if touched is None or now >= self._full_due:
                    problems += self._read_everything(self._watch, root, touched or set(), now)
                else:
                    self._read_some(self._watch, root, touched, now)
        except RegistryError:
            self._full_due = float("-inf")  # the events are used up
            raise
        return self._report(problems, self._watch)

    def watch_fd(self) -> int | None:
        """The inotify descriptor."""
        return self._watch.fileno() if self._watch else None

    def handover(self) -> bytes:
        """The names of the own files, and whether the directory was there."""
        return self._announcer.handover(self._store, seen=self._seen)

    def resume(self, handover: bytes) -> None:
        """Know the own files of an earlier generation; they are kept alive until `announce` says what is wanted.

        A directory that it has seen is not made anew: it is unmounted rather than empty.
        """
        try:
            self._seen |= self._announcer.resume(self._store, handover)
        except (ValueError, TypeError, KeyError) as error:
            log.warning("what the earlier generation handed over cannot be read: %s", shown(str(error)))

    def _close(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _read_some(self, watch: Watch, root: int, touched: set[str], now: float) -> None:
        for name, watched in self._watched.items():
            if name in touched or watched.unread:
                self._read(watch, root, name, now)

    def _read_everything(self, watch: Watch, root: int, touched: set[str], now: float) -> list[str]:
        """Read all, count what inotify missed, and sweep; returns what could not be announced."""
        watch.follow()
        for name in self._announcer.services - self._watched.keys():
            watch.follow(name)
        # Only where a watch was in place; for a directory that is yet to come that is the root's.
        before = {
            name: watched.members.entries
            for name, watched in self._watched.items()
            if not watched.unread and (watch.follows(name) or (watch.follows() and not watched.members.entries))
        }
        for name in self._watched:
            self._read(watch, root, name, now)
        self._counts["full_reads"] += 1
        self._full_due = now + self.period
        # A change may have come between the last look at the events and the reading: its event is on its way, and it is not missed.
        later = watch.drain()
        problems = self._announcer.settle(self._store, self._pace, now, later or ())
        if later is None:
            self._full_due = float("-inf")
            later = set()
        for name, entries in before.items():
            if name not in touched | later:
                self._counts["missed"] += differences(entries, self._watched[name].members.entries)
        self._read_some(watch, root, later, now)
        self._sweep(root, now)
        return problems

    def _read(self, watch: Watch, root: int, name: str, now: float) -> None:
        """Read one cluster. One that cannot be read stays as it was known."""
        watched = self._watched[name]
        members = watched.members
        watch.follow(name)
        try:
            entries = self._store.scan(root, name, members.entries)
        except OSError as error:
            watched.problem = f"{self._store.path}/{name} cannot be read: {error.strerror}"
            return
        watched.problem = None
        expired = members.expired
        changed = members.take(entries, now, self._wall(), self._pace)
        self._counts["expired"] += members.expired - expired
        if changed:
            watched.cluster.nodes = list(members.nodes or ())
            watched.cluster.refused = members.refused
            watched.should_update()

    def _sweep(self, root: int, now: float) -> None:
        for service, watched in self._watched.items():
            if watched.problem is not None:
                continue
            for name in watched.members.abandoned(now, self._pace):
                mark = watched.members.entries[name].stamp.mark
                if (service, name) not in self._announcer.own and self._store.sweep(root, service, name, mark):
                    self._counts["swept"] += 1

    def _report(self, problems: list[str], watch: Watch) -> Report:
        unread = [watched.problem for watched in self._watched.values() if watched.problem]
        refused = {
            f"{service}/{ascii(name)[1:-1]}": reason
            for service, watched in sorted(self._watched.items())
            for name, reason in watched.members.refused.items()
        }
        degraded = [*unread, *problems, *([watch.problem] if watch.problem else [])]
        details = {
            **self._counts,
            "announced": len(self._announcer.own),
            "refused": dict(list(refused.items())[:SHOWN]),
            "refused_total": len(refused),
        }
        return Report(complete=not unread, degraded=_listed(degraded) if degraded else None, details=details)


def _listed(problems: Sequence[str]) -> str:
    more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
    return "; ".join(problems[:3]) + more
