"""The health check that asks over HTTP."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from typing import Any, ClassVar, Literal

from lighthouse.checks.deadline import MAX_ANSWER, Deadline, DeadlineSocket
from lighthouse.checks.exchange import ExchangeCheck, opened
from lighthouse.checks.http_rules import KEPT_METHODS, REDIRECTS, Target, check_headers, header, statuses
from lighthouse.checks.tls import TLS, TLS_OPTIONS, check_tls, tls_of
from lighthouse.checks.values import Given, Value, values_of
from lighthouse.errors import ConfigError
from lighthouse.identity import shown
from lighthouse.options import Option
from lighthouse.version import __version__

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
PASSING = frozenset(range(200, 300))
READ_SIZE = 16 * 1024  # bytes per read of a body
AGENT = f"lighthouse/{__version__}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said; ``body`` is empty where nobody wants to see it, and not all of it where it was ``cut``.

    ``encoding`` is named by a server that compresses unasked: `http.client` asks for ``identity``. Such a body is searched as is.
    """

    status: int
    location: str | None
    body: bytes = b""
    cut: bool = False
    encoding: str | None = None


class HTTPCheck(ExchangeCheck):
    """Passes when the answer's status is expected, 200 to 299 as in lighthouse 1.0, and the answer is complete in time.

    The body is read, so that the service sees an orderly end of the exchange, but with the header no more of it than
    `lighthouse.checks.deadline.MAX_ANSWER`: what comes after that is neither waited for nor searched.
    """

    options: ClassVar[Mapping[str, Option] | None] = {
        "uri": Option(str, 'the path to ask for, with its query; starts with "/"'),
        "https": Option(bool, "ask over TLS", default=False),
        "method": Option(Method, "the HTTP method", default="GET"),
        "headers": Option(
            dict[str, Given] | None, "headers to send; a secret one as {file: PATH} or {env: NAME}", default=None
        ),
        "status": Option(
            list[int | str] | None, "the statuses that pass, such as 200, '2xx' or '200-204'", default=None
        ),
        "body": Option(str | None, "text that the body must contain", default=None),
        "body_regex": Option(str | None, "regular expression of which the body must contain a match", default=None),
        "redirects": Option(Literal["fail", "accept", "follow"], "what to do with a redirect", default="fail"),
        "max_redirects": Option(int, "redirects that are followed", default=5, minimum=1, maximum=20),
        **TLS_OPTIONS,
    }

    uri: str = "/"
    https: bool = False
    method: str = "GET"
    headers: Mapping[str, Value] = {}
    status: frozenset[int] = PASSING
    body: bytes = b""
    body_regex: re.Pattern[bytes] | None = None
    redirects: str = "fail"
    max_redirects: int = 5
    tls: TLS | None = None

    @classmethod
    def validate_check_config(cls, config: dict[str, Any]) -> None:
        """Refuse what cannot stand in a request, and what names no status and no regular expression."""
        uri = config["uri"]
        if not uri.startswith("/"):
            raise ConfigError(
                f'uri {shown(uri)} must start with "/": give the path only, without scheme and host', ("uri",)
            )
        if not (uri.isascii() and uri.isprintable()) or " " in uri:
            raise ConfigError(f"uri {shown(uri)} may hold printable ASCII only: percent-encode the rest", ("uri",))
        check_headers(config.get("headers") or {})
        if config.get("status") is not None:
            statuses(config["status"])
        for key in ("body", "body_regex"):
            if config.get(key) is not None and config["method"] == "HEAD":
                raise ConfigError("is given although an answer to HEAD has no body: use GET", (key,))
            if config.get(key) == "":
                raise ConfigError("is empty, which every body contains: give it a value, or remove it", (key,))
        if config.get("body_regex"):
            try:
                _pattern(config["body_regex"])
            except re.error as error:
                raise ConfigError(f"not a regular expression: {error}", ("body_regex",)) from None
        check_tls(config, "https")

    def apply_check_config(self, config: dict[str, Any]) -> None:
        """Take over the request to make, and what is expected of its answer."""
        self.uri = config["uri"]
        self.https = config.get("https", False)
        self.method = config.get("method", "GET")
        self.headers = values_of(config.get("headers"), "headers")
        self.status = statuses(config["status"]) if config.get("status") is not None else PASSING
        self.body = (config.get("body") or "").encode()
        self.body_regex = _pattern(config["body_regex"]) if config.get("body_regex") else None
        self.redirects = config.get("redirects", "fail")
        self.max_redirects = config.get("max_redirects", 5)
        self.tls = tls_of(config, "https")

    def exchange(self, deadline: Deadline) -> str:
        """Ask, as often as redirects are followed, and judge the last answer."""
        start = target = Target(self.https, self.host, self.port, self.uri)
        method = self.method
        for _ in range(self.max_redirects + 1):
            answer = self._ask_at(target, start, method, deadline)
            if answer.status not in REDIRECTS or self.redirects == "fail" or answer.status in self.status:
                return self._judge(answer)
            if self.redirects == "accept":
                return ""
            leads = target.redirected(answer.location)
            if isinstance(leads, str):
                return leads
            target = leads
            if answer.status not in KEPT_METHODS and method != "HEAD":
                method = "GET"
        return f"more than {self.max_redirects} redirects, the last to {shown(target.path)}"

    def _ask_at(self, target: Target, start: Target, method: str, deadline: Deadline) -> Answer:
        """One request. What was meant for the service alone (headers, certificate, name) goes nowhere else."""
        same = target.origin == start.origin
        tls = (
            self.tls
            if same or not self.tls
            else replace(self.tls, server_name=None, certificate_file=None, key_file=None)
        )
        with opened(target.host, target.port, deadline, (tls or TLS()) if target.https else None) as sock:
            return self._ask(sock, target, method, same)

    def _ask(self, sock: DeadlineSocket, target: Target, method: str, same: bool) -> Answer:
        connection = HTTPConnection(target.host, target.port)
        connection.sock = sock
        headers = {name: header(name, value.read()) for name, value in self.headers.items()} if same else {}
        agent = {} if any(name.lower() == "user-agent" for name in headers) else {"User-Agent": AGENT}
        connection.request(method, target.path, headers={**agent, **headers, "Connection": "close"})
        wanted = bool(self.body or self.body_regex)
        body = bytearray()
        with connection.getresponse() as response:
            try:
                while data := response.read1(READ_SIZE):
                    if wanted:
                        body += data
            except OSError:
                # A body that is too long or, where the status settles it already, late changes nothing.
                if response.status in self.status and not sock.exhausted:
                    raise
            encoding = response.getheader("Content-Encoding")
            return Answer(response.status, response.getheader("Location"), bytes(body), sock.exhausted, encoding)

    def _judge(self, answer: Answer) -> str:
        if answer.status not in self.status:
            return f"status {answer.status}"
        if self.body and self.body not in answer.body:
            return f"the body does not contain {shown(self.body.decode())}{_within(answer)}"
        if self.body_regex and not self.body_regex.search(answer.body):
            return f"the body has no match of {shown(self.body_regex.pattern.decode())}{_within(answer)}"
        return ""


def _within(answer: Answer) -> str:
    cut = f" in its first {MAX_ANSWER // 1024} KiB" if answer.cut else ""
    return f"{cut}; it is encoded as {shown(answer.encoding, 40)}" if answer.encoding else cut


def _pattern(text: str) -> re.Pattern[bytes]:
    """Over bytes: a body need not be text. `.` and the like match a byte, letters beyond ASCII their UTF-8."""
    return re.compile(text.encode())
