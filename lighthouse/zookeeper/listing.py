"""The states of a cluster's list of children."""

from __future__ import annotations

from enum import Enum, auto


class Listing(Enum):
    """How it stands with the list of children."""

    DUE = auto()  # is to be asked for
    ASKED = auto()
    ABSENT = auto()  # there is no such znode: its existence is to be watched
    AWAITED = auto()  # the same, asked
    WATCHED = auto()  # known, and a watch is in place
    CROWDED = auto()  # was too long, and has changed: it is to be asked for in its time
