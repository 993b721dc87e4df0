"""Nodes: the members of a cluster, and the record that announces one in a registry.

The record is that of lighthouse 1.0, so that both versions can share a registry: a JSON object in which ``metadata`` and ``peer``
are themselves JSON *texts*, keys sorted, separators ``", "`` and ``": "``. One key is added to it, for a moment, by who withdraws:
``"leaving": true``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lighthouse.errors import NodeError
from lighthouse.exact import equal_if_same
from lighthouse.identity import shown, valid_host, valid_ip, valid_port
from lighthouse.peer import Peer

_NOBODY = ("0.0.0.0", "::", "::ffff:0:0", "::ffff:0.0.0.0")  # noqa: S104  HAProxy takes them for the address that was asked for
LEAVING = "leaving"  # the key of a record
MAX_DEPTH = 16  # levels of metadata
MAX_VALUES = 500  # keys and values of metadata: in memory each takes up to thirty times what it takes in a record
_LEAST, _MOST, _LONGEST = -(2**63), 2**63 - 1, 20  # the whole numbers of 64 bits, and their characters
MAX_RECORD = 16 * 1024  # bytes; lighthouse 1.0 writes about 250


@equal_if_same("metadata")
@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One member: ``host`` and ``port`` name it, ``ip`` and ``port`` reach it. Equal ones make the same record.

    ``leaving`` is its own word that it goes on purpose: nobody is to use it any more, and its record is about to vanish.
    """

    host: str
    ip: str
    port: int
    metadata: Mapping[str, Any] = field(default_factory=dict)
    peer: Peer | None = None
    leaving: bool = False

    def __hash__(self) -> int:
        """By what names and reaches it, which is enough."""
        return hash((self.host, self.port, self.ip))

    @property
    def name(self) -> str:
        """``host:port``, unique within a cluster and legal as a server name in HAProxy."""
        return f"{self.host}:{self.port}"

    def serialize(self) -> str:
        """The registry record, as lighthouse 1.0 writes and reads it."""
        peer = self.peer or Peer(self.host, self.ip)
        record = {
            "host": self.host,
            "ip": self.ip,
            "metadata": json.dumps(dict(self.metadata), sort_keys=True),
            "peer": json.dumps(peer.to_mapping(), sort_keys=True),
            "port": self.port,
            **leaving_key(self),
        }
        return json.dumps(record, sort_keys=True)

    @classmethod
    def deserialize(cls, record: str | bytes) -> Node:
        """Read a registry record.

        Raises `NodeError` when it is too large, not JSON, or lacks a usable ``ip`` or ``port``; ``host`` falls back to ``ip``.
        """
        return cls.from_mapping(decode(record))

    @classmethod
    def from_mapping(cls, data: Any) -> Node:
        """Read a decoded record. Raises `NodeError`."""
        if not isinstance(data, dict):
            raise NodeError("record is not an object")
        ip = of_somebody(valid_ip(data.get("ip")))
        host = data.get("host")
        peer = _nested(data.get("peer"), "peer")
        metadata = _nested(data.get("metadata"), "metadata")
        if metadata is None:
            metadata = {}
        if not isinstance(metadata, dict):
            raise NodeError(f"metadata {shown(metadata)} is not an object")
        return cls(
            host=ip if host is None else valid_host(host),
            ip=ip,
            port=valid_port(data.get("port")),
            metadata=metadata and plain(metadata),
            peer=None if peer is None else Peer.from_mapping(peer),
            leaving=data.get(LEAVING) is True,
        )

    def to_mapping(self) -> dict[str, Any]:
        """Plain data for the wire between our own processes; `from_mapping` reads it back."""
        return {
            "host": self.host,
            "ip": self.ip,
            "port": self.port,
            "metadata": dict(self.metadata),
            "peer": self.peer.to_mapping() if self.peer else None,
            **leaving_key(self),
        }


def leaving_key(node: Node) -> dict[str, bool]:
    """What a record says besides if the node is leaving; lighthouse 1.0 and synapse read past it."""
    return {LEAVING: True} if node.leaving else {}


def of_somebody(ip: str) -> str:
    """An address in its canonical text, unless it is nobody's. Raises `NodeError`."""
    if ip in _NOBODY:
        raise NodeError(f"ip {shown(ip)} is no address of a host")
    return ip


def decode(record: str | bytes) -> Any:
    """The JSON of a registry record, of whatever format. Raises `NodeError` when it is too large or no JSON."""
    if len(record) > MAX_RECORD:
        raise NodeError(f"record of {len(record)} bytes is larger than {MAX_RECORD}")
    return _json(record, "record")


def plain(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """The metadata of a foreign record, if our own wire can say them. Raises `NodeError`."""
    if _check_plain(metadata, MAX_DEPTH) > MAX_VALUES:
        raise NodeError(f"metadata holds more than {MAX_VALUES} keys and values")
    return metadata


def _check_plain(value: Any, depth: int) -> int:
    """Count values; refuse what a plugin can say and our own wire cannot: huge numbers, lone surrogates, endless nesting."""
    if depth < 0:
        raise NodeError(f"metadata is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        return 1 + sum(_check_plain(key, depth) + _check_plain(inner, depth - 1) for key, inner in value.items())
    if isinstance(value, list):
        return 1 + sum(_check_plain(inner, depth - 1) for inner in value)
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise NodeError(f"metadata {shown(value)} is not text") from None
    elif isinstance(value, int) and not _LEAST <= value <= _MOST:
        raise NodeError("metadata holds a number of more than 64 bits")
    return 1


def _whole(text: str) -> int | str:
    """A whole number; one that our own wire cannot say is text, as in YAML, so that who needs a number refuses it by name."""
    if len(text) > _LONGEST or not _LEAST <= (value := int(text)) <= _MOST:
        return text
    return value


_DECODER = json.JSONDecoder(parse_int=_whole)  # made once: `json.loads` would make one for each record


def _nested(value: Any, what: str) -> Any:
    """Lighthouse 1.0 nests JSON texts; plain objects are accepted too."""
    return _json(value, what) if isinstance(value, str) else value


def _json(text: str | bytes, what: str) -> Any:
    try:
        decoded = text if isinstance(text, str) else text.decode(json.detect_encoding(text), "surrogatepass")
        return _DECODER.decode(decoded)
    except (ValueError, RecursionError) as error:
        raise NodeError(f"{what} is not JSON: {shown(str(error), 80)}") from None
