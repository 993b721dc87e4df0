"""What may name or address a thing that came from outside.

Nothing from a registry is trusted: each part passes one of these functions before it becomes a value of ours, and what passes can
write no second line into a configuration file, no path outside its folder and no escape sequence into a terminal.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Any

from lighthouse.errors import NodeError

MAX_NAME = 200  # leaves room for ":65535" and a suffix within the 255 bytes of a file name
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.:-]*[A-Za-z0-9_])?", re.ASCII)
_LABEL = re.compile(r"[A-Za-z0-9_./:-]+", re.ASCII)
_BYTE = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_BYTE}\.{_BYTE}\.{_BYTE}\.{_BYTE}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?", re.ASCII)


def shown(value: object, limit: int = 60) -> str:
    """The value, escaped and shortened so that it is safe in a message."""
    return _cut(ascii(value), limit)


def suggestion(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` where something known is close, else nothing."""
    import difflib

    close = difflib.get_close_matches(word, list(known), 1)
    return f"; did you mean {shown(close[0])}?" if close else ""


def escaped(text: str, limit: int = 200) -> str:
    """The same for a text that needs no quotes around it."""
    return _cut(ascii(text)[1:-1], limit)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def valid_name(value: Any) -> str:
    """The name of a cluster, a service or a plugin instance. Raises `NodeError`."""
    if not isinstance(value, str) or len(value) > MAX_NAME or not _NAME.fullmatch(value):
        raise NodeError(f"name {shown(value)} may hold letters, digits, '.', '_' and '-' only, {MAX_NAME} at most")
    return value


def valid_label(value: Any) -> str:
    """The key or value of a label, or a zone. Raises `NodeError`."""
    if not isinstance(value, str) or len(value) > MAX_NAME or not _LABEL.fullmatch(value):
        raise NodeError(f"{shown(value)} may hold letters, digits and '. _ - / :' only, {MAX_NAME} at most")
    return value


def valid_host(value: Any) -> str:
    """A host name or a literal address, as it may stand in a server name. Raises `NodeError`."""
    if not isinstance(value, str) or len(value) > MAX_NAME or not _HOST.fullmatch(value):
        raise NodeError(f"host {shown(value)} is not a host name")
    return value


def valid_ip(value: Any) -> str:
    """A literal IPv4 or IPv6 address, in its canonical text. Raises `NodeError`."""
    if not isinstance(value, str):
        raise NodeError(f"ip {shown(value)} is not an address")
    if _IPV4.fullmatch(value):  # it has but one spelling, and `ipaddress` takes 20 times as long
        return value
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        raise NodeError(f"ip {shown(value)} is not an address") from None
    if getattr(address, "scope_id", None):
        raise NodeError(f"ip {shown(value)} has a zone, which means nothing on another host")
    return str(address)


def valid_port(value: Any) -> int:
    """A TCP port. Raises `NodeError`."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 65536:
        raise NodeError(f"port {shown(value)} is not a number from 1 to 65535")
    return value
