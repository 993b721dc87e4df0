"""One announcement of this host, and the znode that it makes."""

from __future__ import annotations

from dataclasses import dataclass, field

from lighthouse import nerve
from lighthouse.discovery import Announcement, Wanted
from lighthouse.errors import NodeError
from lighthouse.identity import valid_host, valid_name, valid_port
from lighthouse.node import MAX_RECORD, Node, plain
from lighthouse.zookeeper.messages import Found, Kind, Request
from lighthouse.zookeeper.ownership import Act
from lighthouse.zookeeper.session import Key
from lighthouse.zookeeper.settings import Format


@dataclass(slots=True)
class Own:
    """One znode: what is wanted of it, and what is known of it.

    ``looked`` says whether `found` is what is there; ``stood`` whether we announced it; ``parents`` are yet to be made, the
    last first.
    """

    key: Key
    wanted: Wanted = Wanted.HOLD
    content: bytes = b""
    node: Node | None = None
    stood: bool = False
    looked: bool = False
    found: Found | None = None
    asked: bool = False
    parents: list[str] = field(default_factory=list)
    problem: str | None = None
    not_before: float = 0.0
    disputes: int = 0
    disputed: float = float("-inf")


def key_of(item: Announcement, base: str) -> Key:
    """Where an announcement stands. Raises `NodeError`."""
    valid_host(item.node.host)
    valid_port(item.node.port)
    return Key(base, valid_name(item.service.name), item.node.name)


def record_of(item: Announcement, record: Format) -> bytes:
    """What it says. Raises `NodeError` where others would refuse it."""
    plain(item.node.metadata)
    content = (nerve.serialize(item.node) if record == "nerve" else item.node.serialize()).encode()
    if len(content) > MAX_RECORD:
        raise NodeError(f"its record of {len(content)} bytes is larger than {MAX_RECORD}: shorten its metadata")
    return content


def request_of(act: Act, own: Own) -> Request | None:
    """What to ask of ZooKeeper for an act; None where nothing is to be done. It counts for the znode as it was found only."""
    path, found = own.key.path, own.found
    version = found.version if found else -1
    match act:
        case Act.CREATE:
            return Request(Kind.CREATE, path, own.content)
        case Act.SET:
            return Request(Kind.SET, path, own.content, version)
        case Act.REPLACE:
            return Request(Kind.REPLACE, path, own.content, version)
        case Act.ADOPT if found:
            return Request(Kind.REPLACE, path, found.data, version)
        case Act.DELETE:
            return Request(Kind.DELETE, path, version=version)
    return None
