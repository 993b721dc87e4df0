"""Processes that are fed snapshots of members over a socket: the balancer worker as it is, and a bare script beside it.

.venv/bin/python benchmarks/fed.py worker|script DESCRIPTOR, with what they begin with as msgpack on standard input.
"""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Self

import msgpack

from lighthouse.ipc.boot import Boot, members_topic
from lighthouse.ipc.channel import Channel
from lighthouse.ipc.frames import Frame, Kind
from lighthouse.ipc.messages import Stop, pack
from lighthouse.node import Node

LENGTH = struct.Struct("!I")


class Fed:
    """A process of its own and our end of the socket. Ends with the block."""

    def __init__(self, what: str, begin: Mapping[str, Any]) -> None:
        self.sock, theirs = socket.socketpair()
        command = [sys.executable, __file__, what, str(theirs.fileno())]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[theirs.fileno()])
        theirs.close()
        if self._process.stdin is None:
            raise RuntimeError("no pipe")
        self._process.stdin.write(msgpack.packb(begin))
        self._process.stdin.close()

    def feed(self, cluster: str, nodes: Sequence[Node]) -> None:
        """Give it the members of a cluster."""
        raise NotImplementedError

    def rest(self) -> None:
        """Read what it said, so that it never has to wait."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(30)


class Worker(Fed):
    """The balancer worker, with a HAProxy of the given configuration and clusters with their members and options."""

    def __init__(
        self,
        config: Mapping[str, Any],
        clusters: Mapping[str, Sequence[Node]],
        options: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        plan = [{"name": name, "discovery": "dir", "options": (options or {}).get(name, {})} for name in clusters]
        blob = {"plugin": "lighthouse.haproxy.balancer:HAProxy", "config": dict(config), "clusters": plan}
        kept = {members_topic(name): packed(nodes) for name, nodes in clusters.items()}
        super().__init__("worker", {"config": {**blob, "initial_wait": 0.0, "logging": None}, "kept": kept})
        self._channel = Channel(self.sock, 1)
        self._await_ready()

    def feed(self, cluster: str, nodes: Sequence[Node]) -> None:
        """As the supervisor does."""
        self._channel.send(Frame(Kind.SNAPSHOT, packed(nodes), members_topic(cluster)))
        while self._channel.wants_write:
            self._channel.flush()

    def rest(self) -> None:
        """Read what it said."""
        for _ in self._channel.receive():
            pass

    def __exit__(self, *error: object) -> None:
        with suppress(OSError):
            self._channel.send(Stop().frame())
            self._channel.flush()
        super().__exit__(*error)

    def _await_ready(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if any(frame.kind is Kind.READY for frame in self._channel.receive()):
                return
            time.sleep(0.01)
        raise TimeoutError("the worker is not ready")


class Script(Fed):
    """The least that brings members into one backend: see `script`."""

    def __init__(self, socket_file: str, backend: str, nodes: Sequence[Node]) -> None:
        super().__init__("script", {"socket": socket_file, "backend": backend, "nodes": packed(nodes)})
        if self.sock.recv(1) != b"r":
            raise RuntimeError("the script does not start")

    def feed(self, cluster: str, nodes: Sequence[Node]) -> None:  # noqa: ARG002
        """The bytes of the same snapshot."""
        payload = packed(nodes)
        self.sock.sendall(LENGTH.pack(len(payload)) + payload)


def packed(nodes: Sequence[Node]) -> bytes:
    """A snapshot's payload."""
    return pack({"nodes": [node.to_mapping() for node in nodes]})


def worker(sock: socket.socket, begin: dict[str, Any]) -> int:
    """Be the worker."""
    from lighthouse.workers.main import main

    return main(Boot("balancer/haproxy", "balancer", 1, pack(begin["config"]), kept=begin["kept"]), sock)


def script(sock: socket.socket, begin: dict[str, Any]) -> int:
    """Add who is new and take out who is gone. It checks nothing, reads nothing back and writes no file."""
    backend, have = begin["backend"], {f"{n['host']}:{n['port']}" for n in msgpack.unpackb(begin["nodes"])["nodes"]}
    sock.sendall(b"r")
    stream = sock.makefile("rb")
    while head := stream.read(LENGTH.size):
        nodes = msgpack.unpackb(stream.read(*LENGTH.unpack(head)))["nodes"]
        want = {f"{node['host']}:{node['port']}": f"{node['ip']}:{node['port']}" for node in nodes}
        commands = [f"add server {backend}/{n} {want[n]}; enable server {backend}/{n}" for n in want.keys() - have]
        commands += [f"set server {backend}/{n} state maint; del server {backend}/{n}" for n in have - want.keys()]
        have = set(want)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(begin["socket"])
            connection.sendall("; ".join(commands).encode() + b"\n")
            while connection.recv(65536):
                pass
    return 0


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[2])) as theirs:
        sys.exit({"worker": worker, "script": script}[sys.argv[1]](theirs, msgpack.unpackb(sys.stdin.buffer.read())))
