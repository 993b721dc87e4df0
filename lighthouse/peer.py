"""Peers: the load balancers that run on the machines of a cluster's nodes."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any

from lighthouse.errors import NodeError
from lighthouse.identity import valid_host, valid_ip, valid_port

DEFAULT_PORT = 1024  # the port of lighthouse 1.0, kept for fleets that run both


@dataclass(frozen=True, slots=True)
class Peer:
    """A load balancer that shares its stick tables: ``name`` (host name), ``ip`` and ``port``."""

    name: str
    ip: str
    port: int = DEFAULT_PORT

    @classmethod
    def current(cls, hostname: str | None = None, ip: str | None = None) -> Peer:
        """The peer of this machine. Resolves names where none are given, so it may block."""
        name = hostname or socket.getfqdn()
        return cls(name, ip or socket.gethostbyname(name))

    @classmethod
    def from_mapping(cls, data: Any) -> Peer:
        """Read a decoded record. Raises `NodeError` when a part is missing or of the wrong kind."""
        if not isinstance(data, dict):
            raise NodeError("peer is not an object")
        return cls(valid_host(data.get("name")), valid_ip(data.get("ip")), valid_port(data.get("port", DEFAULT_PORT)))

    def to_mapping(self) -> dict[str, Any]:
        """Plain data, with the keys of lighthouse 1.0."""
        return {"ip": self.ip, "name": self.name, "port": self.port}
