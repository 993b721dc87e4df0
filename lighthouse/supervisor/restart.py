"""When a worker that died is started again: a pure policy.

The first time at once, because a replacement from the kept state costs milliseconds. After that with exponential, jittered, capped
delays; a stable life clears the record. Many deaths within a window mean that it is failing: one try per long delay from then on,
and never an end to trying, because most causes lie outside and go away.

A worker that ends by itself in good order (exit code 0) wants a fresh process, e.g. for another plugin. That is no death and costs
no delay, unless it happens again and again: then it is treated as one, so that no worker spins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from lighthouse.settings import Restart

RENEWALS = 3  # orderly ends within `restart.stable` that are no deaths


@dataclass(frozen=True, slots=True)
class History:
    """The deaths of one worker that still count.

    ``streak`` is the length of the run of short lives, ``deaths`` their times within the window, and ``failing`` stays set from the
    burst that caused it until a stable life. ``renewals`` are the times of the orderly ends that were no deaths.
    """

    streak: int = 0
    deaths: tuple[float, ...] = ()
    failing: bool = False
    renewals: tuple[float, ...] = ()

    def after_renewal(self, now: float, rules: Restart) -> History | None:
        """The history once it has ended in good order, which says nothing of its deaths; None when it does so too often."""
        recent = tuple(when for when in self.renewals if now - when < rules.stable)
        return None if len(recent) >= RENEWALS else replace(self, renewals=(*recent, now))

    def after_death(self, now: float, uptime: float, rules: Restart) -> History:
        """The history once one more life of `uptime` seconds has ended."""
        if uptime >= rules.stable:
            return History(1, (now,), renewals=self.renewals)
        recent = (*(when for when in self.deaths if now - when < rules.window), now)[-rules.burst :]
        return History(self.streak + 1, recent, self.failing or len(recent) >= rules.burst, self.renewals)

    def delay(self, rules: Restart, jitter: Callable[[float, float], float]) -> float:
        """How long to wait (seconds) before the next start. `jitter(low, high)` draws a number, e.g. `random.uniform`."""
        if self.failing:
            return rules.failing * jitter(0.8, 1.2)
        if self.streak <= 1:
            return 0.0
        # The exponent is capped before the power is taken: a long streak must not overflow a float.
        return jitter(0.5, 1.0) * min(rules.cap, rules.base * 2.0 ** min(self.streak - 2, 40))
