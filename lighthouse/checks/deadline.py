"""Sockets under one deadline.

A timeout set on a socket bounds one call, so a server that sends one byte a second holds a client for ever. Here every call gets
what is left of one budget: connect, TLS handshake, request and answer together take no longer than that.
"""

from __future__ import annotations

import errno
import io
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_ANSWER = 64 * 1024  # bytes; what a check reads of an answer before it judges, whatever the server still has to say


class Deadline:
    """A point in time, ``seconds`` from now."""

    __slots__ = ("_clock", "_end", "seconds")

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._end = clock() + seconds

    def remaining(self) -> float:
        """The seconds that are left, always more than zero. Raises `TimeoutError`."""
        left = self._end - self._clock()
        if left <= 0:
            raise TimeoutError(errno.ETIMEDOUT, f"no complete answer within {self.seconds:g} s")
        return left


class DeadlineSocket:
    """A connected socket whose every call ends by the deadline; as much of a socket as `http.client` and redis-py need.

    It gives out at most `MAX_ANSWER` bytes and then raises `OSError`. All calls raise `TimeoutError` when the deadline
    passes.
    """

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline
        self._allowance = MAX_ANSWER

    @property
    def exhausted(self) -> bool:
        """Whether it has given out all that it will."""
        return not self._allowance

    def sendall(self, data: bytes) -> None:
        """Send everything."""
        rest = memoryview(data)
        while rest:
            self._arm()
            rest = rest[self._sock.send(rest) :]

    def recv_into(self, buffer: WriteableBuffer) -> int:
        """Receive what there is, at least one byte; 0 at the end of the stream."""
        if not self._allowance:
            raise OSError(errno.EMSGSIZE, f"more than {MAX_ANSWER} bytes without an end")
        self._arm()
        received = self._sock.recv_into(buffer, min(memoryview(buffer).nbytes, self._allowance))
        self._allowance -= received
        return received

    def recv(self, size: int) -> bytes:
        """The same as bytes."""
        buffer = bytearray(size)
        return bytes(memoryview(buffer)[: self.recv_into(buffer)])

    def makefile(self, _mode: str = "rb") -> io.BufferedReader:
        """A buffered reader over the socket; closing it leaves the socket open."""
        return io.BufferedReader(_Reader(self))

    def close(self) -> None:
        """Nothing: whoever opened the socket closes it. `http.client` calls this while an answer is still being read."""

    def settimeout(self, _seconds: float | None) -> None:
        """Nothing: the deadline stands."""

    def shutdown(self, _how: int) -> None:
        """Nothing, as for `close`."""

    def _arm(self) -> None:
        self._sock.settimeout(self._deadline.remaining())


class _Reader(io.RawIOBase):
    """What `io.BufferedReader` reads from."""

    def __init__(self, source: DeadlineSocket) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        return self._source.recv_into(buffer)


def connected(host: str, port: int, deadline: Deadline) -> socket.socket:
    """A connected TCP socket.

    Where a name has several addresses each gets an equal share of the time that is left. Raises `OSError` when none of them
    answers. A name is looked up by the system's resolver, which nothing here can bound; a literal address needs no look-up.
    """
    candidates = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    failure: OSError | None = None
    for left, (family, kind, protocol, _, address) in zip(range(len(candidates), 0, -1), candidates, strict=True):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(deadline.remaining() / left)
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    if isinstance(failure, TimeoutError):
        raise TimeoutError(errno.ETIMEDOUT, f"no connection within {deadline.seconds:g} s") from failure
    raise failure or OSError(errno.EADDRNOTAVAIL, f"{host} has no address")
