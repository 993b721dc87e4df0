"""A process as large as the supervisor forks workers that do nothing: prints, as JSON, how long each took from fork to reaped (ms)."""

from __future__ import annotations

import json
import select
import socket
import sys
import time

import lighthouse.daemon  # noqa: F401 - the supervisor's own size
from lighthouse.ipc.boot import Boot
from lighthouse.preload import preload
from lighthouse.supervisor import process


def nothing(_boot: Boot, _sock: socket.socket) -> int:
    """A worker's whole life."""
    return 0


def once() -> float:
    """Fork, wait for the end, reap; ms."""
    begin = time.perf_counter()
    child = process.fork(nothing, Boot("nothing", "nothing", 1, b""), None)
    poll = select.poll()
    poll.register(child.pidfd, select.POLLIN)
    poll.poll(30_000)
    process.reap(child)
    child.sock.close()
    return (time.perf_counter() - begin) * 1e3


if __name__ == "__main__":
    preload()
    print(json.dumps([once() for _ in range(int(sys.argv[1]))]))
