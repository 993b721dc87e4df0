"""How fast this host may change what is announced: a token bucket, so that a mass flap does not hammer the registry. Pure.

Every change of one port costs a token: an announcement made, changed or withdrawn. What takes a member away comes first, because a
client that still sees it would be sent to a server that is down; then what brings one, in the order of the configuration. A port
that has to wait stays as it is in the registry.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lighthouse.discovery import Announcement, Wanted

Key = tuple[str, int]


@dataclass(slots=True)
class Registration:
    """The bucket, and what was last let through. Times are CLOCK_MONOTONIC seconds; ``rate`` is per second."""

    rate: float = 10.0
    burst: int = 100
    waiting: int = 0
    delayed: int = 0
    _tokens: float = 0.0
    _at: float | None = None
    _known: dict[Key, Announcement] = field(default_factory=dict)

    def admitted(self, wanted: Sequence[Announcement], now: float) -> list[Announcement]:
        """As much of `wanted` as there are tokens for, and for the rest what stands. Nothing is spent until `spend`."""
        target = {key_of(item): item for item in wanted}
        changed = [key for key in {**self._known, **target} if self._costs(key, target.get(key))]
        changed.sort(key=lambda key: _brings(target.get(key)))
        late = set(changed[int(self._filled(now)) :])
        for key in late:
            self._hold(key, target)
        return list(target.values())

    def spend(
        self, admitted: Sequence[Announcement], wanted: Sequence[Announcement], now: float, failed: Collection[Key] = ()
    ) -> None:
        """`admitted` has been announced, but for `failed`; ``waiting`` tells how many ports of `wanted` are still to come."""
        target = made(admitted, self._known, failed)
        changes = sum(self._costs(key, target.get(key)) for key in {**self._known, **target})
        self._tokens, self._at = max(0.0, self._filled(now) - changes), now
        self._known = target
        goal = {key_of(item): item for item in wanted}
        before, self.waiting = self.waiting, sum(self._costs(key, goal.get(key)) for key in {**target, **goal})
        self.delayed += max(0, self.waiting - before)

    def next(self, now: float) -> float | None:
        """When the next of those that wait may go; None if none does."""
        return now + max(0.0, 1.0 - self._filled(now)) / self.rate if self.waiting else None

    def _filled(self, now: float) -> float:
        if self._at is None:
            return float(self.burst)
        return min(float(self.burst), self._tokens + (now - self._at) * self.rate)

    def _costs(self, key: Key, item: Announcement | None) -> bool:
        """Whether this changes what is in the registry. To hold does not, nor does to withdraw what was never announced."""
        known = self._known.get(key)
        if item is None or item.wanted.goes:
            return known is not None and not known.wanted.goes
        return item.wanted is Wanted.UP and item != known

    def _hold(self, key: Key, target: dict[Key, Announcement]) -> None:
        """Leave a port as it is for now."""
        known = self._known.get(key)
        if known is not None:
            target[key] = known
        else:
            target[key] = replace(target[key], wanted=Wanted.HOLD)


def key_of(item: Announcement) -> Key:
    """By what an announcement is told apart from others of this host."""
    return item.service.name, item.port


def made(
    items: Sequence[Announcement], known: Mapping[Key, Announcement], failed: Collection[Key]
) -> dict[Key, Announcement]:
    """What stands once `items` were announced, but for `failed`, which are as they are `known`."""
    return {key_of(item): item for item in items if key_of(item) not in failed} | {
        key: item for key, item in known.items() if key in failed
    }


def _brings(item: Announcement | None) -> bool:
    return item is not None and item.wanted is Wanted.UP
