"""The state of a service's port: what its checks say, what the operator wants, and whether anybody checks at all. Pure.

========  ========  ========  ===========  =========
will      checker   verdict   state        announced
========  ========  ========  ===========  =========
serve     at work   up        up           up
serve     at work   down      down         down
serve     at work   unknown   starting     hold
serve     away      up        up           up
serve     away      down      down         down
serve     away      unknown   starting     hold
serve     lost      up        unknown      up
serve     lost      down      unknown      down
serve     lost      unknown   unknown      hold
maintain  any       any       maintenance  withdrawn
drain     any       any       draining     withdrawn
========  ========  ========  ===========  =========

The operator's will beats every verdict, and ends without a trace: the checks go on meanwhile, so the port is at once what they say.
While a checker is away its last verdict counts; when it has been away for too long the port is shown as unknown, and what is
announced does not change by that: unknown changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from itertools import product
from typing import Any

from lighthouse.health import State

MAX_REASON = 200  # characters


class Will(Enum):
    """What the operator wants of a service."""

    SERVE = "serve"
    MAINTENANCE = "maintenance"
    DRAIN = "drain"


class Checker(Enum):
    """Whether somebody checks: yes; not right now; not for longer than the states may be held."""

    AT_WORK = "at work"
    AWAY = "away"
    LOST = "lost"


class PortState(Enum):
    """The state of a port as it is shown."""

    STARTING = "starting"
    UP = "up"
    DOWN = "down"
    MAINTENANCE = "maintenance"
    DRAINING = "draining"
    UNKNOWN = "unknown"


class Announced(Enum):
    """What the discovery is told of a port. WITHDRAWN is DOWN by an operator's will, so that its report can tell the two apart."""

    UP = "up"
    DOWN = "down"
    HOLD = "hold"
    WITHDRAWN = "withdrawn"


_VERDICT = {State.UP: Announced.UP, State.DOWN: Announced.DOWN, State.UNKNOWN: Announced.HOLD}
_SHOWN = {State.UP: PortState.UP, State.DOWN: PortState.DOWN, State.UNKNOWN: PortState.STARTING}
_WILL = {Will.MAINTENANCE: PortState.MAINTENANCE, Will.DRAIN: PortState.DRAINING}

TABLE: dict[tuple[Will, Checker, State], tuple[PortState, Announced]] = {
    **{(Will.SERVE, checker, state): (_SHOWN[state], _VERDICT[state]) for checker, state in product(Checker, State)},
    **{(Will.SERVE, Checker.LOST, state): (PortState.UNKNOWN, _VERDICT[state]) for state in State},
    **{(will, *rest): (_WILL[will], Announced.WITHDRAWN) for will in _WILL for rest in product(Checker, State)},
}
"""The table above, whole."""


@dataclass(frozen=True, slots=True)
class Order:
    """An operator's order that a service must not serve.

    ``since`` and ``until`` are unix times (None: no end), ``uid`` who gave it by the kernel's word; with ``boot``, the id of a
    boot of this host, it ends with that boot.
    """

    since: float
    uid: int
    reason: str = ""
    until: float | None = None
    boot: str | None = None

    def over(self, wall: float, boot: str) -> bool:
        """Whether it has ended by itself."""
        return (self.until is not None and wall >= self.until) or self.boot not in (None, boot)

    def to_mapping(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "since": self.since,
            "uid": self.uid,
            "reason": self.reason,
            "until": self.until,
            "boot": self.boot,
        }

    @classmethod
    def from_mapping(cls, data: Any) -> Order:
        """Read what `to_mapping` gave. Raises `KeyError`, `TypeError` or `ValueError`."""
        until, boot = data["until"], data["boot"]
        return cls(
            float(data["since"]),
            int(data["uid"]),
            str(data["reason"])[:MAX_REASON],
            None if until is None else float(until),
            None if boot is None else str(boot),
        )
