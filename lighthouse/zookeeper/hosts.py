"""Where the servers are: the key ``hosts``, as a list or as the comma-separated text that ZooKeeper's own tools take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lighthouse.errors import ConfigError, NodeError
from lighthouse.identity import shown, valid_host
from lighthouse.options import Key
from lighthouse.zookeeper.paths import checked

DEFAULT_PORT = 2181
MAX_SERVERS = 100


@dataclass(frozen=True, slots=True)
class Server:
    """One server: a name or an address, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse(hosts: str | Sequence[str]) -> tuple[tuple[Server, ...], str]:
    """The servers, and the chroot: a path that stands before all others, empty if there is none. Raises `ConfigError`."""
    parts = hosts.split(",") if isinstance(hosts, str) else [part for item in hosts for part in item.split(",")]
    last, slash, chroot = parts[-1].partition("/") if parts else ("", "", "")
    parts = [*parts[:-1], last] if last.strip() or not slash else parts[:-1]
    try:
        root = checked(slash + chroot.strip())
    except ValueError as error:
        raise ConfigError(f"the path after the last host: {error}", ("hosts",)) from None
    if not parts or len(parts) > MAX_SERVERS:
        raise ConfigError(f"give the servers, {MAX_SERVERS} at most: write them as [host:port, host:port]", ("hosts",))
    servers = [_server(part.strip(), _where(hosts, index)) for index, part in enumerate(parts)]
    return tuple(dict.fromkeys(servers)), root


def _where(hosts: str | Sequence[str], index: int) -> Key:
    return ("hosts",) if isinstance(hosts, str) or index >= len(hosts) else ("hosts", index)


def _server(text: str, key: Key) -> Server:
    if text.startswith("["):
        host, bracket, port = text[1:].partition("]")
        port = port.removeprefix(":") if bracket and (not port or port.startswith(":")) else "?"
    elif text.count(":") > 1:
        host, port = text, ""
    else:
        host, _, port = text.partition(":")
    try:
        valid_host(host if host != "::1" else "localhost")
    except NodeError:
        raise ConfigError(f"{shown(text)} is no server: write it as host:port", key) from None
    if not port and not text.endswith(":"):
        return Server(host.lower(), DEFAULT_PORT)
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536):
        raise ConfigError(f"the port of {shown(text)} is not a number from 1 to 65535", key)
    return Server(host.lower(), int(port))
