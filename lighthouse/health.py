"""From single check results to "up" or "down": the rules of rise and fall, as a value and pure functions.

A check *passes* once its last ``rise`` results were all good and *fails* once its last ``fall`` results were all bad; in between it
keeps its verdict. Before the first verdict it is unknown, and unknown changes nothing.
A port is up when all of its checks pass, down when one fails, and unknown otherwise; without any check it is up.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """The state of a check or of a service's port."""

    UP = "up"
    DOWN = "down"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Health:
    """The verdict on one check and the run of equal results that leads to it: ``streak`` > 0 counts good ones, < 0 bad ones."""

    state: State = State.UNKNOWN
    streak: int = 0

    def after(self, passed: bool, rise: int, fall: int) -> Health:
        """The health once one more result is in."""
        limit = max(rise, fall)
        streak = min(max(self.streak, 0) + 1, limit) if passed else max(min(self.streak, 0) - 1, -limit)
        if streak >= rise:
            return Health(State.UP, streak)
        if streak <= -fall:
            return Health(State.DOWN, streak)
        return Health(self.state, streak)


def combined(states: Iterable[State]) -> State:
    """The state of a port from those of its checks."""
    seen = set(states)
    if State.DOWN in seen:
        return State.DOWN
    return State.UNKNOWN if State.UNKNOWN in seen else State.UP
