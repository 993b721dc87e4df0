"""What the checks that talk over a socket share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException

from lighthouse.check import Check
from lighthouse.checks.deadline import Deadline, DeadlineSocket, connected
from lighthouse.checks.shortage import shortage
from lighthouse.checks.tls import TLS
from lighthouse.identity import shown


class ExchangeCheck(Check):
    """A check that is one exchange over a connection, ``timeout`` seconds for all of it.

    After each `perform` that failed, ``reason`` says why in one line that is safe to show; after one that passed it is empty.
    """

    reason: str = ""

    def perform(self) -> bool:
        """Make the exchange and judge it. Blocks for at most ``timeout`` seconds, and for the resolver where ``host`` is a name.

        Raises `ResourceError` when this host has not what the exchange takes.
        """
        try:
            self.reason = self.exchange(Deadline(self.timeout))
        except (OSError, HTTPException, UnicodeError) as error:
            if lack := shortage(error):
                raise lack from error
            self.reason = explained(error, self.timeout)
        return not self.reason

    def exchange(self, deadline: Deadline) -> str:
        """Make the exchange; returns what is wrong with the answer, or nothing. May raise `OSError` and `HTTPException`."""
        raise NotImplementedError


@contextmanager
def opened(host: str, port: int, deadline: Deadline, tls: TLS | None) -> Iterator[DeadlineSocket]:
    """A connection that ends with the block, after the handshake where there is `tls`."""
    sock = connected(host, port, deadline)
    with tls.secured(sock, host, deadline) if tls else sock as ready:
        yield DeadlineSocket(ready, deadline)


def explained(error: Exception, timeout: float) -> str:
    """A failed exchange in one line, without anything that the other side could use to steer a terminal."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, TimeoutError):
        return f"no complete answer within {timeout:g} s"
    if isinstance(error, ConnectionError):
        return "the connection was closed without an answer"
    if isinstance(error, HTTPException):
        return f"not an HTTP answer: {shown(str(error) or type(error).__name__)}"
    return shown(str(error))
