"""The rules of the HTTP check that need no connection: which statuses pass, what may be a header, where a redirect leads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from lighthouse.checks.values import check_value
from lighthouse.errors import ConfigError, ResourceError
from lighthouse.identity import shown

REDIRECTS = frozenset({301, 302, 303, 307, 308})
KEPT_METHODS = frozenset({307, 308})  # RFC 9110, 15.4: the others may be followed by GET, and everybody does so
_RANGE = re.compile(r"(?P<digit>[1-5])xx|(?P<first>[1-5]\d\d)(?:-(?P<last>[1-5]\d\d))?", re.ASCII)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_OURS = frozenset({"connection", "content-length", "transfer-encoding", "upgrade", "expect", "te", "trailer"})
_SECRET = frozenset({"authorization", "proxy-authorization", "cookie"})


def statuses(given: Iterable[int | str]) -> frozenset[int]:
    """The statuses that ``200``, ``"2xx"`` and ``"200-204"`` name. Raises `ConfigError`."""
    found: set[int] = set()
    for index, item in enumerate(given):
        match = _RANGE.fullmatch(str(item))
        if not match:
            raise ConfigError(f"{shown(item)}: expected a status such as 200, '2xx' or '200-204'", ("status", index))
        first = int(match["first"] or f"{match['digit']}00")
        last = int(match["last"] or (first if match["first"] else first + 99))
        if last < first:
            raise ConfigError(f"{shown(item)}: ends before it begins: turn it round", ("status", index))
        found.update(range(first, last + 1))
    if not found:
        raise ConfigError("names no status: list at least one, or remove the key", ("status",))
    return frozenset(found)


def check_headers(headers: Mapping[str, Any]) -> None:
    """Judge the headers to send. Raises `ConfigError`."""
    seen = set()
    for name, given in headers.items():
        key = ("headers", name)
        if not _TOKEN.fullmatch(name):
            raise ConfigError("is not the name of a header", key)
        if name.lower() in _OURS:
            raise ConfigError("is set by the check itself: remove it", key)
        if name.lower() in seen:
            raise ConfigError("is given twice, since letters large and small are the same: remove one", key)
        seen.add(name.lower())
        if isinstance(given, str) and name.lower() in _SECRET:
            raise ConfigError("is a secret: write {file: PATH} or {env: NAME}, with a 'prefix' if need be", key)
        check_value(given, key)
        text = given if isinstance(given, str) else given.get("prefix", "")
        if not sendable(text):
            raise ConfigError("may hold printable ASCII only", key)


def sendable(text: str) -> bool:
    """Whether a text may stand in a header: anything else could begin another one."""
    return text.isascii() and text.isprintable()


def header(name: str, text: str) -> str:
    """A header's value that came from a secret. Raises `ResourceError`, which does not show it."""
    if not sendable(text):
        raise ResourceError(
            f"headers.{name}: the secret holds what cannot stand in a header: printable ASCII on one line"
        )
    return text


@dataclass(frozen=True, slots=True)
class Target:
    """Where one request goes."""

    https: bool
    host: str
    port: int
    path: str

    @property
    def origin(self) -> tuple[bool, str, int]:
        """What decides whether headers and certificates that were meant for one place may go to another."""
        return self.https, self.host, self.port

    def redirected(self, location: str | None) -> Target | str:
        """Where an answer from here leads to; or what is wrong with that, in words."""
        if not location:
            return "a redirect without a location"
        scheme = "https" if self.https else "http"
        host = f"[{self.host}]" if ":" in self.host else self.host
        try:
            parts = urlsplit(urljoin(f"{scheme}://{host}:{self.port}{self.path}", location))
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            return f"a redirect to {shown(location)}"
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if parts.scheme not in ("http", "https") or not parts.hostname or not sendable(path) or " " in path:
            return f"a redirect to {shown(location)}"
        if self.https and parts.scheme != "https":
            return f"a redirect from https to {shown(location)}"
        return Target(parts.scheme == "https", parts.hostname, port, path)
