"""kazoo, as we need it. The only module that knows it, imported only where a connection is made.

* No recipes, and none of kazoo's worker threads: its one thread reads the socket and puts each answer and each event into the inbox
  in the order in which the server sent them. Nothing that runs on it ever waits.
* It is left, not stopped: kazoo's own `stop` closes the session, and all announcements with it.
* Nothing of it reaches a log but reasons for failures: kazoo logs passwords of sessions and users when it debugs.
"""

from __future__ import annotations

import errno
import logging
import random
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from kazoo.client import KazooClient
from kazoo.exceptions import (
    BadVersionError,
    ConnectionClosedError,
    ConnectionLoss,
    KazooException,
    NoAuthError,
    NodeExistsError,
    NoNodeError,
    SessionExpiredError,
)
from kazoo.handlers.threading import SequentialThreadingHandler
from kazoo.protocol.states import EventType, KazooState, KeeperState
from kazoo.retry import KazooRetry
from kazoo.security import ACL, Id

from lighthouse.identity import shown
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

LONGEST_CONNECT = 5.0  # seconds for one server to take a connection
LONGEST_WAIT = 1.0  # seconds over which the hosts of a fleet spread their new connections when a server breaks them all
RETRY_DELAY = 0.1  # seconds before the second round through the servers
LONGEST_DELAY = 3.0  # seconds between two rounds, before chance is added

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


class Client:
    """One kazoo client. It connects, and connects again, until `leave`; all that it has to say goes into the inbox."""

    def __init__(self, settings: Settings, credentials: Credentials, session: Session, inbox: Inbox) -> None:
        self._inbox = inbox
        self._handler = _Handler(settings, credentials, self._tell)
        retry = KazooRetry(
            max_tries=-1,
            delay=RETRY_DELAY,
            max_delay=LONGEST_DELAY,
            max_jitter=0.9,
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
            logger=_logger(self._complain),
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
        if self._handler.server not in settings.servers:
            self._handler.cut()

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

    def _complain(self, text: str) -> None:
        self._tell(Refused(str(self._handler.server or ""), text))

    def _follow_timeout(self) -> None:
        """Learn what timeout the servers grant: kazoo keeps it to itself."""
        connection = self._kazoo._connection  # noqa: SLF001
        inner = connection._connect  # noqa: SLF001

        def connect(*server: Any) -> Any:
            read_timeout, connect_timeout = inner(*server)
            self.timeout = read_timeout * 1.5 / 1000  # it reads for two thirds of it
            return read_timeout, connect_timeout

        connection._connect = connect  # noqa: SLF001


class _UnreachableError(OSError):
    """No connection, for a reason that is not a number of the system."""

    def __init__(self, reason: str) -> None:
        super().__init__(errno.ECONNABORTED, reason)


class _Handler(SequentialThreadingHandler):  # type: ignore[misc]
    """What kazoo asks for threads and sockets: no thread for callbacks, and connections of our making."""

    def __init__(self, settings: Settings, credentials: Credentials, tell: Callable[[Message], None]) -> None:
        super().__init__()
        self.server: Server | None = None
        self.left = threading.Event()
        self.spread = False  # whether the next connection follows one that broke
        self._wait = min(LONGEST_WAIT, settings.session_timeout / 20)
        self._credentials = credentials
        self._tell = tell
        self._patience = min(LONGEST_CONNECT, max(0.5, settings.session_timeout / (len(settings.servers) + 1)))
        self._socket: socket.socket | None = None

    def start(self) -> None:
        """No threads: while it does not run, kazoo makes the callbacks of answers itself."""

    def stop(self) -> None:
        """Nothing to stop."""

    def dispatch_callback(self, callback: Any) -> None:
        """An event of a watch, at once and in its order."""
        callback.func(*callback.args)

    def spawn(self, func: Callable[..., None], *args: Any, **kwargs: Any) -> threading.Thread:
        """The thread of the connection. When it ends by itself, nothing is tried any more."""

        def run() -> None:
            try:
                func(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - kazoo told of it; what a traceback shows is nobody's business
                self._tell(Refused("", f"the client library ended: {type(error).__name__}"))
            self._tell(Disconnected(dead=True))

        thread = threading.Thread(target=run, daemon=True, name="zookeeper")
        thread.start()
        return thread

    def create_connection(self, address: tuple[str, int], hostname: str = "", **_options: Any) -> socket.socket:
        """A connection to one server. The caller takes no exceptions but those of sockets."""
        if self.spread:
            self.spread = False
            self.left.wait(random.uniform(0.0, self._wait))  # noqa: S311 - so that a fleet does not come in step
        self.server = Server(hostname, address[1])
        try:
            self._socket = self._credentials.secured(
                socket.create_connection(address, timeout=self._patience), hostname
            )
        except TimeoutError:
            raise _UnreachableError(f"no answer within {self._patience:g} s") from None
        except ssl.SSLError as error:
            raise _UnreachableError(f"TLS: {error.reason or error}") from None
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 - a certificate or a secret that cannot be read: it may be there later
            raise _UnreachableError(str(error)) from None
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._socket

    def cut(self) -> None:
        """Break the connection; kazoo notices, and makes another unless it was stopped."""
        if self._socket is not None:
            with suppress(OSError):
                # Of the plain socket, below TLS: the thread that reads it must not find its TLS state gone.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


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
    text = shown(str(error), 200) if str(error) else type(error).__name__
    return Answer(
        request, failure, text=text if isinstance(error, KazooException) else f"{type(error).__name__}: {text}"
    )


def _text(servers: Sequence[Server]) -> str:
    return ",".join(str(server) for server in servers)


def _logger(complain: Callable[[str], None]) -> logging.Logger:
    """A logger of its own, outside of all configuration: see the module."""
    logger = logging.Logger("lighthouse.zookeeper.kazoo", logging.WARNING)  # noqa: LOG001 - no configuration may reach it
    logger.addHandler(_Complaints(complain))
    return logger


class _Complaints(logging.Handler):
    """Takes kazoo's warnings as reasons why there is no connection."""

    def __init__(self, complain: Callable[[str], None]) -> None:
        super().__init__()
        self._complain = complain

    def emit(self, record: logging.LogRecord) -> None:
        """Only a warning's own words: what an error is about, and its traceback, may hold secrets."""
        if record.levelno == logging.WARNING:
            self._complain(record.getMessage())
        else:
            text = type(record.exc_info[1]).__name__ if record.exc_info and record.exc_info[1] else "no details"
            self._complain(f"the client library failed: {text}")
