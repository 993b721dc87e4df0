"""How a record becomes text that is safe to show.

What a plugin or a registry put into a message must not drive the terminal of whoever reads the log. Newlines stay, because
tracebacks need them.
"""

from __future__ import annotations

import logging
import time

LINE = "%(asctime)s %(levelname).1s %(process)d %(name)s: %(message)s"


def escaped(text: str) -> str:
    """The text with control, format and surrogate characters escaped, newline and tab excepted."""
    return "".join(char if char.isprintable() or char in "\n\t" else _escape(char) for char in text)


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


class LineFormatter(logging.Formatter):
    """The format of the log files: ISO 8601 time with milliseconds and zone, level, process, logger, message."""

    def __init__(self, fmt: str = LINE) -> None:
        super().__init__(fmt)

    def format(self, record: logging.LogRecord) -> str:
        """The record and its traceback, escaped."""
        return escaped(super().format(record))

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - the name that logging calls
        """The time in the local zone; `datefmt` is for `time.strftime`."""
        moment = time.localtime(record.created)
        if datefmt:
            return time.strftime(datefmt, moment)
        return f"{time.strftime('%Y-%m-%dT%H:%M:%S', moment)}.{int(record.msecs):03d}{time.strftime('%z', moment)}"
