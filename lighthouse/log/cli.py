"""The log handler for people: colours on a terminal, ordinary lines elsewhere."""

from __future__ import annotations

import logging

from lighthouse.log.formatter import escaped

_RESET = "\x1b[0m"
_LEVELS = {
    logging.DEBUG: "\x1b[36m",
    logging.INFO: "\x1b[32m",
    logging.WARNING: "\x1b[33m",
    logging.ERROR: "\x1b[31m",
    logging.CRITICAL: "\x1b[1;31m",
}
_THREADS = ("\x1b[34m", "\x1b[35m", "\x1b[36m", "\x1b[33m")
_PLAIN = logging.Formatter()


class CLIHandler(logging.StreamHandler):  # type: ignore[type-arg] # generic for checkers only, not at run time
    """On a terminal ``[time L][thread] message``, coloured by level and by thread; elsewhere the configured format.

    On a terminal everything but newlines and tabs that could steer it is escaped.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as text for this stream."""
        if not self._is_terminal():
            return super().format(record)
        formatter = self.formatter or _PLAIN
        when = formatter.formatTime(record, formatter.datefmt)
        thread = record.threadName or "?"
        colour = _THREADS[sum(thread.encode(errors="replace")) % len(_THREADS)]
        head = f"{_LEVELS.get(record.levelno, '')}[{when} {record.levelname[:1]}]{_RESET}"
        return f"{head}{colour}[{escaped(thread)}]{_RESET} {escaped(_body(formatter, record))}"

    def _is_terminal(self) -> bool:
        return bool(getattr(self.stream, "isatty", bool)())


def _body(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = [record.getMessage()]
    if record.exc_info:
        parts.append(formatter.formatException(record.exc_info))
    if record.stack_info:
        parts.append(formatter.formatStack(record.stack_info))
    return "\n".join(parts)
