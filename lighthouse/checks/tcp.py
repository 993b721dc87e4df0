"""The health check that connects, and may hold a short conversation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from lighthouse.checks.deadline import MAX_ANSWER, Deadline, DeadlineSocket
from lighthouse.checks.exchange import ExchangeCheck, opened
from lighthouse.checks.tls import TLS, TLS_OPTIONS, check_tls, tls_of
from lighthouse.errors import ConfigError
from lighthouse.identity import shown
from lighthouse.options import Option


class TCPCheck(ExchangeCheck):
    """Passes when a connection can be made, with ``tls`` a handshake too, and, given ``query`` and ``response``, when the answer
    starts with ``response``.

    The answer may come in any number of pieces, and what follows the expected text does not matter. An empty ``query`` sends
    nothing: for a server that greets first.
    """

    options: ClassVar[Mapping[str, Option] | None] = {
        "query": Option(str | None, "text to send after connecting; needs `response`", default=None),
        "response": Option(str | None, "text with which the answer must start; needs `query`", default=None),
        "tls": Option(bool, "speak TLS", default=False),
        **TLS_OPTIONS,
    }

    query: bytes = b""
    response: bytes = b""
    tls: TLS | None = None

    @classmethod
    def validate_check_config(cls, config: dict[str, Any]) -> None:
        """Refuse one of `query` and `response` without the other."""
        query, response = config.get("query"), config.get("response")
        if response is not None and query is None:
            raise ConfigError("`response` is given without `query`: add the text to send ('' for none)", ("query",))
        if query is not None and not response:
            raise ConfigError(
                "`query` is given without `response`: add the text with which the answer starts", ("response",)
            )
        if len((response or "").encode()) > MAX_ANSWER:
            raise ConfigError(f"`response` is longer than {MAX_ANSWER} bytes: its beginning is enough", ("response",))
        check_tls(config, "tls")

    def apply_check_config(self, config: dict[str, Any]) -> None:
        """Take over the conversation to hold."""
        self.query = (config.get("query") or "").encode()
        self.response = (config.get("response") or "").encode()
        self.tls = tls_of(config, "tls")

    def exchange(self, deadline: Deadline) -> str:
        """Connect, ask, and compare."""
        with opened(self.host, self.port, deadline, self.tls) as sock:
            return self._converse(sock) if self.response else ""

    def _converse(self, sock: DeadlineSocket) -> str:
        sock.sendall(self.query)
        expected = self.response
        answer = bytearray(len(expected))
        received = 0
        while received < len(expected):
            count = sock.recv_into(memoryview(answer)[received:])
            if not count:
                return f"the answer ended after {shown(bytes(answer[:received]))}"
            received += count
            if not expected.startswith(answer[:received]):
                return f"the answer starts with {shown(bytes(answer[:received]))}"
        return ""
