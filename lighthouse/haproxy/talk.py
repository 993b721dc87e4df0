"""One conversation with one of HAProxy's sockets: it is spoken to, then heard until it closes.

What is put into a command has passed `lighthouse.haproxy.dynamic` or an identity check, so it holds no separator.
"""

from __future__ import annotations

import os
import select
import socket
import time
from typing import Self

from lighthouse.errors import BalancerError
from lighthouse.haproxy.deadline import Deadline
from lighthouse.haproxy.errors import BrokenOffError, NoAccessError, NoAnswerError, NotRunningError

_PROMPT = "\n> "
_PAUSE = 0.01  # seconds


class Talk:
    """Connected when it is made, and closed with its block.

    Every method raises `NotRunningError`, `NoAnswerError`, `NoAccessError` or another `BalancerError`.
    """

    def __init__(self, path: str, deadline: Deadline) -> None:
        self._path = path
        self._unsent = b""
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._connect(deadline)
        except OSError as error:
            self._socket.close()
            raise _told(path, error) from None

    def _connect(self, deadline: Deadline) -> None:
        """A socket all of whose connections are in use, and as many wait, refuses another at once: it is asked again."""
        self._socket.setblocking(False)
        while True:
            try:
                return self._socket.connect(self._path)
            except BlockingIOError:
                if not deadline:
                    raise
                time.sleep(_PAUSE)

    def __del__(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def say(self, *lines: str) -> None:
        """Have lines sent, by `send` or by `heard`."""
        self._unsent += "\n".join((*lines, "")).encode()

    def send(self) -> None:
        """Send what goes at once; the rest goes in `heard`, because HAProxy reads no more while it is not read."""
        try:
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except BlockingIOError:
            return
        except OSError as error:
            raise _told(self._path, error) from None

    def heard(self, deadline: Deadline, *, line: bool = False) -> str:
        """All that HAProxy answers until it closes; with `line` until one has come: after some errors a master never closes."""
        self.send()
        try:
            return self._pump(deadline, line=line).decode(errors="replace")
        except OSError as error:
            raise _told(self._path, error) from None

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _pump(self, deadline: Deadline, *, line: bool) -> bytes:
        received: list[bytes] = []
        poller = select.poll()
        poller.register(self._socket, select.POLLIN | select.POLLOUT if self._unsent else select.POLLIN)
        while True:
            ready = poller.poll(deadline.remaining * 1000)
            if not ready:
                raise TimeoutError
            events = ready[0][1]
            if self._unsent and events & select.POLLOUT:
                self.send()
                if not self._unsent:
                    poller.modify(self._socket, select.POLLIN)
            if events & ~select.POLLOUT:
                data = self._socket.recv(1 << 18)
                received.append(data)
                if not data or (line and b"\n" in data):
                    return b"".join(received)


class Dialogue(Talk):
    """In interactive mode (``prompt``), because only there each answer has an end that can be told."""

    def __init__(self, path: str, deadline: Deadline) -> None:
        super().__init__(path, deadline)
        self._asked = 0
        self.say("prompt")

    def ask(self, *commands: str) -> None:
        """Have commands sent, as `say` does."""
        self._asked += len(commands)
        self.say(*commands)

    def answers(self, deadline: Deadline) -> list[str]:
        """The answers to all commands, errors included as text. It is the end of the conversation."""
        self.say("quit")
        pieces = self.heard(deadline).split(_PROMPT)
        if len(pieces) < self._asked + 2:
            raise BrokenOffError(f"HAProxy at {self._path} broke off after {max(0, len(pieces) - 2)} answers")
        return [piece.strip("\n") for piece in pieces[1 : self._asked + 1]]


def _told(path: str, error: OSError) -> BalancerError:
    match error:
        case TimeoutError():
            return NoAnswerError(
                f"HAProxy at {path} does not answer: is the process stopped, the host overloaded, or each connection of the "
                f"socket in use (`stats maxconn`)?"
            )
        case BlockingIOError():
            return NoAnswerError(
                f"all connections of HAProxy's socket {path} are in use: end those that others hold, or raise `stats maxconn` in "
                f"`global`"
            )
        case FileNotFoundError() | ConnectionRefusedError():
            return NotRunningError(f"no HAProxy listens at {path}")
        case PermissionError():
            return NoAccessError(
                f"HAProxy's socket {path} is closed to the user of Lighthouse (uid {os.geteuid()}): give that user the socket, and "
                "search permission for its directory"
            )
        case ConnectionError():
            return BrokenOffError(f"HAProxy at {path} broke off: {error.strerror}")
    return BalancerError(f"cannot talk to HAProxy at {path}: {error.strerror or error}")
