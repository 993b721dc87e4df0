"""Services: what this host provides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Service:
    """A service as plugins see it.

    ``host`` is where its checks connect; ``hostname`` and ``ip`` are what is announced to others.
    """

    name: str
    ports: tuple[int, ...]
    discovery: str = ""
    host: str = "127.0.0.1"
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)
    hostname: str = ""
    ip: str = ""
