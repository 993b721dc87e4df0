"""Keeping the state on disk, turn by turn: the loop's side of `keeper`."""

from __future__ import annotations

import logging
import time

from lighthouse.supervisor.core import Core
from lighthouse.supervisor.keeper import Keeper

EVERY = 1.0  # seconds between two signs of life in the kept state, and between tries while it cannot be written
AT_MOST = 200  # files per turn

log = logging.getLogger("lighthouse.supervisor")


class Saver:
    """Writes what changed before anybody is told of it: a successor must never know less than the workers did.

    ``problem`` says why it cannot.
    """

    def __init__(self, keeper: Keeper, core: Core) -> None:
        self._keeper = keeper
        self._core = core
        self._store = core.store
        self._saved = 0.0
        self._failed: set[str] = set()
        self.problem: str | None = None

    def due(self, now: float) -> float | None:
        """When there is something to write, at the latest."""
        if self._store.dirty - self._failed:
            return now
        return self._saved + EVERY if self._store.dirty else None

    def save(self, *, everything: bool = False) -> None:
        """Write what changed, some files at a time unless `everything` is asked for.

        What cannot be written is said once, tried again in its time, and holds nothing else back.
        """
        now, dirty = time.monotonic(), self._store.dirty
        pulse = everything or now - self._saved >= EVERY
        if pulse:
            self._saved = now
            self._store.note_freshness(self._core.freshness(now))
        tried = [*(dirty - self._failed), *(dirty & self._failed if pulse else ())]
        if not everything:
            tried = tried[:AT_MOST]
        failed = self._keeper.save(tried, self._store.snapshots)
        dirty -= {*tried} - failed.keys()
        self._failed = (self._failed - {*tried} | failed.keys()) & dirty
        error = next(iter(failed.values()), None) or (self._touch() if pulse else None)
        if error is not None:
            self._cannot(error)
        elif self.problem and pulse and not self._failed:
            log.info("the state is kept again")
            self.problem = None

    def _touch(self) -> OSError | None:
        try:
            self._keeper.touch()
        except OSError as error:
            return error
        return None

    def _cannot(self, error: OSError) -> None:
        if self.problem is None:
            log.error("the state cannot be kept: %s; a restart now would begin without it", error)
        self.problem = f"the state cannot be kept ({error}): a restart would begin without what is new"
