"""What one balancer remembers of its last reconciliation, so that the next change costs what has changed and no more."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lighthouse.cluster import Cluster
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.outcome import Outcome

VERIFY = 10.0  # seconds after which everything is compared again, however little has changed


@dataclass(frozen=True, slots=True)
class Known:
    """The clusters of a reconciliation that went well, its outcome, and when everything is to be compared again."""

    clusters: Sequence[Cluster]
    outcome: Outcome
    due: float


class Memory:
    """Holds nothing until a whole reconciliation has gone well, and again after anything unexpected.

    ``judged`` is the configuration that ``haproxy -c`` has accepted last, ``ran`` the one that HAProxy was last seen to run: it is
    what is left of that when the file is lost.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.known: Known | None = None
        self.judged: Document | None = None
        self.ran: Document | None = None
        self._clock = clock

    def verified(self, clusters: Sequence[Cluster], outcome: Outcome) -> None:
        """Everything was compared just now."""
        runs = outcome.running.skeleton == outcome.document.skeleton
        self.known = None
        if runs:
            self.ran = outcome.document
        if runs and outcome.account.is_calm and outcome.running.pid:
            seconds = VERIFY if outcome.account.due is None else min(VERIFY, outcome.account.due)
            self.known = Known(tuple(clusters), outcome, self._clock() + seconds)

    def changed(self, clusters: Sequence[Cluster], outcome: Outcome) -> None:
        """What changed was brought to HAProxy; the rest is as it was known."""
        if self.known is not None:
            self.known = Known(tuple(clusters), outcome, self.known.due)
            self.ran = outcome.document

    def forget(self) -> None:
        """Compare everything next time."""
        self.known = None

    @property
    def is_due(self) -> bool:
        """Whether it is time to compare everything."""
        return self.due_in <= 0

    @property
    def due_in(self) -> float:
        """Seconds until then."""
        return 0.0 if self.known is None else self.known.due - self._clock()
