"""The health check that asks over HTTP."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lighthouse.checks.deadline import Deadline, DeadlineSocket, connected
from lighthouse.checks.exchange import ExchangeCheck
from lighthouse.errors import ConfigError
from lighthouse.identity import shown
from lighthouse.options import Option
from lighthouse.version import __version__

if TYPE_CHECKING:
    import socket
    import ssl

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
PASSING = range(200, 300)
READ_SIZE = 16 * 1024  # bytes per read of a body
_HEADERS = {"User-Agent": f"lighthouse/{__version__}", "Connection": "close"}


class HTTPCheck(ExchangeCheck):
    """Passes when the answer's status is 200 to 299, as in lighthouse 1.0, and the answer is complete in time.

    A redirect is not followed and fails the check: what it points to may run elsewhere. The body is read, so that the service sees
    an orderly end of the exchange, but no more of it than `lighthouse.checks.deadline.MAX_ANSWER`: what comes after that is not
    waited for.
    """

    options: ClassVar[Mapping[str, Option] | None] = {
        "uri": Option(str, 'the path to ask for, with its query; starts with "/"'),
        "https": Option(bool, "ask over TLS; the certificate is not verified", default=False),
        "method": Option(Method, "the HTTP method", default="GET"),
    }

    uri: str = "/"
    https: bool = False
    method: str = "GET"

    @classmethod
    def validate_check_config(cls, config: dict[str, Any]) -> None:
        """Refuse a `uri` that cannot stand in a request line."""
        uri = config["uri"]
        if not uri.startswith("/"):
            raise ConfigError(
                f'uri {shown(uri)} must start with "/": give the path only, without scheme and host', ("uri",)
            )
        if not (uri.isascii() and uri.isprintable()) or " " in uri:
            raise ConfigError(f"uri {shown(uri)} may hold printable ASCII only: percent-encode the rest", ("uri",))

    def apply_check_config(self, config: dict[str, Any]) -> None:
        """Take over the request to make."""
        self.uri = config["uri"]
        self.https = config.get("https", False)
        self.method = config.get("method", "GET")

    def exchange(self, deadline: Deadline) -> str:
        """Ask, and judge the status."""
        sock = connected(self.host, self.port, deadline)
        try:
            if self.https:
                sock = _secured(sock, self.host, deadline)
            status = self._ask(DeadlineSocket(sock, deadline))
        finally:
            sock.close()
        return "" if status in PASSING else f"status {status}"

    def _ask(self, sock: DeadlineSocket) -> int:
        connection = HTTPConnection(self.host, self.port)
        connection.sock = sock
        connection.request(self.method, self.uri, headers=_HEADERS)
        with connection.getresponse() as response:
            try:
                while response.read(READ_SIZE):
                    pass
            except OSError:
                # A body that is too long or, where the status settles it already, late changes nothing.
                if response.status in PASSING and not sock.exhausted:
                    raise
            return response.status


def _secured(sock: socket.socket, host: str, deadline: Deadline) -> socket.socket:
    """The socket after a TLS handshake. On an error the caller still holds the plain socket, detached: so it is closed here."""
    secure = _tls().wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
    try:
        # The handshake is one call: its timeout bounds all of it, however the other side's bytes drip in.
        secure.settimeout(deadline.remaining())
        secure.do_handshake()
    except BaseException:
        secure.close()
        raise
    return secure


@functools.cache
def _tls() -> ssl.SSLContext:
    """The one context of this process: each costs memory that stays.

    It verifies nothing: a check asks an own service at an address such as 127.0.0.1, which no certificate names.
    """
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
