"""Services: what this host provides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lighthouse.exact import same


@dataclass(frozen=True, slots=True)
class Service:
    """A service as plugins see it.

    ``host`` is where its checks connect; ``hostname`` and ``ip`` are what is announced to others.
    """

    name: str
    ports: tuple[int, ...]
    discovery: str = ""
    host: str = "127.0.0.1"
    metadata: Mapping[str, Any] = field(default_factory=dict)
    hostname: str = ""
    ip: str = ""

    def __eq__(self, other: object) -> bool:
        """As nodes are compared, which are made of services."""
        if not isinstance(other, Service):
            return NotImplemented
        mine = self.name, self.ports, self.discovery, self.host, self.hostname, self.ip
        theirs = other.name, other.ports, other.discovery, other.host, other.hostname, other.ip
        return mine == theirs and same(self.metadata, other.metadata)

    def __hash__(self) -> int:
        """By its name, which is enough."""
        return hash(self.name)
