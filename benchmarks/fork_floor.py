"""What no supervisor can undercut, as JSON on standard output.

``fork``: how long empty workers took from fork to reaped; ``end``: processes that watch a folder, from SIGKILL to reaped. All ms.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import tempfile
import time

from inotify_simple import INotify, flags

import lighthouse.daemon  # noqa: F401 - the supervisor's own size
from lighthouse.ipc.boot import Boot
from lighthouse.preload import preload
from lighthouse.supervisor import process

BOOT = Boot("nothing", "nothing", 1, b"")
SETTLED = 0.03  # seconds; the kernel frees watches by grace periods, and one that is new often at once


def nothing(_boot: Boot, _sock: socket.socket) -> int:
    """A worker's whole life."""
    return 0


def watcher(_boot: Boot, sock: socket.socket) -> int:
    """Watch a folder until killed."""
    inotify = INotify()  # collected, it would be closed
    inotify.add_watch(tempfile.gettempdir(), flags.DELETE_SELF)
    sock.sendall(b"x")
    signal.pause()
    return 0


def fork() -> float:
    """Fork, wait for the end, reap; ms."""
    begin = time.perf_counter()
    reap(process.fork(nothing, BOOT, None))
    return (time.perf_counter() - begin) * 1e3


def end() -> float:
    """Kill a process that watches a folder, wait for the end, reap; ms."""
    child = process.fork(watcher, BOOT, None)
    child.sock.recv(1)
    time.sleep(SETTLED)
    begin = time.perf_counter()
    os.kill(child.pid, signal.SIGKILL)
    reap(child)
    return (time.perf_counter() - begin) * 1e3


def reap(child: process.Child) -> None:
    """Wait for the end and leave nothing behind."""
    poll = select.poll()
    poll.register(child.pidfd, select.POLLIN)
    poll.poll(30_000)
    process.reap(child)
    child.sock.close()


if __name__ == "__main__":
    preload()
    count = int(sys.argv[1])
    print(json.dumps({"fork": [fork() for _ in range(count)], "end": [end() for _ in range(count)]}))
