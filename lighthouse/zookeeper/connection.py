"""What stands between the plugin and the client: session, requests, watched clusters and own znodes, turned together.

All of it runs on the lane. A turn takes messages in, in their order, and sends what is to be asked next; it never waits.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable

from lighthouse.errors import ResourceError
from lighthouse.zookeeper.announcer import Announcer
from lighthouse.zookeeper.inbox import Inbox
from lighthouse.zookeeper.link import Link
from lighthouse.zookeeper.messages import Changed, Connected, Disconnected, Message, Refused, Reply
from lighthouse.zookeeper.names import Names
from lighthouse.zookeeper.reasons import Reasons
from lighthouse.zookeeper.requests import Requests
from lighthouse.zookeeper.session import Session, pack, unpack
from lighthouse.zookeeper.settings import Settings
from lighthouse.zookeeper.timetable import Timetable
from lighthouse.zookeeper.watcher import Watcher

LATE = 0.8  # seconds without an answer after which nothing counts as fresh
SLOW = 3.0  # seconds without an answer after which that is told
BATCH = 500  # messages that are taken in before the next requests are sent

log = logging.getLogger(__name__)


class Connection:
    """See the module. `make` makes a client, which begins to connect; it raises `ResourceError` when a secret cannot be read."""

    def __init__(
        self,
        make: Callable[[Settings, Session, Inbox], Link],
        wall: Callable[[], float],
        chance: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._make = make
        self.session = Session()
        self.announcer = Announcer()
        self.inbox: Inbox | None = None
        self.watcher = Watcher(Names(self._wake))
        self.audits = 0
        self._wall = wall
        self._times = Timetable(chance)
        self._client: Link | None = None
        self._requests: Requests | None = None
        self._reasons = Reasons()
        self._handed = 0  # the number of the session that the next generation would find
        self._followed = False  # an earlier generation had a session, be it with other servers

    @property
    def timeout(self) -> float | None:
        """The session timeout that the servers granted, in seconds."""
        return self._client.timeout if self._client and self.session.connected else None

    @property
    def busy(self) -> bool:
        """Whether an answer is on its way."""
        return self._requests is not None and len(self._requests) > 0 and self.session.connected

    def open(self, settings: Settings, now: float) -> None:
        """Begin to connect, with the session that there is. Raises `ResourceError`."""
        self.leave()
        inbox = Inbox()
        self._times.resync = settings.resync
        self._reasons.clear()
        self.session.away = now
        try:
            self._client = self._make(settings, self.session, inbox)
        except ResourceError:
            inbox.close()
            raise
        self._times.opened()
        self.inbox, self._requests = inbox, Requests(inbox)

    @property
    def shared(self) -> bool:
        """Whether the session was handed over.

        Until then nothing is announced with it: if we died, the next generation could only replace that, and others would see it.
        """
        return self._handed == self.session.number

    def hand_over(self, settings: Settings) -> bytes:
        """What the next generation needs: the session with its password, and the own znodes."""
        if not self.shared:
            self._handed = self.session.number
            self._wake()  # for what waited for it
        return pack(self.session, settings.servers, self.announcer.handed_over())

    def resume(self, handover: bytes, settings: Settings) -> None:
        """Take over what `hand_over` gave. Raises `ValueError`, `TypeError`, `KeyError` or `AttributeError` when it is not that."""
        self.session, own = unpack(handover, settings.servers)
        self._followed = True
        self._handed = self.session.number
        self.announcer.resume(own)

    def leave(self) -> None:
        """Drop the connection; the session stays. Whoever connects again finds it in `session`."""
        if self._client is not None:
            self._keep_zxid()
            self._client.leave()
            self._client = None
        if self.inbox is not None:
            self.inbox.close()
            self.inbox = self._requests = None
        self.session.connected = False
        self._lost()

    def move(self, settings: Settings, old: Settings) -> None:
        """Other settings, for the same session."""
        self._times.resync = settings.resync
        self._reasons.clear()
        if self._client is None:
            return
        if not set(settings.servers) & set(old.servers):
            # It may be another ensemble, which would refuse what we saw of this one.
            self.session.zxid = 0
            self._client.forget_zxid()
        self._client.move(settings)

    def tend(self, settings: Settings, now: float) -> None:
        """What comes with time."""
        if self._times.reopens(now):
            self._reopen(settings, now)
        if self._client is None:
            return
        if self.session.connected:
            if self._times.looks_at_zxid(now):
                self._keep_zxid()
        elif (end := self.session.gives_up_at(self._client.timeout)) is not None and now >= end:
            log.warning(
                "no connection for long: servers that know less than was seen last, as after a loss of data, will do now"
            )
            self.session.zxid = 0
            self._client.forget_zxid()
        if self.session.connected and self._times.audits(now):
            if self.watcher.complete(now):
                self.audits += 1
                self.watcher.audit()
            self.announcer.audit()

    def _reopen(self, settings: Settings, now: float) -> None:
        try:
            self.open(settings, now)
        except ResourceError as error:
            self._reasons.note("", str(error))

    def turn(self, now: float) -> None:
        """Take in what came, tell whom it concerns, and send what is to be asked."""
        if self.inbox is None:
            return
        for message in self.inbox.drain(BATCH):
            self._take(message, now)
        self.watcher.tell(now)
        if self._client is None or self._requests is None or not self.session.connected:
            return
        for request in list(self.announcer.requests(now, self._requests.room)) if self.shared else ():
            self._requests.send(self._client, request, self.announcer.take, now)
        if self._times.reads(now):
            for request in list(self.watcher.requests(now, self._requests.room)):
                self._requests.send(self._client, request, self.watcher.take, now)

    def wait(self, timeout: float) -> bool:
        """Wait for a message; whether there is one."""
        return self.inbox is not None and self.inbox.wait(timeout)

    def period(self, now: float) -> float:
        """Seconds until something comes with time."""
        given_up = self.session.gives_up_at(self._client.timeout) if self._client else None
        return self._times.period(now, given_up)

    def problem(self, settings: Settings, now: float) -> str | None:
        """What keeps us from ZooKeeper, in a sentence."""
        if not self.session.connected:
            return f"no connection to ZooKeeper at {self._reasons.told(settings.servers)}; what was known last stays in force"
        if self._waited(now) > SLOW:
            return f"ZooKeeper at {self.session.server} does not answer; what was known last stays in force"
        return None

    def recovering(self, now: float) -> str | None:
        """Why nothing is read although there is a connection, in a sentence."""
        if self.session.connected and self._times.waits_for_others(now):
            return "the session was lost, so others may have lost theirs; members stay until all had time to be back"
        return None

    def fresh(self, now: float) -> bool:
        """Whether what is known is what ZooKeeper holds, as far as can be seen from here."""
        return self.session.connected and self.watcher.complete(now) and self._waited(now) <= LATE

    def _waited(self, now: float) -> float:
        """For how long an answer has been awaited."""
        oldest = self._requests.oldest if self._requests is not None else None
        return 0.0 if oldest is None else now - oldest

    def _take(self, message: Message, now: float) -> None:
        match message:
            case Reply():
                if self._requests is not None:
                    self._requests.take(message, now)
            case Changed():
                self.watcher.event(message)
                self.announcer.event(message)
            case Connected():
                self._opened(message, now)
            case Disconnected():
                self._closed(message, now)
            case Refused(server, reason):
                self._reasons.note(server, reason)

    def _opened(self, message: Connected, now: float) -> None:
        again, had = self.session.connections > 0, self._followed or self.session.number != 0
        new = self.session.opened(message, self._wall())
        log.info("connected to %s with %s session", message.server, "a new" if new else "the same")
        self._reasons.clear()
        self._lost()
        self.announcer.opened(self.session.number, self.session.sessions)
        self._times.connected(now, again=again, lost=(self.timeout or 0.0) if had and new else None)

    def _closed(self, message: Disconnected, now: float) -> None:
        if self.session.connected:
            log.warning(
                "the connection to %s is lost%s", self.session.server, ", the session too" if message.expired else ""
            )
            self._keep_zxid()
        self.session.closed(message, now)
        self._lost()
        if message.dead:
            self._times.gave_up(now)

    def _keep_zxid(self) -> None:
        if self._client is not None:
            self.session.zxid = self._client.zxid or self.session.zxid  # the library forgets it with a session

    def _lost(self) -> None:
        """Nothing that was asked will be answered, and no watch will tell."""
        if self._requests is not None:
            self._requests.lost()
        self.announcer.lost()
        self.watcher.lost()

    def _wake(self) -> None:
        if self.inbox is not None:
            self.inbox.wake()
