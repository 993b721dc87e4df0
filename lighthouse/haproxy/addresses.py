"""Which addresses a listener has, and whether two listeners have one in common.

HAProxy binds with SO_REUSEPORT, so it accepts whatever is written: two listeners of one address get its connections in turn, and of
one that has all addresses and one that has a single one the latter gets those of its own. With ``noreuseport`` it refuses both
(each pair of forms tried on 2.6.12). So listeners clash if they have an address in common, and only then: ``:80``, ``*:80`` and
``0.0.0.0:80`` are all of IPv4, ``[::]:80`` is all of IPv6, and of IPv4 too unless ``v6only`` or the kernel says otherwise.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from functools import cache, lru_cache

ALL_4, ALL_6 = "0.0.0.0", "::"  # noqa: S104  compared, not bound

Spot = tuple[str, int | str]
"""An address, as `reach` tells it, and a port; for a UNIX socket nothing and its path."""


@cache
def six_alone() -> bool:
    """Whether ``[::]`` leaves IPv4 to others where nothing else is said (``net.ipv6.bindv6only``)."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            return bool(probe.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY))
    except OSError:
        return False  # this host has no IPv6


@lru_cache(maxsize=4096)
def reach(host: str, v6only: bool | None = None) -> tuple[str, ...]:
    """The addresses behind one to bind to, each in one spelling; `ALL_6` is all of IPv6 alone. A host name stays what it is.

    `v6only` None is for the kernel to say.
    """
    if host in ("", "*"):
        return (ALL_4,)
    if host == "localhost":  # as it is written into the file
        return ("127.0.0.1",)
    try:
        found = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return (host,)
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    if str(found) != ALL_6:
        return (str(found),)
    return (ALL_6,) if (six_alone() if v6only is None else v6only) else (ALL_4, ALL_6)


def spots(host: str, port: int) -> tuple[Spot, ...]:
    """Where one listens who binds to a port of `host`."""
    return tuple((address, port) for address in reach(host))


def whole(address: str) -> str:
    """All addresses of the kind of this one. Host names are taken for IPv4."""
    return ALL_6 if ":" in address else ALL_4


def overlap(one: str, other: str) -> bool:
    """Whether two addresses are the same, or one is all of the other's kind. Of what kind that of a name is, nobody knows."""
    if one == other:
        return True
    if not {one, other} & {ALL_4, ALL_6}:
        return False
    return whole(one) == whole(other) or any(_is_name(address) for address in (one, other))


def _is_name(address: str) -> bool:
    return ":" not in address and not address.replace(".", "").isdecimal()


class Claims:
    """Which ports are taken. HAProxy would let two listeners share a port, and deal the connections to both in turn."""

    def __init__(self) -> None:
        self._owners: dict[int | str, list[tuple[str, str]]] = {}

    def owners(self, address: str, port: int | str) -> Iterator[str]:
        """All who have a port of an address, or have it on every address."""
        return (other for taken, other in self._owners.get(port, ()) if overlap(taken, address))

    def add(self, address: str, port: int | str, owner: str) -> None:
        """Note that somebody has a port of an address, whoever else may have it."""
        self._owners.setdefault(port, []).append((address, owner))
