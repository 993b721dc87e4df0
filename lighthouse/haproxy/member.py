"""Members: the servers that Lighthouse itself puts into a backend."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from operator import attrgetter
from typing import Any

from lighthouse.errors import NodeError
from lighthouse.haproxy.ids import clashing, id_of, others, ranks
from lighthouse.identity import shown, valid_host, valid_ip, valid_port
from lighthouse.node import Node

# HAProxy allows exactly these in the name of a server (configuration manual 2.2, "server")
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,210}", re.ASCII)

UNSET = -1
MAX_MAXCONN = 2**31 - 1  # HAProxy keeps it in an `int`


@dataclass(frozen=True, slots=True, order=True)
class Member:
    """One server: its name and where it is reached. Build it with `member_of` or `member_named`, which check the parts.

    ``weight``, ``maxconn`` and ``backup`` are what the node asked for itself; `UNSET` and False leave it to the options.
    ``slot`` names the declared server that it has, where HAProxy takes no other; see `lighthouse.haproxy.slots`.
    ``moved`` is its id if that is not the one of its name; see `numbered` and `ranked`.
    """

    name: str
    ip: str
    port: int
    weight: int = UNSET
    maxconn: int = UNSET
    backup: bool = False
    slot: str = ""
    moved: int = 0
    _id: int = field(default=0, init=False, repr=False, compare=False)
    _place: str = field(default="", init=False, repr=False, compare=False)
    _keywords: str | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def server(self) -> str:
        """The name by which HAProxy knows it."""
        return self.slot or self.name

    @property
    def address(self) -> str:
        """``ip:port`` as HAProxy reads it, IPv6 in brackets."""
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"

    @property
    def own_id(self) -> int:
        """The id of its name; made once, since a member lives through many syncs."""
        if not self._id:
            object.__setattr__(self, "_id", id_of(self.name))
        return self._id

    @property
    def id(self) -> int:
        """Its id among the members of its backend."""
        return self.moved or self.own_id

    @property
    def place(self) -> str:
        """Name, address and id; made once."""
        if not self._place:
            object.__setattr__(self, "_place", f"{self.name} {self.address} id {self.id}")
        return self._place

    @property
    def keywords(self) -> str:
        """What it asked for, as options of a server line; the last of several equal keywords counts for HAProxy. Made once."""
        if self._keywords is None:
            words = []
            if self.weight != UNSET:
                words.append(f"weight {self.weight}")
            if self.maxconn != UNSET:
                words.append(f"maxconn {self.maxconn}")
            if self.backup:
                words.append("backup")
            object.__setattr__(self, "_keywords", " ".join(words))
        return self._keywords or ""


def members_of(nodes: Iterable[Node], allowed: Collection[str] = ()) -> tuple[tuple[Member, ...], dict[str, str]]:
    """The members for `nodes`, sorted, and what is refused of which node and why, the names escaped.

    A node may set the options `allowed` by its metadata; one with a wrong value stays, with the options of the others. Of several
    nodes with one name the first in order of address is taken, so that every host picks the same.
    """
    found: dict[str, Member] = {}
    refused: dict[str, str] = {}
    for node in nodes:
        try:
            member = member_of(node.host, node.ip, node.port)
        except NodeError as error:
            refused[shown(f"{node.host}:{node.port}")] = str(error)
            continue
        if allowed and node.metadata:
            member, wrong = _with_metadata(member, node.metadata, allowed)
            if wrong:
                refused[member.name] = "; ".join(wrong)
        known = found.get(member.name)
        if known is None or member < known:
            found[member.name] = member
    return tuple(map(found.__getitem__, sorted(found))), refused


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


def numbered(members: Sequence[Member], taken: Collection[int] = ()) -> Sequence[Member]:
    """The members of one backend, no two of which have one id, nor one that is `taken`."""
    ids = [member.own_id for member in members]
    clashes = clashing(ids, taken)
    if not clashes and not any(map(attrgetter("moved"), members)):
        return members
    sharing = {member.name: number for member, number in zip(members, ids, strict=True) if number in clashes}
    moved = others(sharing, ids, taken)
    return _moved(members, [moved.get(member.name, 0) for member in members])


def ranked(members: Iterable[Member], taken: Collection[int] = ()) -> Sequence[Member]:
    """The same where ids must be in the order of names."""
    ordered = sorted(members)
    return _moved(ordered, ranks(len(ordered), taken))


def _moved(members: Sequence[Member], ids: Sequence[int]) -> list[Member]:
    pairs = zip(members, ids, strict=True)
    return [member if member.moved == number else replace(member, moved=number) for member, number in pairs]


def keywords_of(member: Member, words: list[str]) -> Member:
    """The opposite of `Member.keywords`. Raises `ValueError`."""
    match words:
        case []:
            return member
        case ["weight", number, *rest]:
            return keywords_of(replace(member, weight=int(number)), rest)
        case ["maxconn", number, *rest]:
            return keywords_of(replace(member, maxconn=int(number)), rest)
        case ["backup"]:
            return replace(member, backup=True)
    raise ValueError(f"unknown options {words}")


def _with_metadata(member: Member, metadata: Mapping[str, Any], allowed: Collection[str]) -> tuple[Member, list[str]]:
    values: dict[str, Any] = {}
    wrong = []
    for key, lowest, highest in (("weight", 0, 256), ("maxconn", 1, MAX_MAXCONN)):
        value = metadata.get(key) if key in allowed else None
        if value is None:
            continue
        if isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest:
            values[key] = value
        else:
            wrong.append(f"{key} {shown(value)} must be a whole number from {lowest} to {highest}")
    backup = metadata.get("backup") if "backup" in allowed else None
    if isinstance(backup, bool):
        values["backup"] = backup
    elif backup is not None:
        wrong.append(f"backup {shown(backup)} must be true or false")
    return replace(member, **values), wrong


def _host(host: str) -> str:
    try:
        return valid_host(host)
    except NodeError:
        return valid_ip(host)  # a node without a host name is named by its address, which may begin or end with ':'
