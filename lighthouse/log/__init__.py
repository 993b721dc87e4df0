"""Logging: what ``logging.yaml`` may name, at the import paths of lighthouse 1.0."""

from __future__ import annotations

import logging
from typing import ClassVar


class ContextFilter(logging.Filter):
    """Adds ``%(program)s`` to each record: the name of the worker that logs, e.g. ``checker/web``."""

    program: ClassVar[str] = ""

    def filter(self, record: logging.LogRecord) -> bool:
        """Mark the record; none is held back."""
        record.program = self.program
        return True
