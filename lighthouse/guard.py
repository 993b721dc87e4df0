"""The mass-loss guard: how much of a cluster a registry may take away at once. A pure state machine; time is injected.

::

              more than the share vanished within the window
    GUARDING ───────────────────────────────────────────────▶ HOLDING
        ▲     all are back · accepted · confirmed for `hold`     │
        │     · no mass loss any more for `window`               │
        └────────────────────────────────────────────────────────┘

* Whoever joins is told at once, in either state.
* Whoever says itself that it is leaving is let go at once, in either state: that is no loss, and counts for none.
* While guarding, whoever vanishes is let go at once, as long as it is no mass loss together with those let go before.
* A mass loss: at least `minimum` have vanished within `window`, and these are more than `share` of all that were there within it,
  newcomers included. So a fleet that is replaced by as many others is none, and losses one by one add up to one.
* While holding, nobody is let go. Each missing member has a time since which the registry has been saying so without a doubt; after
  `hold` it is let go. A doubt (an incomplete answer, or none) makes that time begin anew.
* What was confirmed, by time or by a person, no longer counts: the members that are left are the new measure.

There is no rule for gaps between answers: a worker that stands still is replaced, and its next generation begins the times anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from lighthouse.settings import MassLoss as Rules


@dataclass(frozen=True, slots=True)
class Hold:
    """The missing members that are held, each with the time since which that is told without a doubt (None: in doubt).

    ``since`` is when the hold began, ``calm`` since when it has been no mass loss any more.
    """

    missing: Mapping[str, float | None]
    since: float
    calm: float | None = None

    def until(self, rules: Rules) -> float | None:
        """When the last of them is let go if nothing changes; None while in doubt."""
        times = list(self.missing.values())
        known = [when for when in times if when is not None]
        return max(known) + rules.hold if known and len(known) == len(times) else None


@dataclass(frozen=True, slots=True)
class Guard:
    """What is told of a cluster, by the names of members: ``told`` includes the held ones. ``left`` is whom it let go, and when."""

    told: frozenset[str] = frozenset()
    left: Mapping[str, float] = field(default_factory=dict)
    hold: Hold | None = None

    @property
    def held(self) -> frozenset[str]:
        """The members that are told although the registry has them no more."""
        return frozenset(self.hold.missing) if self.hold else frozenset()

    def answered(self, names: Iterable[str], now: float, rules: Rules | None, leaving: Collection[str] = ()) -> Guard:
        """The registry gave a complete answer: these are there, and these others say that they are `leaving`.

        Without `rules` it is believed as it stands.
        """
        answer = frozenset(names)
        if rules is None:
            return Guard(answer)
        if not self.told.isdisjoint(leaving):
            return self._without(leaving).answered(answer, now, rules)
        left = {name: when for name, when in self.left.items() if name not in answer and now - when < rules.window}
        missing = self.told - answer
        told = self.told | answer
        if not missing:
            return Guard(told, left)
        before = self.hold.missing if self.hold else {}
        times = {name: now if (when := before.get(name)) is None else when for name in missing}
        if self.hold:
            return Guard(told, left, replace(self.hold, missing=times)).passed(now, rules)
        if _mass(len(left) + len(missing), len(told) + len(left), rules):
            return Guard(told, left, Hold(times, now))
        return Guard(answer, left | dict.fromkeys(missing, now))

    def _without(self, leaving: Collection[str]) -> Guard:
        missing = {name: when for name, when in self.hold.missing.items() if name not in leaving} if self.hold else {}
        return Guard(
            self.told.difference(leaving),
            self.left,
            replace(self.hold, missing=missing) if self.hold and missing else None,
        )

    def confirmed(self, now: float, rules: Rules | None) -> Guard:
        """The registry still says what it last said, in a complete answer."""
        if self.hold is None:
            return self
        if rules is None:
            return self.released()
        times = {name: now if when is None else when for name, when in self.hold.missing.items()}
        return replace(self, hold=replace(self.hold, missing=times)).passed(now, rules)

    def doubted(self) -> Guard:
        """The registry's last answer was not complete, or there was none."""
        if self.hold is None:
            return self
        return replace(self, hold=replace(self.hold, missing=dict.fromkeys(self.hold.missing), calm=None))

    def accepted(self, at: float) -> Guard:
        """A person confirmed, at the time `at`, what was held by then."""
        return self.released() if self.hold and self.hold.since <= at else self

    def released(self) -> Guard:
        """Let go of all that is held."""
        return Guard(self.told - self.held)

    def passed(self, now: float, rules: Rules) -> Guard:
        """Let go of whom time has confirmed."""
        if self.hold is None:
            return self
        ripe = {name for name, when in self.hold.missing.items() if when is not None and now - when >= rules.hold}
        if ripe:
            rest = {name: when for name, when in self.hold.missing.items() if name not in ripe}
            return Guard(self.told - ripe, {}, replace(self.hold, missing=rest) if rest else None)
        left = {name: when for name, when in self.left.items() if now - when < rules.window}
        if _mass(len(left) + len(self.held), len(self.told) + len(left), rules):
            return replace(self, left=left, hold=replace(self.hold, calm=None))
        calm = now if self.hold.calm is None else self.hold.calm
        if now - calm >= rules.window:
            return Guard(self.told - self.held, left | dict.fromkeys(self.held, now))
        return replace(self, left=left, hold=replace(self.hold, calm=calm))


def _mass(lost: int, present: int, rules: Rules) -> bool:
    return lost >= rules.minimum and lost > rules.share * present
