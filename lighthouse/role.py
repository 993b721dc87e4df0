"""What a supervisor does on its host: everything, or one half of it as the two programs of lighthouse 1.0 did."""

from __future__ import annotations

from enum import Enum


class Role(Enum):
    """ALL does both halves; WRITER only consumes clusters; REPORTER only provides services."""

    ALL = "all"
    WRITER = "writer"
    REPORTER = "reporter"

    @property
    def writes(self) -> bool:
        """Whether balancers and clusters belong to it."""
        return self is not Role.REPORTER

    @property
    def reports(self) -> bool:
        """Whether services belong to it."""
        return self is not Role.WRITER
