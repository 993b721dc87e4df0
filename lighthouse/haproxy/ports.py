"""Whether the ports that a new configuration adds can be listened on.

``haproxy -c`` binds nothing, so a port in use would show only at the reload, and that hurts: a new HAProxy that cannot bind asks
the old one to let go of *all* its ports and tries for two seconds before it gives up (measured on 2.6.12: every connection is
refused meanwhile). At a start it would not even show where the other program is a HAProxy too: both bind with SO_REUSEPORT and
share the connections. So the ports are tried beforehand.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterator
from itertools import chain

from lighthouse.haproxy.document import Document

MAX_RANGE = 1000  # ports of one range that are tried
_ALL = frozenset({"", "0.0.0.0", "::"})  # noqa: S104  compared, not bound
_CAUSES = {errno.EADDRINUSE: "another program has it", errno.EACCES: "only root may listen there"}


class Ports:
    """Tells why ports cannot be listened on, and tries each address once; those aside that HAProxy has, because `own` have them.

    Where one of two addresses is that of all interfaces, to have a port of one is taken for having it of the other.

    With ``held`` HAProxy has some that nobody knows, so that none is tried.
    """

    def __init__(self, *own: Document, held: bool = False) -> None:
        self._own: dict[int, set[str]] = {}
        for _, host, port in chain.from_iterable(map(binds, own)):
            self._own.setdefault(port, set()).add(host)
        self._held = held
        self._causes: dict[tuple[str, int], str | None] = {}

    def taken(self, wanted: Document) -> dict[str, str]:
        """Why addresses of `wanted` cannot be listened on, by the header of the section."""
        reasons: dict[str, str] = {}
        for header, host, port in () if self._held else binds(wanted):
            if not self._has(host, port) and (cause := self._cause(host, port)):
                reasons.setdefault(header, f"{header}: cannot listen on {host or '*'}:{port}: {cause}")
        return reasons

    def _has(self, host: str, port: int) -> bool:
        hosts = self._own.get(port, set())
        return host in hosts or bool(hosts and {host, *hosts} & _ALL)

    def _cause(self, host: str, port: int) -> str | None:
        if (host, port) not in self._causes:
            self._causes[host, port] = _cause(host, port)
        return self._causes[host, port]


def binds(document: Document) -> Iterator[tuple[str, str, int]]:
    """Header, address and port of all that ``bind`` lines name by plain addresses; others, such as host names, are not judged."""
    for section in document.sections:
        for line in section.lines if section.header.startswith(("frontend ", "listen ")) else ():
            match line.split():
                case ["bind", addresses, *_]:
                    for host, port in chain.from_iterable(map(_ports, addresses.split(","))):
                        yield section.header, host, port


def _ports(address: str) -> Iterator[tuple[str, int]]:
    """What one address with a port, or with a range of them, stands for."""
    host, _, ports = address.rpartition(":")
    host = host.removeprefix("ipv4@").removeprefix("ipv6@").strip("[]").replace("*", "")
    first, _, last = ports.partition("-")
    last = last or first
    if first.isdecimal() and last.isdecimal() and (not host or _is_literal(host)):
        yield from ((host, port) for port in range(int(first), int(last) + 1)[:MAX_RANGE])


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _cause(host: str, port: int) -> str | None:
    """Why an address cannot be bound.

    Sharing is not tried: HAProxy binds with SO_REUSEPORT, so another HAProxy on the port would silently get half of the
    connections.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return _CAUSES.get(error.errno or 0)
        except OverflowError:
            return "it is no port"
    return None
