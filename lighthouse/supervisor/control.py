"""The control socket: newline-delimited JSON over a private UNIX socket. See docs/control.md.

A request is answered by a function from a table, never by a name looked up in an object. Whoever connects is checked by the
kernel's word for who it is. Nobody can hold the server: requests are small, must be complete soon, and when all places are taken
the one who has waited longest without a complete request loses its place.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VERSION = 1
MAX_REQUEST = 64 * 1024  # bytes
MAX_CLIENTS = 16
REQUEST_TIME = 5.0  # seconds for a client to send a whole request
REPLY_TIME = 30.0  # seconds for a client to take the reply
MAX_PATH = 107  # bytes of a UNIX socket's path on Linux, see unix(7)

_CREDENTIALS = struct.Struct("=iII")

log = logging.getLogger(__name__)


class Refusal(Exception):  # noqa: N818 - it is an answer
    """A request is answered with a refusal: ``code`` for programs, the text for people."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Command:
    """One entry of the table: what to call with the request's arguments, and whether it changes anything.

    One that is `signed` is also told who asks.
    """

    function: Callable[..., Mapping[str, Any]]
    mutates: bool = False
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end, by SO_PEERCRED. The pid is a hint for the log only: it may be reused."""

    pid: int
    uid: int
    gid: int

    def __str__(self) -> str:
        return f"uid {self.uid}, pid {self.pid}"


@dataclass(slots=True)
class Client:
    """One connection. ``until`` is when its patience ends (CLOCK_MONOTONIC)."""

    sock: socket.socket
    peer: Peer
    until: float
    received: bytearray = field(default_factory=bytearray)
    reply: memoryview = field(default_factory=lambda: memoryview(b""))

    def fileno(self) -> int:
        """The socket's descriptor, for a selector."""
        return self.sock.fileno()

    @property
    def has_more(self) -> bool:
        """Whether there is something to send or to answer before anything more is read."""
        return bool(self.reply) or b"\n" in self.received


def listen(path: Path) -> socket.socket:
    """The listening socket, private from the moment it exists. Call it only while holding the runtime directory's lock."""
    if len(os.fsencode(path)) > MAX_PATH:
        raise OSError(
            f"the path of the control socket is longer than {MAX_PATH} bytes: {path}; choose a shorter --runtime-dir"
        )
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    before = os.umask(0o177)
    try:
        sock.bind(os.fspath(path))
    finally:
        os.umask(before)
    sock.listen(128)
    return sock


def peer_of(sock: socket.socket) -> Peer:
    """Who is at the other end."""
    return Peer(*_CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)))


class ControlServer:
    """All connections. The loop calls `accept`, `readable`, `writable` and `expire`; ``clients`` is what it has to watch."""

    def __init__(self, commands: Mapping[str, Command], allowed: frozenset[int]) -> None:
        self.clients: dict[int, Client] = {}
        self._commands = commands
        self._allowed = allowed

    def accept(self, listener: socket.socket, now: float) -> Client | None:
        """Take one connection, or None when none waits. Raises `OSError` when descriptors are short."""
        try:
            sock, _ = listener.accept()
        except (BlockingIOError, ConnectionError):
            return None
        sock.setblocking(False)
        client = Client(sock, peer_of(sock), now + REQUEST_TIME)
        self.clients[sock.fileno()] = client
        return client

    def crowded(self) -> Client | None:
        """Whoever must go because all places are taken."""
        if len(self.clients) <= MAX_CLIENTS:
            return None
        waiting = [client for client in self.clients.values() if not client.reply]
        return min(waiting or self.clients.values(), key=lambda client: client.until)

    def readable(self, client: Client) -> bool:
        """Take what a client sent and answer what is complete; returns whether the connection is to be kept."""
        try:
            data = client.sock.recv(MAX_REQUEST)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if not data:
            return False
        client.received += data
        if len(client.received) > MAX_REQUEST and b"\n" not in client.received:
            self._reply(client, _refused("usage", f"a request is one line of {MAX_REQUEST} bytes at most"))
            client.received.clear()
            self.writable(client)
            return False
        return self.writable(client)

    def writable(self, client: Client) -> bool:
        """Answer one request and send what the client takes; returns whether the connection is to be kept.

        One at a time, so that a client that sends many at once keeps the loop no longer than others.
        """
        if not client.reply and b"\n" in client.received:
            line, _, rest = bytes(client.received).partition(b"\n")
            client.received[:] = rest
            self._answer(client, line)
        try:
            while client.reply:
                client.reply = client.reply[client.sock.send(client.reply) :]
        except BlockingIOError:
            return True
        except OSError:
            return False
        return True

    def expired(self, now: float) -> list[Client]:
        """Whose patience has ended."""
        return [client for client in self.clients.values() if now > client.until]

    def drop(self, client: Client) -> None:
        """Close a connection."""
        self.clients.pop(client.sock.fileno(), None)
        client.sock.close()

    def _answer(self, client: Client, line: bytes) -> None:
        try:
            reply = {"version": VERSION, "ok": True, "result": self._perform(client.peer, line)}
        except Refusal as refusal:
            reply = _refused(refusal.code, str(refusal))
        except Exception:  # a bug in one command must not cost the supervisor its life
            log.exception("bug in a command")
            reply = _refused("internal", "a bug: the supervisor's log says more")
        self._reply(client, reply)

    def _perform(self, peer: Peer, line: bytes) -> Mapping[str, Any]:
        if peer.uid not in self._allowed:
            log.warning("control: %s is refused: only root and the user that runs Lighthouse may ask", peer)
            raise Refusal("denied", "only root and the user that runs Lighthouse may ask")
        name, arguments = parse(line)
        command = self._commands.get(name)
        if command is None:
            raise Refusal("usage", f"unknown command {name[:40]!r}; known are {', '.join(sorted(self._commands))}")
        if command.mutates:
            log.info("control: %s asked for %s %s", peer, name, json.dumps(arguments)[:200])
        return command.function(arguments, peer) if command.signed else command.function(arguments)

    def _reply(self, client: Client, reply: Mapping[str, Any]) -> None:
        data = json.dumps(reply, separators=(",", ":")).encode() + b"\n"
        client.reply = memoryview(bytes(client.reply) + data)
        client.until = time.monotonic() + REPLY_TIME


def parse(line: bytes) -> tuple[str, Mapping[str, Any]]:
    """The command and the arguments of a request. Raises `Refusal`."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        raise Refusal("usage", "a request is one line of JSON") from None
    if not isinstance(request, dict) or request.get("version") != VERSION:
        raise Refusal("usage", f'a request is an object with "version": {VERSION}')
    name, arguments = request.get("command"), request.get("args", {})
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise Refusal("usage", 'a request has a text "command" and an object "args"')
    return name, arguments


def _refused(code: str, text: str) -> dict[str, Any]:
    return {"version": VERSION, "ok": False, "code": code, "error": text}
