"""The comparison of one cluster with its registry: whether the watches told all that there was to tell. Pure."""

from __future__ import annotations

import logging
from collections.abc import Iterable

AUDIT_SHARE = 10  # an audit reads at least this part of the records anew
AUDIT_LEAST = 50  # and so many at least

log = logging.getLogger(__name__)


class Audit:
    """``missed`` counts the differences that no event announced. ``lists``: the next list is compared with what is known, too."""

    def __init__(self, path: str) -> None:
        self.missed = 0
        self.lists = False
        self._path = path
        self._names: set[str] = set()
        self._turn = 0

    def begin(self, known: Iterable[str]) -> set[str]:
        """Compare the next list, and the records of those that are returned, which are all in turns."""
        names = sorted(known)
        share = max(AUDIT_LEAST, -(-len(names) // AUDIT_SHARE))
        if self._turn >= len(names):
            self._turn = 0
        self._names = set(names[self._turn : self._turn + share])
        self._turn += share
        self.lists = True
        return set(self._names)

    def told(self, name: str) -> None:
        """An event announced that this record changed."""
        self._names.discard(name)

    def covers(self, name: str) -> bool:
        """Whether this record, which is read now, is compared."""
        found = name in self._names
        self._names.discard(name)
        return found

    def count(self, differences: int) -> None:
        """So many differences were found."""
        if differences:
            self.missed += differences
            log.warning("%s: %d changes that no watch had told", self._path, differences)

    def drop(self) -> None:
        """Everything is read anew, so that nothing can be compared."""
        self.lists = False
        self._names.clear()
