"""Members: the servers that Lighthouse itself puts into a backend."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from lighthouse.errors import NodeError
from lighthouse.identity import shown, valid_host, valid_ip, valid_port
from lighthouse.node import Node

# HAProxy allows exactly these in the name of a server (configuration manual 2.2, "server")
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,210}", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Member:
    """One server line: its name and where it is reached. Build it with `member_of` or `member_named`, which check the parts."""

    name: str
    ip: str
    port: int

    @property
    def address(self) -> str:
        """``ip:port`` as HAProxy reads it, IPv6 in brackets."""
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


def members_of(nodes: Iterable[Node]) -> tuple[tuple[Member, ...], tuple[str, ...]]:
    """The members for `nodes`, sorted, and why some are refused.

    Of several nodes with one name the first in order of address is taken, so that every host picks the same.
    """
    found: dict[str, Member] = {}
    refused = []
    for node in nodes:
        try:
            member = member_of(node.host, node.ip, node.port)
        except NodeError as error:
            refused.append(str(error))
            continue
        known = found.get(member.name)
        if known is None or member < known:
            found[member.name] = member
    return tuple(sorted(found.values())), tuple(refused)


@lru_cache(maxsize=65536)  # the same nodes come back at every sync
def member_of(host: str, ip: str, port: int) -> Member:
    """The member for one node. Raises `NodeError` for a part that must not be written."""
    port = valid_port(port)
    return Member(f"{_host(host)}:{port}", valid_ip(ip), port)


def member_named(name: str, ip: str, port: int) -> Member:
    """The member for a server that HAProxy or its file already has. Raises `NodeError`."""
    if not _NAME.fullmatch(name):
        raise NodeError(f"server name {shown(name)} is not one that HAProxy accepts")
    return Member(name, valid_ip(ip), valid_port(port))


def _host(host: str) -> str:
    try:
        return valid_host(host)
    except NodeError:
        return valid_ip(host)  # a node without a host name is named by its address, which may begin or end with ':'
