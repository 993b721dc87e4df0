"""The discovery plugin ``zookeeper``."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from lighthouse.cluster import Cluster
from lighthouse.discovery import Announcement, Discovery, Report, ShouldUpdate
from lighthouse.errors import RegistryError
from lighthouse.identity import shown
from lighthouse.options import Option
from lighthouse.zookeeper.connection import Connection
from lighthouse.zookeeper.inbox import Inbox
from lighthouse.zookeeper.link import Link
from lighthouse.zookeeper.report import report
from lighthouse.zookeeper.session import Session
from lighthouse.zookeeper.settings import OPTIONS, Settings

PATIENCE = 1.0  # seconds for which `connect` and `announce` wait; then they are called again
BUSY = 0.3  # seconds for which `maintain` follows answers that come at once

log = logging.getLogger(__name__)


class ZookeeperDiscovery(Discovery):
    """ZooKeeper as registry: an ephemeral znode per announced node at ``<path>/<service>/<host>:<port>``, as in lighthouse 1.0.

    One session does everything, and is left to the next generation of the worker. Nothing here waits for ZooKeeper for longer than
    a moment: what it answers, and what its watches tell, comes through the descriptor of `watch_fd`.
    """

    options: ClassVar[Mapping[str, Option] | None] = OPTIONS

    def __init__(self) -> None:
        self._settings = Settings((), "")
        self._announcements: Sequence[Announcement] | None = None
        self._connection = Connection(_client, time.time)

    @classmethod
    def validate_config(cls, config: dict[str, Any]) -> None:
        """Judge everything but the secrets, which are read when a connection is made."""
        Settings.read(config)

    def apply_config(self, config: dict[str, Any]) -> None:
        """Take the settings over; nothing is read or connected."""
        self._settings = Settings.read(config)

    def adapt(self, config: dict[str, Any]) -> bool:
        """Take over other servers, another path, record or ACL while running. Another session needs a new object."""
        new = Settings.read(config)
        if not new.same_connection(self._settings):
            return False
        old, self._settings = self._settings, new
        self._connection.move(new, old)
        if new.base != old.base:
            self._connection.watcher.move(new.base)
        if self._announcements is not None and (new.base, new.format) != (old.base, old.format):
            self._connection.announcer.want(self._announcements, new.base, new.format)
        return True

    def connect(self) -> None:
        """Begin to connect, and wait a moment for it. That there is no connection yet is told by `maintain`.

        Raises `ResourceError` when a secret cannot be read.
        """
        self._connection.open(self._settings, time.monotonic())
        self._follow(PATIENCE, lambda: self._connection.session.connected)

    def disconnect(self) -> None:
        """Leave: the session and the announcements stay. What was begun is waited for a moment."""
        if self._connection.session.connected:
            self._follow(BUSY, lambda: not self._connection.busy)
        self._connection.leave()
        self._connection.watcher.clear()

    def start_watching(self, cluster: Cluster, should_update: ShouldUpdate) -> None:
        """The next `maintain` asks for the cluster for the first time."""
        self._connection.watcher.add(cluster, should_update, self._settings.base)

    def stop_watching(self, cluster: Cluster) -> None:
        """Forget a cluster."""
        self._connection.watcher.remove(cluster.name)

    def announce(self, announcements: Sequence[Announcement]) -> None:
        """Bring the own znodes to the wanted set. Raises `RegistryError` while it is not known whether they are there."""
        self._announcements = list(announcements)
        announcer = self._connection.announcer
        announcer.want(self._announcements, self._settings.base, self._settings.format)
        connection = self._connection
        self._follow(PATIENCE, lambda: announcer.settled or not (connection.session.connected and connection.shared))
        if not announcer.settled:
            connected = connection.session.connected
            raise RegistryError(
                f"announcements wait for {'an answer of' if connected else 'a connection to'} ZooKeeper"
            )

    def maintain(self) -> Report:
        """Take in what ZooKeeper said, ask what is to be asked, and tell how it stands."""
        self._connection.tend(self._settings, time.monotonic())
        self._follow(BUSY, lambda: not self._connection.busy)
        self.period = self._connection.period(time.monotonic())
        return report(self._connection, self._settings, time.monotonic())

    def watch_fd(self) -> int | None:
        """Readable when there is something to take in."""
        return self._connection.inbox.fileno() if self._connection.inbox else None

    def handover(self) -> bytes:
        """The session with its password, and the own znodes."""
        return self._connection.hand_over(self._settings)

    def resume(self, handover: bytes) -> None:
        """Attach to the session of an earlier generation at the next `connect`; its announcements are held until `announce`."""
        try:
            self._connection.resume(handover, self._settings)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            log.warning("what the earlier generation handed over cannot be read: %s", shown(type(error).__name__))

    def _follow(self, patience: float, done: Callable[[], bool]) -> None:
        """Turn until `done`, for `patience` seconds at most."""
        end = time.monotonic() + patience
        while True:
            self._connection.turn(time.monotonic())
            left = end - time.monotonic()
            if done() or left <= 0 or not self._connection.wait(left):
                return


def _client(settings: Settings, session: Session, inbox: Inbox) -> Link:
    # kazoo is loaded only where it is used: not to judge a configuration, and not before the worker was forked.
    from lighthouse.zookeeper.client import Client
    from lighthouse.zookeeper.secure import Credentials

    return Client(settings, Credentials(settings), session, inbox)
