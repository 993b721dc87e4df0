"""What a discovery that stops still waits for before it parts from its registry. Pure.

Only a stop that withdraws waits for what failed, and for the own address: what else is wanted, the next generation announces.
"""

from __future__ import annotations

from enum import Enum

RESERVE = 0.5  # seconds that are kept at the end for the parting itself, before this process is killed


class Then(Enum):
    """What comes next: wait, or until the own address is known; wait; let go at once of those that say that they leave; part."""

    LOOK = "look"
    WAIT = "wait"
    HURRY = "hurry"
    PART = "part"


def last_moment(now: float, until: float) -> float:
    """When to part at the latest, if this process is killed at `until`."""
    return until - min(RESERVE, (until - now) / 2)


def then(now: float, last: float, *, looking: bool, turn: float | None, again: float | None) -> tuple[Then, float]:
    """What comes next, and until when that is waited for.

    `looking`: the own address is not known yet. `turn` is when the next of those that say that they leave is to be gone, `again`
    when what failed may be tried again.
    """
    times = [when for when in (turn, again) if when is not None]
    if looking and now < last:
        return Then.LOOK, last
    if times and now < last:
        return Then.WAIT, min(*times, last)
    return (Then.PART if turn is None else Then.HURRY), now
