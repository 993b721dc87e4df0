"""How late the loop is."""

from __future__ import annotations


class Lag:
    """The worst delay of the loop over the last minute or two (seconds)."""

    def __init__(self) -> None:
        self._minute = 0
        self._worst = self._before = 0.0

    def note(self, late: float, now: float) -> None:
        """Take one turn's delay into account."""
        minute = int(now // 60)
        if minute != self._minute:
            self._before = self._worst if minute == self._minute + 1 else 0.0
            self._minute, self._worst = minute, 0.0
        self._worst = max(self._worst, late)

    def worst(self, now: float) -> float:
        """The worst that is not older than two minutes."""
        self.note(0.0, now)
        return max(self._worst, self._before)
