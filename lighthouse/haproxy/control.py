"""Talking to HAProxy's sockets. Every exchange has one deadline over all of it: connecting, sending and receiving.

Commands are sent in interactive mode (``prompt``), because only there each answer has an end that can be told; all of a batch
travel at once. What is put into a command has passed `lighthouse.haproxy.dynamic` or an identity check, so it holds no separator.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Sequence

from lighthouse.errors import BalancerError
from lighthouse.haproxy.deadline import Deadline
from lighthouse.haproxy.document import VARIABLE
from lighthouse.haproxy.errors import (
    BrokenOffError,
    CommandError,
    NoAnswerError,
    NotRunningError,
    PermissionError,  # noqa: A004  the name of lighthouse 1.0
    UnknownCommandError,
    UnknownServerError,
)
from lighthouse.haproxy.running import (
    Processes,
    Running,
    parse_env,
    parse_info,
    parse_proc,
    parse_servers_state,
    parse_version,
)
from lighthouse.identity import shown

TIMEOUT = 2.0  # seconds; HAProxy answers within milliseconds unless it is stopped or the host is starved
_PROMPT = "\n> "
_READ = (f"show env {VARIABLE}", "show servers state", "show info")


class HAProxyControl:
    """The stats socket and the master's socket of one HAProxy. Keeps no connection and no state."""

    def __init__(self, socket_file: str, master_socket_file: str) -> None:
        self.socket_file = socket_file
        self.master_socket_file = master_socket_file

    def running(self, deadline: Deadline) -> Running:
        """What runs now. Raises `NotRunningError`, `NoAnswerError`, `CommandError` or `BalancerError`."""
        env, state, info = self.batch(_READ, deadline.within(TIMEOUT))
        for answer in (state, info):
            raise_refusal(answer)
        facts = parse_info(info)
        return Running(
            skeleton=parse_env(env, VARIABLE),
            version=parse_version(facts.get("Version", "")),
            pid=int(facts.get("Pid", "0")),
            servers=parse_servers_state(state),
        )

    def command(self, command: str, deadline: Deadline) -> str:
        """One command's answer. Raises `CommandError` by its kind, `NotRunningError` or `NoAnswerError`."""
        (answer,) = self.batch([command], deadline)
        raise_refusal(answer)
        return answer

    def batch(self, commands: Sequence[str], deadline: Deadline) -> list[str]:
        """The answer to each command, errors included as text. Raises `NotRunningError` or `NoAnswerError`."""
        request = "\n".join(("prompt", *commands, "quit", ""))
        pieces = _exchange(self.socket_file, request, deadline).split(_PROMPT)
        if len(pieces) < len(commands) + 2:
            raise BrokenOffError(f"HAProxy at {self.socket_file} broke off after {max(0, len(pieces) - 2)} answers")
        return [piece.strip("\n") for piece in pieces[1 : len(commands) + 1]]

    def processes(self, deadline: Deadline) -> Processes:
        """The master's list of processes. Raises `NotRunningError`, `NoAnswerError` or `BalancerError`."""
        return parse_proc(_exchange(self.master_socket_file, "show proc\nquit\n", deadline.within(TIMEOUT)))

    def reload(self, deadline: Deadline) -> None:
        """Ask the master for a reload; how it ended is told by `processes`. Raises like `processes`."""
        _exchange(self.master_socket_file, "reload\nquit\n", deadline)


def raise_refusal(answer: str) -> None:
    """Raise the `CommandError` that an answer stands for, if it is one of those known."""
    kinds: dict[str, type[CommandError]] = {
        "Unknown command": UnknownCommandError,
        "Permission denied": PermissionError,
        "No such backend": UnknownServerError,
        "No such server": UnknownServerError,
        "Can't find backend": UnknownServerError,
    }
    for start, kind in kinds.items():
        if answer.startswith(start):
            raise kind(f"HAProxy answered {shown(answer.partition(chr(10))[0], 200)}")


def _exchange(path: str, request: str, deadline: Deadline) -> str:
    """Send `request` and read until HAProxy closes. Both go on at once: HAProxy stops reading while its answers are not read."""
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.settimeout(max(deadline.remaining, 0.001))
            connection.connect(path)
            connection.setblocking(False)
            return _pump(connection, request.encode(), deadline).decode(errors="replace")
        except TimeoutError:
            raise NoAnswerError(
                f"HAProxy at {path} does not answer: is the process stopped or the host overloaded?"
            ) from None
        except (FileNotFoundError, ConnectionRefusedError):
            raise NotRunningError(f"no HAProxy listens at {path}") from None
        except (ConnectionError, BlockingIOError) as error:
            raise BrokenOffError(f"HAProxy at {path} broke off: {error.strerror}") from None
        except OSError as error:
            raise BalancerError(f"cannot talk to HAProxy at {path}: {error.strerror or error}") from None


def _pump(connection: socket.socket, request: bytes, deadline: Deadline) -> bytes:
    pending = memoryview(request)
    received: list[bytes] = []
    poller = select.poll()
    poller.register(connection, select.POLLIN | select.POLLOUT)
    while True:
        ready = poller.poll(deadline.remaining * 1000)
        if not ready:
            raise TimeoutError
        events = ready[0][1]
        if pending and events & select.POLLOUT:
            pending = pending[connection.send(pending) :]
            if not pending:
                poller.modify(connection, select.POLLIN)
        if events & ~select.POLLOUT:
            data = connection.recv(1 << 18)
            if not data:
                return b"".join(received)
            received.append(data)
