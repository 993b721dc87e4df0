"""The record of SmartStack's nerve, which synapse reads: JSON with ``host``, ``port``, ``name``, ``weight`` and ``labels``.

``host`` is an address or a name, ``name`` is what the instance calls itself, the last two may be absent. As a node, ``weight`` and
``labels`` are keys of its metadata.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lighthouse.errors import NodeError
from lighthouse.exact import equal_if_same
from lighthouse.identity import shown, valid_host, valid_ip, valid_port
from lighthouse.node import LEAVING, Node, leaving_key, of_somebody, plain

MAX_WEIGHT = 2**31


@equal_if_same("metadata")
@dataclass(frozen=True, slots=True, eq=False)
class NamedHost:
    """A member whose record gives the name of its host: it becomes a node once somebody has looked its address up."""

    host: str
    port: int
    metadata: Mapping[str, Any] = field(default_factory=dict)
    leaving: bool = False

    def __hash__(self) -> int:
        """By what names it, which is enough."""
        return hash((self.host, self.port))

    def at(self, ip: str) -> Node:
        """The node, at the address that was looked up. Raises `NodeError` where a record could not give it either."""
        return Node(self.host, of_somebody(valid_ip(ip)), self.port, self.metadata, leaving=self.leaving)


def speaks(data: Any) -> bool:
    """Whether a decoded record is nerve's: a record of lighthouse always has ``ip``."""
    return isinstance(data, dict) and "host" in data and "ip" not in data


def serialize(node: Node) -> str:
    """The record of a node. Of its metadata only ``weight``, a whole number, and ``labels``, a mapping, have a place in it."""
    record: dict[str, Any] = {"host": node.ip, "name": node.host, "port": node.port, **leaving_key(node)}
    weight, labels = node.metadata.get("weight"), node.metadata.get("labels")
    if _is_weight(weight):
        record["weight"] = weight
    if isinstance(labels, Mapping) and labels:
        record["labels"] = {str(key): str(value) for key, value in labels.items()}
    return json.dumps(record, sort_keys=True)


def read(data: Mapping[str, Any]) -> Node | NamedHost:
    """A decoded record. Raises `NodeError`.

    The node is called after ``host`` and not after ``name``, which nothing keeps from being the same on two hosts.
    """
    host = valid_host(data.get("host"))
    port = data.get("port")
    if isinstance(port, str) and port.isascii() and port.isdigit() and len(port) <= 5:
        port = int(port)
    named = NamedHost(host, valid_port(port), _metadata(data), data.get(LEAVING) is True)
    try:
        ip = valid_ip(host)
    except NodeError:
        return named
    return named.at(ip)


def _metadata(data: Mapping[str, Any]) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    weight, labels = data.get("weight"), data.get("labels")
    if weight is not None:
        if not _is_weight(weight):
            raise NodeError(f"weight {shown(weight)} is not a whole number from 0")
        metadata["weight"] = weight
    if labels is not None:
        if not isinstance(labels, dict):
            raise NodeError(f"labels {shown(labels)} are not an object")
        metadata["labels"] = labels
    plain(metadata)
    return metadata


def _is_weight(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_WEIGHT
