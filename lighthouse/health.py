"""From single check results to "up" or "down": the rules of rise and fall, as a value and pure functions.

A check *passes* once its last ``rise`` results were all good and *fails* once its last ``fall`` results were all bad; in between it
keeps its verdict. Before the first verdict it is unknown, and unknown changes nothing.
A port is up when all of its checks pass, down when one fails, and unknown otherwise; without any check it is up.

A port that *flaps*, by rules that a service may have, is held down until its checks have agreed with themselves for a while: to the
hosts that use it, a member that comes and goes is worse than one that is away.
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


@dataclass(frozen=True, slots=True)
class FlapRules:
    """So many ``changes`` of a port's verdict within ``window`` seconds hold it down, until there was none for ``calm`` seconds."""

    changes: int
    window: float
    calm: float


@dataclass(frozen=True, slots=True)
class Flap:
    """What is known of a port's flapping: the last verdict of its checks, the times of its last changes, and whether it is held."""

    verdict: State = State.UNKNOWN
    changes: tuple[float, ...] = ()
    held: bool = False

    def after(self, verdict: State, now: float, rules: FlapRules | None) -> Flap:
        """The flap once the checks say `verdict`; `now` must not go back. Without rules nothing is counted and nothing held."""
        if verdict is State.UNKNOWN:
            verdict = self.verdict
        if rules is None:
            return Flap(verdict)
        changes = self.changes
        if verdict is not self.verdict is not State.UNKNOWN:
            changes = (*changes, now)[-rules.changes :]
        if self.held and not (changes and now - changes[-1] < rules.calm):
            return Flap(verdict)
        return Flap(verdict, changes, self.held or recent(changes, now, rules.window) >= rules.changes)

    @property
    def state(self) -> State:
        """The port's state."""
        return State.DOWN if self.held else self.verdict


def recent(changes: Iterable[float], now: float, window: float) -> int:
    """How many changes lie within the window that ends now."""
    return sum(now - when < window for when in changes)
