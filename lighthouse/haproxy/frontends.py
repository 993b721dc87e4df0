"""What HAProxy says about the sections that listen, parsed. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from lighthouse.haproxy.stat import rows_of

PAUSED = "PAUSED"  # by ``disable frontend``
STOPPED = "STOP"  # by ``shutdown frontend``, which nothing but a reload takes back


@dataclass(frozen=True, slots=True)
class Frontend:
    """A section that listens, as it runs: ``state`` in HAProxy's words, and the most connections that it has at a time."""

    state: str
    limit: int


def parse_frontends(text: str) -> dict[str, Frontend]:
    """``show stat -1 1 -1``. Raises `BalancerError` if it is not of that format."""
    return dict(
        rows_of(text, ("pxname", "status", "slim"), lambda name, state, limit: (name, Frontend(state, int(limit or 0))))
    )
