"""A rehearsal before the first fork: a checker at work, on one thread and without a network.

The interpreter rewrites its bytecode with what it learns in the first rounds, and modules are imported late; each worker would do
that for itself, page by page, in memory that could have been shared. So the supervisor plays a checker's part once: the real loop,
the real job and the real HTTP check, which ask a socket pair for a prepared answer. The check is ours: nobody else's
plugin is loaded for this.
"""

from __future__ import annotations

import io
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lighthouse.checks.deadline import Deadline, DeadlineSocket
from lighthouse.checks.exchange import opened
from lighthouse.checks.http import Answer, HTTPCheck
from lighthouse.checks.http_rules import Target
from lighthouse.ipc.boot import Boot
from lighthouse.ipc.channel import Channel
from lighthouse.ipc.messages import pack
from lighthouse.log.formatter import LineFormatter
from lighthouse.workers.checker import Checker
from lighthouse.workers.lanes import Call, Done, Lanes, Outcome
from lighthouse.workers.runtime import Runtime

ROUNDS = 100  # checks; the interpreter specialises code within the first dozens
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nDate: now\r\n\r\nok"


class RehearsedCheck(HTTPCheck):
    """The HTTP check, with a listener that nobody serves and an answer that is there before it is asked for."""

    port_open: int = 0
    left: int = ROUNDS
    finished: Callable[[], None]

    def _ask_at(self, target: Target, start: Target, method: str, deadline: Deadline) -> Answer:
        """Connect, as ever; then ask the prepared socket."""
        RehearsedCheck.left -= 1
        if RehearsedCheck.left <= 0:
            RehearsedCheck.finished()
        with opened("127.0.0.1", RehearsedCheck.port_open, deadline, None):
            ours, theirs = socket.socketpair()
            with ours, theirs:
                theirs.sendall(ANSWER)
                return self._ask(DeadlineSocket(ours, deadline), target, method, target.origin == start.origin)


class InlineLane:
    """Makes calls at once, on the calling thread: the supervisor has one and keeps one."""

    def __init__(self, finish: Callable[[Done, Outcome], None]) -> None:
        self.current: Call | None = None
        self.idle = True
        self._finish = finish

    def call(self, name: str, function: Callable[[], Any], *, allowed: float, done: Done) -> None:
        """As `lighthouse.workers.lanes.Lane.call`."""
        self.current = Call(name, 0.0, allowed)
        outcome = Outcome(function())
        self.current = None
        self._finish(done, outcome)

    def start(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing waits."""


def rehearse() -> None:
    """Play the part. Afterwards there is no descriptor and no thread that was not there before."""
    ours, theirs = socket.socketpair()
    with socket.create_server(("127.0.0.1", 0), backlog=ROUNDS + 1) as listener, theirs:
        RehearsedCheck.port_open = listener.getsockname()[1]
        runtime = Runtime(Boot("checker/rehearsal", "checker", 1, pack(_CONFIG), heartbeat=0.01), Channel(ours, 1))
        runtime.lanes.close()
        runtime.lanes = Lanes(InlineLane)
        RehearsedCheck.finished = lambda: runtime.leave(0)
        with _quiet():
            runtime.run(Checker(runtime))
        runtime.close()


@contextmanager
def _quiet() -> Iterator[None]:
    """Format what is logged, and write it nowhere."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(LineFormatter())
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


_CONFIG = {
    "logging": None,
    "interval": 0.0001,
    "service": {"name": "rehearsal", "ports": [1], "host": "127.0.0.1", "metadata": {}, "discovery": ""},
    "checks": [
        {
            "name": "http",
            "plugin": f"{__name__}:RehearsedCheck",
            "config": {"uri": "/"},
            "rise": 1,
            "fall": 1,
            "timeout": 5.0,
        }
    ],
}
