"""What kazoo logs, as reasons why there is no connection, in words that an operator can act on.

It logs passwords of sessions and of users when it debugs, and when an answer cannot be read, so nothing of it reaches a log.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

from lighthouse.identity import escaped

_HUNG_UP = "it hung up: it may have no quorum, know less than this host saw, want TLS, or be no ZooKeeper; see its log"
LEFT = "it was left for another server, or for good"
_WORDS = (
    (f"Connection dropped: socket connection error: {LEFT}", ""),
    ("Transition to CONNECTING", ""),
    ("Failed connecting to Zookeeper", ""),
    ("Found a RW server", ""),
    ("Session has expired", "it does not know the session any more, and a new one begins"),
    ("AUTH_FAILED", "it refuses who this host says it is: look at `auth`"),
    ("Connection dropped: socket connection broken", _HUNG_UP),
    ("Connection dropped: outstanding heartbeat", "it does not answer any more"),
    ("Connection time-out", "it takes the connection and does not answer"),
)
_UNRESOLVED = re.compile(r"Cannot resolve (\S+): (?:\[Errno [^]]*\] )?(.*)")
_BROKEN = re.compile(r"Connection dropped: (?:socket connection error: )?(.*)")

Complain = Callable[[str, str], None]


def silent(complain: Complain) -> logging.Logger:
    """A logger for kazoo that writes nothing. Warnings go to `complain`: a host, empty for the server tried last, and a reason."""
    logger = logging.Logger("lighthouse.zookeeper.kazoo", logging.WARNING)  # noqa: LOG001 - no configuration may reach it
    logger.addHandler(_Complaints(complain))
    return logger


def told(warning: str) -> tuple[str, str]:
    """The host and the reason that a warning gives; no reason if it says nothing that another does not say better."""
    for begin, reason in _WORDS:
        if warning.startswith(begin):
            return "", reason
    if found := _UNRESOLVED.fullmatch(warning):
        return found[1], f"its name cannot be resolved: {escaped(found[2])}"
    if found := _BROKEN.fullmatch(warning):
        return "", escaped(found[1])
    return "", escaped(warning)


class _Complaints(logging.Handler):
    """Takes kazoo's warnings as reasons why there is no connection."""

    def __init__(self, complain: Complain) -> None:
        super().__init__()
        self._complain = complain

    def emit(self, record: logging.LogRecord) -> None:
        """Only a warning's own words: what an error is about, and its traceback, may hold secrets."""
        if record.levelno != logging.WARNING:
            text = type(record.exc_info[1]).__name__ if record.exc_info and record.exc_info[1] else "no details"
            self._complain("", f"the client library failed: {text}")
            return
        host, reason = told(record.getMessage())
        if reason:
            self._complain(host, reason)
