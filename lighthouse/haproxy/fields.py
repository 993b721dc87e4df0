"""Reading parts of a configuration that are mappings within mappings. Each refusal names the key, value and remedy."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from lighthouse.errors import ConfigError, NodeError
from lighthouse.haproxy.stanzas.lines import one_line, user_lines
from lighthouse.identity import shown, valid_host, valid_ip, valid_name
from lighthouse.options import Key

# What needs no quoting in HAProxy's file, in the argument of -S, or in a log line.
_PATH = re.compile(r"/[A-Za-z0-9_./+:@=~-]+", re.ASCII)


def named(value: Any, key: Key) -> Mapping[str, Any]:
    """A mapping from names, of which HAProxy's sections are made, to anything. Raises `ConfigError`."""
    if not isinstance(value, Mapping):
        raise ConfigError("expected a mapping from names to settings", key)
    for name in value:
        try:
            valid_name(name)
        except NodeError as error:
            raise ConfigError(f"{error}: choose another", (*key, name)) from None
    return value


def port(value: Any, key: Key) -> int:
    """A TCP port. Raises `ConfigError`."""
    return number(value, key, 1, 65535)


def number(value: Any, key: Key, least: int, most: int) -> int:
    """A whole number within bounds. Raises `ConfigError`."""
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    raise ConfigError(f"{key[-1]} {shown(value)} must be a whole number from {least} to {most}", key)


def lines(value: Any, key: Key) -> tuple[str, ...]:
    """Lines of a section. Raises `ConfigError`."""
    if not isinstance(value, list | tuple):
        raise ConfigError("expected a list of lines: write it as [first, second]", key)
    for index, line in enumerate(value):
        if not isinstance(line, str):
            raise ConfigError(f"{shown(line)} is not text: put it in quotes", (*key, index))
    return user_lines(value, key)


def host(value: Any, key: Key) -> str:
    """An address or a host name; an IPv6 address may stand in brackets. Raises `ConfigError`."""
    text = value[1:-1] if isinstance(value, str) and value.startswith("[") and value.endswith("]") else value
    checks: tuple[Callable[[Any], str], ...] = (valid_ip, _host_name)
    for check in checks:
        try:
            return check(text)
        except NodeError:
            continue
    raise ConfigError(f"{key[-1]} {shown(value)} must be an IP address or a host name{_without_port(value)}", key)


def _host_name(value: Any) -> str:
    """A name, and nothing that only looks like an address, or holds a port. Raises `NodeError`."""
    name = valid_host(value)
    if ":" in name or ".." in name or name.replace(".", "").isdecimal():
        raise NodeError(f"{shown(value)} is no host name")
    return name


def _without_port(value: Any) -> str:
    return ", without a port: that has a key of its own" if re.search(r".\]?:\d+$", str(value)) else ""


def address(value: Any, key: Key) -> str:
    """A literal address; an IPv6 one may stand in brackets. Raises `ConfigError`."""
    try:
        return valid_ip(value[1:-1] if isinstance(value, str) and value[:1] + value[-1:] == "[]" else value)
    except NodeError:
        raise ConfigError(f"{key[-1]} {shown(value)} must be an IP address, such as 192.0.2.17", key) from None


def bind_address(value: Any, key: Key) -> str:
    """Where to listen: as `host`, or ``*`` or nothing for every IPv4 address. Raises `ConfigError`."""
    if value in ("", "*"):
        return "*"
    try:
        return host(value, key)
    except ConfigError:
        text = f"{key[-1]} {shown(value)} must be an IP address, a host name, or `*` for every IPv4 address{_without_port(value)}"
        raise ConfigError(text, key) from None


def path(value: Any, key: Key, limit: int = 4000) -> str:
    """An absolute path of at most `limit` bytes. Raises `ConfigError`."""
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{key[-1]} is required: give an absolute path", key)
    if not _PATH.fullmatch(value):
        raise ConfigError(
            f"{key[-1]} {shown(value)} must be an absolute path of letters, digits and any of / . _ + : @ = ~ -", key
        )
    if len(value) > limit:
        raise ConfigError(
            f"{key[-1]} has {len(value)} bytes; HAProxy can open a UNIX socket of {limit} at most (the system's limit is 107 and "
            f"HAProxy adds a suffix while it binds): choose a shorter path",
            key,
        )
    return value


def command(value: str | list[str], key: Key) -> tuple[str, ...]:
    """The words of a command; text is split as a shell would, which never sees it. Raises `ConfigError`."""
    try:
        words = shlex.split(value) if isinstance(value, str) else value
    except ValueError as error:
        raise ConfigError(f"{key[-1]} {shown(value)} cannot be split into words: {error}", key) from None
    if words and not words[0]:
        raise ConfigError(f"{key[-1]} must begin with a program", key)
    return tuple(one_line(word, key) for word in words)
