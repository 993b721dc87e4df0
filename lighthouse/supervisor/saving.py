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
    """Writes what changed before anybody is told of it: a successor must never know less than the workers did."""

    def __init__(self, keeper: Keeper, core: Core) -> None:
        self._keeper = keeper
        self._core = core
        self._store = core.store
        self._saved = 0.0
        self._failed = False

    def due(self, now: float) -> float | None:
        """When there is something to write, at the latest."""
        if not self._store.dirty:
            return None
        return self._saved + EVERY if self._failed else now

    def save(self, *, everything: bool = False) -> None:
        """Write what changed, some files at a time unless `everything` is asked for. A full disk is said once and tried again."""
        now = time.monotonic()
        pulse = everything or now - self._saved >= EVERY
        if pulse:
            self._store.note_freshness(self._core.freshness(now))
        dirty = self._store.dirty
        if self._failed and not pulse:
            return
        due = dirty if everything else set(islice(dirty, AT_MOST))
        try:
            if pulse:
                self._saved = now
                self._keeper.touch()
            self._keeper.save(due, self._store.snapshots)
        except OSError as error:
            if not self._failed:
                log.error("the state cannot be kept: %s; a restart now would begin without it", error)
            self._failed = True
            self._saved = now
            return
        if self._failed:
            log.info("the state is kept again")
        self._failed = False
        self._store.dirty = dirty - due
