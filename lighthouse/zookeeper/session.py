"""The session with ZooKeeper: which one is ours, what its end means, and what the next generation needs of it. No I/O.

Ephemeral znodes live as long as their session, and a session outlives its connections, and our processes, by its timeout. So a
worker never closes it: its successor attaches to it, and nobody notices. ZooKeeper's client library opens a new session without a
word when the old one is gone; that shows only in the session's number, which is compared after each connection.

What is handed over holds the transaction that we saw last: a server that lags behind it refuses us, so that we do not see the past.
If all servers lost their data, all would refuse us for ever. So after two timeouts without a connection that is given up; the
session is kept even then, for it may have outlived an ensemble that was down.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from lighthouse.errors import NodeError
from lighthouse.identity import valid_host, valid_name, valid_port
from lighthouse.zookeeper.hosts import Server
from lighthouse.zookeeper.messages import Connected, Disconnected
from lighthouse.zookeeper.paths import checked

MAX_SESSIONS = 8  # former ones that are remembered; their znodes are gone long before so many are through
MAX_CONTENT = 512 * 1024  # bytes of announcements that are handed over with their content
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Key:
    """Where an announcement stands."""

    base: str
    service: str
    name: str

    @property
    def path(self) -> str:
        """Its znode."""
        return f"{self.base}/{self.service}/{self.name}"

    @property
    def port(self) -> tuple[str, str]:
        """The service and its port: what stays the same when the path or the name of this host changes."""
        return self.service, self.name.rpartition(":")[2]


@dataclass(slots=True)
class Session:
    """What is known of our session. ``number`` is 0 before the first; `since` is wall-clock time, for people."""

    number: int = 0
    password: bytes = field(default=b"", repr=False)
    zxid: int = 0
    since: float = 0.0
    former: list[int] = field(default_factory=list)
    connected: bool = False
    server: str = ""
    connections: int = 0
    expired: int = 0
    resumed: int = 0
    away: float | None = None  # since when there is no connection, on the monotonic clock

    def opened(self, message: Connected, wall: float) -> bool:
        """There is a connection; returns whether it is with a new session."""
        self.connected, self.server, self.away = True, message.server, None
        self.connections += 1
        self.password = message.password
        if message.session == self.number:
            self.resumed += 1
            return False
        if self.number:
            self.expired += 1
            self.former = [*self.former, self.number][-MAX_SESSIONS:]
        self.number, self.since = message.session, wall
        return True

    def closed(self, _message: Disconnected, now: float) -> None:
        """There is no connection any more. Whether the session is lost shows at the next one."""
        self.connected = False
        if self.away is None:
            self.away = now

    def gives_up_at(self, timeout: float) -> float | None:
        """When to give the last seen transaction up; see the module. None while that is no question."""
        return None if self.zxid == 0 or self.away is None else self.away + 2 * timeout

    @property
    def sessions(self) -> Collection[int]:
        """All numbers that were ours."""
        return {*self.former, self.number} - {0}


def pack(session: Session, servers: Sequence[Server], own: dict[Key, bytes]) -> bytes:
    """What `unpack` of the next generation needs. It holds the session's password."""
    whole = sum(len(content) for content in own.values()) <= MAX_CONTENT
    return json.dumps(
        {
            "format": FORMAT,
            "servers": [str(server) for server in servers],
            "session": session.number,
            "password": session.password.hex(),
            "zxid": session.zxid,
            "since": session.since,
            "former": session.former,
            "own": [
                [key.base, key.service, key.name, content.decode() if whole else ""]
                for key, content in sorted(own.items(), key=lambda item: item[0].path)
            ],
        }
    ).encode()


def unpack(handover: bytes, servers: Sequence[Server]) -> tuple[Session, dict[Key, bytes]]:
    """The session and the own announcements of an earlier generation.

    If none of its servers is among ours, it is most likely another ensemble: its session means nothing here. Raises `ValueError`,
    `TypeError` or `KeyError` when it is not what `pack` gave.
    """
    data = json.loads(handover)
    if data["format"] != FORMAT:
        raise ValueError("another version left it")
    own = {_key(base, service, name): str(content).encode() for base, service, name, content in data["own"]}
    if not {str(server) for server in servers} & set(data["servers"]):
        return Session(), own
    session = Session(
        number=_whole(data["session"]),
        password=bytes.fromhex(data["password"]),
        zxid=_whole(data["zxid"]),
        since=float(data["since"]),
        former=[_whole(number) for number in data["former"]][-MAX_SESSIONS:],
    )
    return session, own


def _key(base: Any, service: Any, name: Any) -> Key:
    host, _, port = str(name).rpartition(":")
    try:
        return Key(checked(str(base)), valid_name(service), f"{valid_host(host)}:{valid_port(int(port))}")
    except NodeError as error:
        raise ValueError(str(error)) from None


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not -(2**63) <= value < 2**63:
        raise ValueError("a number of a session is none")
    return value
