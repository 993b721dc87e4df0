"""What every benchmark gives back, and the little arithmetic on it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """How long to measure: ``quick`` shortens everything, ``seconds`` is the length of the longest footprint window."""

    quick: bool = False
    seconds: float | None = None

    def pick(self, whole: int, quick: int) -> int:
        """A number of repetitions."""
        return quick if self.quick else whole


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    ``floor`` is the median of ``against``, measured in the same run and unit; ``target`` is what the median should stay below, and
    ``most`` how many times the floor it may be.
    """

    figure: str
    unit: str
    median: float
    p99: float
    count: int
    against: str = ""
    floor: float | None = None
    target: float | None = None
    most: float | None = None

    @property
    def ratio(self) -> float | None:
        """How many times the floor or the peer."""
        return self.median / self.floor if self.floor else None

    @property
    def verdict(self) -> str:
        """Whether the target is met; nothing where there is none."""
        if self.target is None and self.most is None:
            return ""
        late = self.target is not None and self.median >= self.target
        dear = self.most is not None and self.ratio is not None and self.ratio > self.most
        return "MISSED" if late or dear else "met"


def row(
    figure: str,
    unit: str,
    samples: Sequence[float],
    *,
    against: str = "",
    floor: Sequence[float] | float | None = None,
    target: float | None = None,
    most: float | None = None,
) -> Row:
    """The row of some samples; `floor` may be samples too."""
    base = statistics.median(floor) if isinstance(floor, Sequence) else floor
    return Row(
        figure, unit, statistics.median(samples), percentile(samples, 99), len(samples), against, base, target, most
    )


def percentile(samples: Sequence[float], percent: float) -> float:
    """The smallest sample that at least `percent` % of all do not exceed, so with few samples p99 is their worst."""
    ordered = sorted(samples)
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(0, int(rank) - 1)]
