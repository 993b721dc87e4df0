"""When a check runs, and whether the checker was punctual enough for its result to count: pure functions, times in seconds.

A check runs in *slots*: every ``interval`` seconds from an anchor on, so nothing adds up to a drift. Missed slots are skipped.

A checker that is *starved* (its process was stopped, its machine suspended, its host overloaded) finds its timeouts over
although the service had no time to answer. So a result for which the checker itself was late counts for nothing, neither for the
service nor against it: states stand still until the checker is punctual again.
"""

from __future__ import annotations

from math import floor

LEAST_TOLERANCE = 0.1  # seconds; an ordinary busy machine is late by less
BLUR = 1e-6  # of an interval
SHARE = 4  # a quarter of the timeout may be lost, the rest is still a fair trial


def first_slots(now: float, interval: float, known: bool, draw: float) -> tuple[float, float]:
    """The time of the first run, and the anchor of the slots after it; `draw` is random, from 0 to 1.

    A check with a known state waits for a slot within the first interval. Where nothing is known yet it runs at once, since waiting
    would only delay the service; its slots are spread all the same, so that the checks of a host do not keep step for ever.
    """
    if known:
        return now + draw * interval, now + draw * interval
    return now, now - draw * interval / 2


def next_slot(anchor: float, interval: float, now: float) -> float:
    """The first slot after `now`; one that is due at this very moment, as far as a float can tell, is taken."""
    return anchor + (floor((now - anchor) / interval + BLUR) + 1) * interval


def tolerance(timeout: float) -> float:
    """How late the checker may be while it runs a check of this timeout."""
    return max(LEAST_TOLERANCE, timeout / SHARE)


def starved(lag: float, timeout: float) -> bool:
    """Whether a result counts for nothing; `lag` is the most that the checker was late for it, from its slot to its end."""
    return lag > tolerance(timeout)
