"""A search for what HAProxy refuses that may take longer than one reconciliation: it goes on with the next one."""

from __future__ import annotations

import time
from collections.abc import Callable

from lighthouse.errors import BalancerError
from lighthouse.haproxy.deadline import Deadline
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.errors import LateError, RejectedError
from lighthouse.haproxy.quarantine import Verdict
from lighthouse.haproxy.search import Judge, Search

SLICE = 2 / 8  # of a call; then members have their turn
AGE = 600.0  # seconds after which a search that was left begins anew: files that were judged with it may be others by then


class Searching:
    """Keeps the one search that is not over."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left: tuple[tuple[object, ...], float, Search] | None = None

    def verdict(
        self, wanted: Document, good: Document | None, judge: Judge, deadline: Deadline, *, drop: bool = False
    ) -> Verdict:
        """See `lighthouse.haproxy.search.judge_apart`. One question is asked at least, no more once a slice of the time is over.

        Raises `LateError` then, or whatever `judge` raises; the next call for the same goes on there.
        """
        about = wanted.question, good.question if good else None, drop
        search = self._taken(about) or Search(wanted, good, drop=drop)
        self._left = None
        allowed, before = deadline.share(SLICE), search.tries

        def judged(document: Document) -> RejectedError | None:
            if not allowed and search.tries > before:
                raise LateError(
                    f"HAProxy refuses it, and the search for the lines that are the cause goes on, after {search.tries} tries: "
                    f"{search.first}"
                )
            return judge(document)

        try:
            verdict = search.go_on(judged)
        except BalancerError:  # the judge's
            self._left = about, self._clock(), search
            raise
        if verdict.document is None:
            return verdict
        return Verdict(search.made_of(wanted, good) if verdict.apart else wanted, verdict.apart)

    def forget(self) -> None:
        """What was answered may be wrong by now."""
        self._left = None

    def _taken(self, about: tuple[object, ...]) -> Search | None:
        if self._left is None or self._left[0] != about or self._clock() - self._left[1] >= AGE:
            return None
        return self._left[2]
