"""Services: what this host provides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lighthouse.exact import equal_if_same


@equal_if_same("metadata")
@dataclass(frozen=True, slots=True, eq=False)
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

    def __hash__(self) -> int:
        """By its name, which is enough."""
        return hash(self.name)
