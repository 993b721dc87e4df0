"""The client of the control socket. The protocol is described in ``docs/control.md``.

ControlError             what `ctl` prints in one line; carries the exit code
├── NoSupervisorError         nobody listens, or nobody answers in time: exit code 3
└── RefusedError              the supervisor answered "no": exit code 2 for a wrong use, else 4
"""

from __future__ import annotations

import json
import socket
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lighthouse.errors import LighthouseError

VERSION = 1
TIMEOUT = 10.0  # seconds, for one request and its whole answer
MAX_REQUEST = 64 * 1024  # bytes
MAX_REPLY = 64 * 1024 * 1024  # bytes
_CREDENTIALS = struct.Struct("3i")


class ControlError(LighthouseError):
    """The command could not be carried out; `exit_code` is that of `ctl`."""

    def __init__(self, text: str, exit_code: int = 4) -> None:
        super().__init__(text)
        self.exit_code = exit_code


class NoSupervisorError(ControlError):
    """No supervisor listens at the socket, or it does not answer."""

    def __init__(self, text: str) -> None:
        super().__init__(text, 3)


class RefusedError(ControlError):
    """The supervisor answered that it will not; `code` is one of the protocol's."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text, 2 if code == "usage" else 4)
        self.code = code


@dataclass(frozen=True, slots=True)
class Client:
    """Speaks to the supervisor at `path`: one connection per request, `timeout` seconds for each."""

    path: Path
    timeout: float = TIMEOUT

    def call(self, command: str, **args: Any) -> dict[str, Any]:
        """Send one command and return its result; blocks for `timeout` seconds at most. Raises `ControlError`."""
        request = json.dumps({"version": VERSION, "command": command, "args": args}).encode() + b"\n"
        if len(request) > MAX_REQUEST:
            raise RefusedError("usage", f"the request of {len(request)} bytes is longer than {MAX_REQUEST}")
        deadline = time.monotonic() + self.timeout
        try:
            with self._connected(deadline) as connection:
                _limit(connection, deadline)
                connection.sendall(request)
                line = _line(connection, deadline)
        except TimeoutError:
            raise NoSupervisorError(f"the supervisor at {self.path} did not answer within {self.timeout:g} s") from None
        except OSError as error:
            raise NoSupervisorError(f"the supervisor at {self.path} hung up: {error.strerror or error}") from None
        return _result(line)

    def listener(self) -> int | None:
        """The process that listens at the socket; None when none does. Raises `ControlError` when it cannot be reached."""
        try:
            with self._connected(time.monotonic() + self.timeout) as connection:
                raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        except (NoSupervisorError, TimeoutError):
            return None
        pid: int = _CREDENTIALS.unpack(raw)[0]
        return pid

    def _connected(self, deadline: float) -> socket.socket:
        """A connection. A full backlog (EAGAIN on UNIX sockets, connect(2)) means waiting, as it does with TCP."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            while True:
                _limit(connection, deadline)
                try:
                    connection.connect(str(self.path))
                except BlockingIOError:
                    time.sleep(0.05)
                else:
                    return connection
        except (OSError, ValueError) as error:
            connection.close()
            if isinstance(error, TimeoutError):
                raise
            raise _unreachable(self.path, error) from None


def _limit(connection: socket.socket, deadline: float) -> None:
    """Give the next call on the socket what is left of the time. Raises `TimeoutError`."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    connection.settimeout(left)


def _line(connection: socket.socket, deadline: float) -> bytes:
    """Read up to the newline that ends the answer."""
    parts: list[bytes] = []
    length = 0
    while not parts or b"\n" not in parts[-1]:
        _limit(connection, deadline)
        part = connection.recv(256 * 1024)
        if not part:
            raise NoSupervisorError("the supervisor hung up before it answered; its log may say why")
        parts.append(part)
        length += len(part)
        if length > MAX_REPLY:
            raise ControlError(f"the supervisor's answer is longer than {MAX_REPLY} bytes")
    return b"".join(parts).partition(b"\n")[0]


def _result(line: bytes) -> dict[str, Any]:
    try:
        reply = json.loads(line)
    except (ValueError, RecursionError):
        reply = None
    if not isinstance(reply, dict):
        raise ControlError("what listens at the socket does not speak the control protocol of Lighthouse")
    if reply.get("version") != VERSION:
        raise ControlError(
            f"the supervisor speaks version {reply.get('version')} of the control protocol and this ctl version {VERSION}: "
            "use the ctl of the supervisor's release, or restart the supervisor after an upgrade"
        )
    if reply.get("ok") is not True:
        raise RefusedError(
            str(reply.get("code", "internal")), str(reply.get("error") or "the supervisor refused, without a reason")
        )
    result = reply.get("result")
    if not isinstance(result, dict):
        raise ControlError("the supervisor's answer has no result")
    return result


def _unreachable(path: Path, error: Exception) -> ControlError:
    """Why there is no connection, and what to do."""
    if isinstance(error, PermissionError):
        return ControlError(f"no permission to use {path}: run ctl as root or as the user of the supervisor")
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return NoSupervisorError(f"no supervisor runs: there is no {path} (is another one meant? see --socket)")
    if isinstance(error, ConnectionRefusedError):
        return NoSupervisorError(f"no supervisor runs: nothing listens at {path}, which an earlier one left behind")
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return NoSupervisorError(f"the supervisor at {path} cannot be reached: {reason}")
