"""The supervisor's own log: a file of its own, and stderr for whoever started it by hand or for the journal.

The one thread must not wait for a reader, so a line that stderr cannot take at once is dropped and counted; the file has it.
"""

from __future__ import annotations

import logging
import os
import select
import sys

from lighthouse.log.formatter import LineFormatter
from lighthouse.log.rotation import LogFile

PIPE_BUF = 4096  # a pipe that polls as writable takes this much without blocking, see pipe(7)


class FileHandler(logging.Handler):
    """Writes to the rotated log file."""

    def __init__(self, log_file: LogFile) -> None:
        super().__init__()
        self._file = log_file

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; a full disk loses it, and nothing else."""
        try:
            self._file.write((self.format(record) + "\n").encode("utf-8", "backslashreplace"))
            self._file.rotate_if_needed()
        except OSError:
            return


class StderrHandler(logging.Handler):
    """Writes to stderr when it takes the line at once. ``dropped`` counts the lines that it did not."""

    def __init__(self) -> None:
        super().__init__()
        self.dropped = 0
        self._fd = os.dup(sys.stderr.fileno())
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLOUT)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record, or count it."""
        line = (self.format(record) + "\n").encode("utf-8", "backslashreplace")[:PIPE_BUF]
        if not any(event & select.POLLOUT for _, event in self._poll.poll(0)):
            self.dropped += 1
            return
        try:
            os.write(self._fd, line)
        except OSError:
            self.dropped += 1


def configure(log_file: LogFile | None) -> StderrHandler:
    """Send the root logger's records to the file, where there is one, and to stderr."""
    stderr = StderrHandler()
    handlers: list[logging.Handler] = [stderr] if log_file is None else [FileHandler(log_file), stderr]
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    for handler in handlers:
        handler.setFormatter(LineFormatter())
        root.addHandler(handler)
    return stderr
