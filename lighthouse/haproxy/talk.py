"""One conversation with one of HAProxy's sockets. It has one deadline over all of it: connecting, sending and receiving.

Commands are sent in interactive mode (``prompt``), because only there each answer has an end that can be told. What is put into a
command has passed `lighthouse.haproxy.dynamic` or an identity check, so it holds no separator.
"""

from __future__ import annotations

import os
import select
import socket
from typing import Self

from lighthouse.errors import BalancerError
from lighthouse.haproxy.deadline import Deadline
from lighthouse.haproxy.errors import BrokenOffError, NoAccessError, NoAnswerError, NotRunningError

_PROMPT = "\n> "


class Talk:
    """Connected when it is made, and closed with its block.

    Every method raises `NotRunningError`, `NoAnswerError`, `NoAccessError` or another `BalancerError`.
    """

    def __init__(self, path: str, deadline: Deadline) -> None:
        self._path = path
        self._deadline = deadline
        self._unsent = b""
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.settimeout(max(deadline.remaining, 0.001))
            self._socket.connect(path)
            self._socket.setblocking(False)
        except OSError as error:
            self._socket.close()
            raise _told(path, error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def say(self, *lines: str) -> None:
        """Send lines, as far as they go at once; the rest goes in `heard`, because HAProxy reads no more while it is not read."""
        self._unsent += "".join(f"{line}\n" for line in lines).encode()
        try:
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except BlockingIOError:
            return
        except OSError as error:
            raise _told(self._path, error) from None

    def heard(self, *, line: bool = False) -> str:
        """All that HAProxy answers until it closes; with `line` until one has come: after some errors a master never closes."""
        try:
            return self._pump(line=line).decode(errors="replace")
        except OSError as error:
            raise _told(self._path, error) from None

    def answers(self, count: int) -> list[str]:
        """The answers to so many commands, said since ``prompt``, errors included as text."""
        pieces = self.heard().split(_PROMPT)
        if len(pieces) < count + 2:
            raise BrokenOffError(f"HAProxy at {self._path} broke off after {max(0, len(pieces) - 2)} answers")
        return [piece.strip("\n") for piece in pieces[1 : count + 1]]

    def _pump(self, *, line: bool) -> bytes:
        received: list[bytes] = []
        poller = select.poll()
        poller.register(self._socket, select.POLLIN | select.POLLOUT if self._unsent else select.POLLIN)
        while True:
            ready = poller.poll(self._deadline.remaining * 1000)
            if not ready:
                raise TimeoutError
            events = ready[0][1]
            if self._unsent and events & select.POLLOUT:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
                if not self._unsent:
                    poller.modify(self._socket, select.POLLIN)
            if events & ~select.POLLOUT:
                data = self._socket.recv(1 << 18)
                received.append(data)
                if not data or (line and b"\n" in data):
                    return b"".join(received)


def _told(path: str, error: OSError) -> BalancerError:
    match error:
        case TimeoutError():
            return NoAnswerError(f"HAProxy at {path} does not answer: is the process stopped or the host overloaded?")
        case FileNotFoundError() | ConnectionRefusedError():
            return NotRunningError(f"no HAProxy listens at {path}")
        case PermissionError():
            return NoAccessError(
                f"HAProxy's socket {path} is closed to the user of Lighthouse (uid {os.geteuid()}): give that user the socket, and "
                "search permission for its directory"
            )
        case ConnectionError() | BlockingIOError():
            return BrokenOffError(f"HAProxy at {path} broke off: {error.strerror}")
    return BalancerError(f"cannot talk to HAProxy at {path}: {error.strerror or error}")
