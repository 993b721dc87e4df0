"""Talking to HAProxy's sockets. Every exchange has one deadline over all of it: connecting, sending and receiving.

Commands are sent in interactive mode (``prompt``), because only there each answer has an end that can be told; all of a batch
travel at once. What is put into a command has passed `lighthouse.haproxy.dynamic` or an identity check, so it holds no separator.
"""

from __future__ import annotations

import builtins
import os
import select
import socket
from collections.abc import Collection, Sequence
from dataclasses import replace

from lighthouse.errors import BalancerError
from lighthouse.haproxy.deadline import Deadline
from lighthouse.haproxy.document import VARIABLE
from lighthouse.haproxy.errors import (
    BrokenOffError,
    HAProxyControlError,
    NoAccessError,
    NoAnswerError,
    NotRunningError,
    PermissionError,  # noqa: A004  the name of lighthouse 1.0
    UnknownCommandError,
    UnknownServerError,
)
from lighthouse.haproxy.running import (
    Processes,
    Running,
    kept,
    parse_env,
    parse_ids,
    parse_info,
    parse_proc,
    parse_servers_state,
    parse_stat,
    parse_version,
    with_details,
)
from lighthouse.identity import shown

TIMEOUT = 2.0  # seconds; HAProxy answers within milliseconds unless it is stopped or the host is starved
_PROMPT = "\n> "
_WHO = (f"show env {VARIABLE}", "show info")
_READ = (_WHO[0], "show servers state", _WHO[1])


class Sockets:
    """The stats socket and the master's socket of one HAProxy. Keeps no connection and no state."""

    def __init__(self, socket_file: str, master_socket_file: str) -> None:
        self.socket_file = socket_file
        self.master_socket_file = master_socket_file

    def details(self, running: Running, backends: Collection[str], deadline: Deadline) -> Running:
        """The same, with what only ``show stat`` tells about the servers of `backends`. Raises like `running`."""
        asked = sorted(set(backends) & set(running.ids))
        if not asked:
            return running
        servers = dict(running.servers)
        answers = self.batch([f"show stat {running.ids[backend]} 4 -1" for backend in asked], deadline.within(TIMEOUT))
        for backend, answer in zip(asked, answers, strict=True):
            raise_refusal(answer)
            servers[backend] = with_details(servers[backend], parse_stat(answer))
        return replace(running, servers=servers)

    def running(self, deadline: Deadline) -> Running:
        """What runs now. Raises `NotRunningError`, `NoAnswerError`, `HAProxyControlError` or `BalancerError`."""
        env, state, info = self.batch(_READ, deadline.within(TIMEOUT))
        raise_refusal(state)
        return replace(_facts(env, info), servers=parse_servers_state(state), ids=parse_ids(state))

    def exchange(
        self,
        running: Running,
        commands: Sequence[str],
        backends: Collection[str],
        closely: Collection[str],
        deadline: Deadline,
    ) -> tuple[list[str], Running]:
        """Send commands and read these backends back, with details of those that are looked at `closely`, in one exchange.

        Gives the answers, and what runs then: of the other backends, what was in `running`. Raises like `running`.
        """
        names = list(backends)
        detailed = [name for name in names if name in closely and name in running.ids]
        answers = self.batch(
            (
                *commands,
                *_WHO,
                *(f"show servers state {name}" for name in names),
                *(f"show stat {running.ids[name]} 4 -1" for name in detailed),
            ),
            deadline.within(TIMEOUT),
        )
        env, info, *looks = answers[len(commands) :]
        servers, ids = dict(running.servers), dict(running.ids)
        for answer in looks:
            raise_refusal(answer)
        for name, state in zip(names, looks, strict=False):
            servers[name] = parse_servers_state(state, running.servers.get(name)).get(name, {})
            if name not in ids:  # it had no server before
                ids |= parse_ids(state)
        for name, stat in zip(detailed, looks[len(names) :], strict=True):
            servers[name] = with_details(servers[name], parse_stat(stat))
        servers |= {name: kept(servers[name], running.servers.get(name, {})) for name in detailed}
        return answers[: len(commands)], replace(_facts(env, info), servers=servers, ids=ids)

    def command(self, command: str, deadline: Deadline) -> str:
        """One command's answer. Raises `HAProxyControlError` by its kind, `NotRunningError` or `NoAnswerError`."""
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


def _facts(env: str, info: str) -> Running:
    """The process by its answers to `_WHO`, without its servers."""
    raise_refusal(info)
    facts = parse_info(info)
    return Running(
        skeleton=parse_env(env, VARIABLE),
        version=parse_version(facts.get("Version", "")),
        pid=int(facts.get("Pid", "0")),
        uptime=int(facts.get("Uptime_sec", "0")),
        stopping=facts.get("Stopping") == "1",
    )


def raise_refusal(answer: str) -> None:
    """Raise the `HAProxyControlError` that an answer stands for, if it is one of those known."""
    kinds: dict[str, type[HAProxyControlError]] = {
        "Unknown command": UnknownCommandError,
        "Permission denied": PermissionError,
        "No such backend": UnknownServerError,
        "No such server": UnknownServerError,
        "Can't find backend": UnknownServerError,
    }
    for start, kind in kinds.items():
        if answer.startswith(start):
            remedy = ": its stats socket must have `level admin`" if kind is PermissionError else ""
            raise kind(f"HAProxy answered {shown(answer.partition(chr(10))[0], 200)}{remedy}")


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
        except builtins.PermissionError:
            raise NoAccessError(
                f"HAProxy's socket {path} is closed to the user of Lighthouse (uid {os.geteuid()}): give that user the socket, and "
                "search permission for its directory"
            ) from None
        except (ConnectionError, BlockingIOError) as error:
            raise BrokenOffError(f"HAProxy at {path} broke off: {error.strerror}") from None
        except OSError as error:
            raise BalancerError(f"cannot talk to HAProxy at {path}: {error.strerror or error}") from None


def _pump(connection: socket.socket, request: bytes, deadline: Deadline) -> bytes:
    pending = memoryview(request)[_sent(connection, request) :]
    received: list[bytes] = []
    poller = select.poll()
    poller.register(connection, select.POLLIN | select.POLLOUT if pending else select.POLLIN)
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


def _sent(connection: socket.socket, request: bytes) -> int:
    """Send what goes at once, as a rule all of it."""
    try:
        return connection.send(request)
    except BlockingIOError:
        return 0
