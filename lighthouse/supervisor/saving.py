"""Keeping the state on disk, turn by turn: the loop's side of `keeper`."""

from __future__ import annotations

import logging
import time
from itertools import islice

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
        self.problem: str | None = None

    def due(self, now: float) -> float | None:
        """When there is something to write, at the latest."""
        if not self._store.dirty:
            return None
        return self._saved + EVERY if self.problem else now

    def save(self, *, everything: bool = False) -> None:
        """Write what changed, some files at a time unless `everything` is asked for. A full disk is said once and tried again."""
        now = time.monotonic()
        pulse = everything or now - self._saved >= EVERY
        if pulse:
            self._store.note_freshness(self._core.freshness(now))
        dirty = self._store.dirty
        if self.problem and not pulse:
            return
        due = dirty if everything else set(islice(dirty, AT_MOST))
        try:
            if pulse:
                self._saved = now
                self._keeper.touch()
            self._keeper.save(due, self._store.snapshots)
        except OSError as error:
            if self.problem is None:
                log.error("the state cannot be kept: %s; a restart now would begin without it", error)
            self.problem = f"the state cannot be kept ({error}): a restart would begin without what is new"
            self._saved = now
            return
        if self.problem:
            log.info("the state is kept again")
        self.problem = None
        self._store.dirty = dirty - due
