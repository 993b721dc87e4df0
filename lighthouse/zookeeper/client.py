"""kazoo, as we need it. Only this module and its handler know it, and they are imported only where a connection is made.

* No recipes, and none of kazoo's worker threads: its one thread reads the socket and puts each answer and each event into the inbox
  in the order in which the server sent them. Nothing that runs on it ever waits.
* It is left, not stopped: kazoo's own `stop` closes the session, and all announcements with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from kazoo.client import KazooClient
from kazoo.exceptions import (
    BadVersionError,
    ConnectionClosedError,
    ConnectionLoss,
    InvalidACLError,
    KazooException,
    NoAuthError,
    NodeExistsError,
    NoNodeError,
    NotEmptyError,
    SessionExpiredError,
)
from kazoo.protocol.states import EventType, KazooState, KeeperState
from kazoo.retry import KazooRetry
from kazoo.security import ACL, Id

from lighthouse.identity import shown
from lighthouse.zookeeper.complaints import silent
from lighthouse.zookeeper.handler import Handler
from lighthouse.zookeeper.hosts import Server
from lighthouse.zookeeper.inbox import Inbox
from lighthouse.zookeeper.messages import (
    Answer,
    Changed,
    Connected,
    Disconnected,
    Failure,
    Found,
    Kind,
    Message,
    Refused,
    Request,
)
from lighthouse.zookeeper.secure import Credentials
from lighthouse.zookeeper.session import Session
from lighthouse.zookeeper.settings import Settings

RETRY_DELAY = 0.1  # seconds before the second round through the servers
LONGEST_DELAY = 1.5  # seconds between two rounds, before chance is added
CHANCE = 0.9  # how much of a delay is added or taken at most
TRIES = 3  # rounds that a session has left at least, once a server is back: its time runs from then on

_FAILURES: Sequence[tuple[type[BaseException], Failure]] = (
    (NoNodeError, Failure.NO_NODE),
    (NodeExistsError, Failure.EXISTS),
    (BadVersionError, Failure.VERSION),
    (NoAuthError, Failure.DENIED),
    (ConnectionLoss, Failure.LOST),
    (ConnectionClosedError, Failure.LOST),
    (SessionExpiredError, Failure.LOST),
)
_KNOWN = tuple(kind for kind, _ in _FAILURES)
_TEXTS: Sequence[tuple[type[BaseException], str]] = (
    (NotEmptyError, "there are znodes below it: remove them"),
    (InvalidACLError, "the servers do not take this host's `acl`"),
)


def longest_delay(session_timeout: float) -> float:
    """Seconds between two rounds through the servers at most, before chance is added."""
    return min(LONGEST_DELAY, session_timeout / TRIES / (1 + CHANCE))


class Client:
    """One kazoo client. It connects, and connects again, until `leave`; all that it has to say goes into the inbox."""

    def __init__(self, settings: Settings, credentials: Credentials, session: Session, inbox: Inbox) -> None:
        self._inbox = inbox
        self._handler = Handler(settings, credentials, self._tell)
        retry = KazooRetry(
            max_tries=-1,
            delay=RETRY_DELAY,
            max_delay=longest_delay(settings.session_timeout),
            max_jitter=CHANCE,
            sleep_func=self._handler.sleep_func,
        )
        self._kazoo = KazooClient(
            hosts=_text(settings.servers),
            timeout=settings.session_timeout,
            client_id=(session.number, session.password) if session.number else None,
            handler=self._handler,
            auth_data=credentials.digest(),
            sasl_options=credentials.sasl(),
            connection_retry=retry,
            logger=silent(self._complain),
        )
        self._acl = [ACL(access.permissions, Id(access.scheme, access.id)) for access in settings.acl]
        self._left = self._handler.left
        self.timeout = settings.session_timeout
        self._follow_timeout()
        self._kazoo.last_zxid = session.zxid
        self._kazoo.add_listener(self._listen)
        self._kazoo.start_async()

    @property
    def zxid(self) -> int:
        """The last transaction that was seen."""
        return int(self._kazoo.last_zxid)

    def forget_zxid(self) -> None:
        """Connect to a server that knows less than we saw."""
        self._kazoo.last_zxid = 0

    def move(self, settings: Settings) -> None:
        """These are the servers now. A connection to one that is no longer among them is cut; the session goes on."""
        self._kazoo.set_hosts(_text(settings.servers))
        self._acl = [ACL(access.permissions, Id(access.scheme, access.id)) for access in settings.acl]
        self._handler.move(settings.servers)

    def leave(self) -> None:
        """Drop the connection and leave the session as it is. Never waits for longer than a moment."""
        self._left.set()
        # What kazoo's own stop begins with; what it goes on with is the closing of the session.
        self._kazoo._stopped.set()  # noqa: SLF001
        self._handler.cut()
        connection = self._kazoo._connection  # noqa: SLF001
        if connection.connection_stopped.wait(0.5):  # or it is on its way to a server, and ends by itself later
            connection.stop()
            connection.close()

    def submit(self, request: Request, done: Callable[[Answer], None]) -> None:
        """Send a request. `done` is called once, from any thread, and must not wait."""
        kazoo, path, seen = self._kazoo, request.path, self._event
        match request.kind:
            case Kind.GET:
                result = kazoo.get_async(path, watch=seen)
            case Kind.CHILDREN:
                result = kazoo.get_children_async(path, watch=seen)
            case Kind.EXISTS:
                result = kazoo.exists_async(path, watch=seen)
            case Kind.CREATE:
                result = kazoo.create_async(path, request.data, self._acl, ephemeral=True)
            case Kind.PARENT:
                result = kazoo.create_async(path, b"", self._acl)
            case Kind.SET:
                result = kazoo.set_async(path, request.data, request.version)
            case Kind.DELETE:
                result = kazoo.delete_async(path, request.version)
            case Kind.REPLACE:
                transaction = kazoo.transaction()
                transaction.delete(path, request.version)
                transaction.create(path, request.data, self._acl, ephemeral=True)
                result = transaction.commit_async()
        result.rawlink(partial(_finish, request, done))

    # From kazoo's thread

    def _tell(self, message: Message) -> None:
        if not self._left.is_set():
            self._inbox.put(message)

    def _listen(self, state: str) -> None:
        if self._left.is_set():
            return
        if state == KazooState.CONNECTED:
            self._handler.spread = True
            number, password = self._kazoo.client_id
            self._inbox.put(Connected(number, password, str(self._handler.server or "")))
        else:
            now = self._kazoo.client_state
            self._inbox.put(Disconnected(expired=now == KeeperState.EXPIRED_SESSION))

    def _event(self, event: Any) -> None:
        if (
            event.type != EventType.NONE and not self._left.is_set()
        ):  # the latter: the connection is gone, which is told otherwise
            self._inbox.put(Changed(event.path, gone=event.type == EventType.DELETED))

    def _complain(self, host: str, reason: str) -> None:
        self._tell(Refused(host or str(self._handler.server or ""), reason))

    def _follow_timeout(self) -> None:
        """Learn what timeout the servers grant: kazoo keeps it to itself."""
        connection = self._kazoo._connection  # noqa: SLF001
        inner = connection._connect  # noqa: SLF001

        def connect(*server: Any) -> Any:
            read_timeout, connect_timeout = inner(*server)
            self.timeout = read_timeout * 1.5 / 1000  # it reads for two thirds of it
            return read_timeout, connect_timeout

        connection._connect = connect  # noqa: SLF001


def _finish(request: Request, done: Callable[[Answer], None], result: Any) -> None:
    try:
        value = result.get_nowait()
    except Exception as error:  # noqa: BLE001 - whatever went wrong is the answer
        done(_failed(request, error))
        return
    match request.kind:
        case Kind.GET:
            data, stat = value
            done(Answer(request, found=Found(data or b"", stat.ephemeralOwner, stat.version, stat.mzxid)))
        case Kind.CHILDREN:
            done(Answer(request, names=tuple(value)))
        case Kind.EXISTS:
            done(Answer(request, exists=value is not None))
        case Kind.REPLACE:
            wrong = next((part for part in value if isinstance(part, BaseException)), None)
            # Of a transaction that failed the first part says why, unless it is one that was rolled back for another's sake.
            cause = next((part for part in value if isinstance(part, _KNOWN)), wrong)
            done(Answer(request) if cause is None else _failed(request, cause))
        case _:
            done(Answer(request))


def _failed(request: Request, error: BaseException) -> Answer:
    failure = next((failure for kind, failure in _FAILURES if isinstance(error, kind)), Failure.OTHER)
    text = next((text for kind, text in _TEXTS if isinstance(error, kind)), type(error).__name__)
    if str(error):
        text = shown(str(error), 200)
    return Answer(
        request, failure, text=text if isinstance(error, KazooException) else f"{type(error).__name__}: {text}"
    )


def _text(servers: Sequence[Server]) -> str:
    return ",".join(str(server) for server in servers)
