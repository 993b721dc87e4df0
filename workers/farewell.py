"""Saying that a port goes before it goes. Pure; times are CLOCK_MONOTONIC seconds.

Consumers hold back the loss of many members at once, because a registry may be wrong. What is withdrawn on purpose is no loss: by
an operator's order, at a stop that withdraws, or because it was taken out of the configuration. So its record first says for a
moment that it is leaving (`lighthouse.discovery.Wanted`), and is gone after that. A port whose checks fail gets no such word: if
that happens to most of a cluster at once, the checks may be what is wrong.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from lighthouse.discovery import Announcement, Wanted
from lighthouse.workers.announcing import NO_ADDRESS
from lighthouse.workers.registration import Key, key_of, made


@dataclass(slots=True)
class Farewell:
    """What was announced last, and since when the records of those that go by will have said so; ``lasts`` seconds, 0 for never."""

    lasts: float = 1.0
    _known: dict[Key, Announcement] = field(default_factory=dict)
    _since: dict[Key, float] = field(default_factory=dict)

    def phased(self, wanted: Sequence[Announcement], now: float) -> list[Announcement]:
        """What is to be announced now for this to come about."""
        here = {key_of(item) for item in wanted}
        known = [item for key, item in self._known.items() if key not in here and item.node.ip != NO_ADDRESS]
        gone = [_leaving(item) for item in known if item.wanted is not Wanted.DOWN]
        lasting = [item for item in gone if not self._is_over(item, now)]
        return [item.settled() if self._is_over(item, now) else item for item in wanted] + lasting

    def done(
        self,
        announced: Sequence[Announcement],
        wanted: Sequence[Announcement],
        now: float,
        failed: Collection[Key] = (),
    ) -> None:
        """`announced` was what `phased` gave for `wanted`; all but the `failed` ones have been."""
        going = {key_of(item) for item in (*announced, *wanted) if item.wanted is Wanted.LEAVING}.difference(failed)
        self._known = made(announced, self._known, failed)
        going |= {key for key in failed if key in self._since}
        self._since = {key: self._since.get(key, now) for key in going}

    def next(self, now: float) -> float | None:
        """When the next of those that are leaving is to be gone; None if none is."""
        times = [
            self._since[key] + self.lasts
            for key, item in self._known.items()
            if item.wanted is Wanted.LEAVING and not self._is_over(item, now)
        ]
        return min(times, default=None)

    def _is_over(self, item: Announcement, now: float) -> bool:
        since = self._since.get(key_of(item), now)
        return item.wanted is Wanted.LEAVING and now - since >= self.lasts


def _leaving(item: Announcement) -> Announcement:
    return replace(item, wanted=Wanted.LEAVING, node=replace(item.node, leaving=True))
