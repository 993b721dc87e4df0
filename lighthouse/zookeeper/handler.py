"""What kazoo asks for threads and sockets."""

from __future__ import annotations

import errno
import random
import select
import socket
import ssl
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any

from kazoo.handlers.threading import SequentialThreadingHandler

from lighthouse.zookeeper.complaints import LEFT
from lighthouse.zookeeper.hosts import Server
from lighthouse.zookeeper.messages import Disconnected, Message, Refused
from lighthouse.zookeeper.secure import Credentials
from lighthouse.zookeeper.settings import Settings

LONGEST_CONNECT = 5.0  # seconds for one server to take a connection
LONGEST_WAIT = 1.0  # seconds over which the hosts of a fleet spread their new connections when a server breaks them all


class _UnreachableError(OSError):
    """No connection, for a reason that is not a number of the system."""

    def __init__(self, reason: str) -> None:
        super().__init__(errno.ECONNABORTED, reason)


class Handler(SequentialThreadingHandler):  # type: ignore[misc]
    """What kazoo asks for threads and sockets: no thread for callbacks, and connections of our making."""

    def __init__(self, settings: Settings, credentials: Credentials, tell: Callable[[Message], None]) -> None:
        super().__init__()
        self.servers: Collection[Server] = settings.servers
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

    def select(
        self, rlist: Any, wlist: Any, _xlist: Any, timeout: float | None = None
    ) -> tuple[list[Any], list[Any], list[Any]]:
        """Wait for sockets. kazoo's own makes an epoll for each call, four times per request: a third of all it costs."""
        poll = select.poll()
        for files, event in ((rlist, select.POLLIN), (wlist, select.POLLOUT)):
            for file in files:
                poll.register(file, event)
        ready = {fd for fd, _ in poll.poll(None if timeout is None else timeout * 1000)}
        return (
            [file for file in rlist if file.fileno() in ready],
            [file for file in wlist if file.fileno() in ready],
            [],
        )

    def create_connection(self, address: tuple[str, int], hostname: str = "", **_options: Any) -> socket.socket:
        """A connection to one server. The caller takes no exceptions but those of sockets."""
        if self.spread:
            self.spread = False
            self.left.wait(random.uniform(0.0, self._wait))  # noqa: S311 - so that a fleet does not come in step
        self._judge(server := Server(hostname, address[1]))
        self.server = server
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
        try:
            self._judge(server)
        except _UnreachableError:
            self._socket.close()
            raise
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._socket

    def _judge(self, server: Server) -> None:
        """Whether to connect at all.

        kazoo goes on through the servers that it had when it began, and does not look at its stop flag once it is connected. So it
        would stay with a server that is configured no more, or keep the session from our successor.
        """
        if self.left.is_set() or server not in self.servers:
            raise _UnreachableError(LEFT)

    def move(self, servers: Collection[Server]) -> None:
        """These are the servers now. A connection to any other is cut."""
        self.servers = servers  # before the cut: who is just connecting looks at it last
        if self.server not in servers:
            self.cut()

    def cut(self) -> None:
        """Break the connection; kazoo notices, and makes another unless it was stopped."""
        if self._socket is not None:
            with suppress(OSError):
                # Of the plain socket, below TLS: the thread that reads it must not find its TLS state gone.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
