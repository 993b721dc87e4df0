"""Which announcement files are alive: pure rules, time injected.

An owner touches its file every third of ``ttl``. Clocks of hosts differ and are stepped, so a reader hardly trusts them:

* At first sight a file is as old as the wall clock says; there is nothing else to go by.
* From then on it is alive as long as its mark changed within the last ``ttl`` of the reader's own monotonic clock.
* A reader that did not look for longer than planned cannot tell a silent owner from its own absence: what was alive when it looked
  last gets a new ``ttl``.
* A dead file may be removed once this reader itself has watched it for a whole ``ttl`` without a change, whatever its age says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Pace:
    """``ttl``: seconds that an untouched file stays alive. ``period``: seconds between two planned readings."""

    ttl: float
    period: float


@dataclass(frozen=True, slots=True)
class Mark:
    """What changes whenever an owner touches or rewrites its file."""

    mtime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a reader knows of one file, in seconds of its monotonic clock.

    ``alive`` is the last sign of life, ``watched`` the time since when the mark has been seen unchanged.
    """

    mark: Mark
    alive: float
    watched: float

    def fresh(self, now: float, pace: Pace) -> bool:
        """Whether the file counts."""
        return now - self.alive <= pace.ttl

    def abandoned(self, now: float, pace: Pace) -> bool:
        """Whether the file may be removed."""
        return not self.fresh(now, pace) and now - self.watched > pace.ttl


def sighted(before: Sighting | None, mark: Mark, now: float, wall: float, pace: Pace) -> Sighting:
    """What is known once the file has been seen with `mark`; `wall` is the wall clock, in seconds like the file's time."""
    if before is None:
        age = min(max(0.0, wall - mark.mtime_ns / 1e9), 2 * pace.ttl)  # bounded, so that `now` keeps its precision
        return Sighting(mark, now - age, now)
    return before if before.mark == mark else Sighting(mark, now, now)


def stalled(last: float, now: float, pace: Pace) -> bool:
    """Whether the reader looked later than it planned by more than half a ``ttl``."""
    return now - last > pace.period + pace.ttl / 2


def pardoned(before: Sighting, last: float, now: float, pace: Pace) -> Sighting:
    """What is known of a file once the reader was away since `last`: what was alive then is alive, and nothing is abandoned."""
    return replace(before, alive=now if before.fresh(last, pace) else before.alive, watched=now)
