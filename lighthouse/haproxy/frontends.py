"""What HAProxy says about the sections that listen, parsed. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from lighthouse.errors import BalancerError

PAUSED = "PAUSED"  # by ``disable frontend``
STOPPED = "STOP"  # by ``shutdown frontend``, which nothing but a reload takes back


@dataclass(frozen=True, slots=True)
class Frontend:
    """A section that listens, as it runs: ``state`` in HAProxy's words, and the most connections that it has at a time."""

    state: str
    limit: int


def parse_frontends(text: str) -> dict[str, Frontend]:
    """``show stat -1 1 -1``. Raises `BalancerError` if it is not of that format."""
    lines = text.split("\n")
    column = {name: index for index, name in enumerate(lines[0].removeprefix("# ").split(","))}
    try:
        order = [column[name] for name in ("pxname", "status", "slim")]
        rows = ([line.split(",")[index] for index in order] for line in lines[1:] if line)
        return {name: Frontend(state, int(limit or 0)) for name, state, limit in rows}
    except (KeyError, ValueError, IndexError) as error:
        raise BalancerError(f"HAProxy's answer to `show stat` cannot be read: {error!r}") from None
