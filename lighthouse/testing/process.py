"""The process of a worker under test: ``python -m lighthouse.testing.process FD``, with its boot on standard input.

Everything from here on is the worker that a supervisor forks, main loop, lanes and all.
"""

from __future__ import annotations

import os
import socket
import sys

from lighthouse.ipc.boot import Boot
from lighthouse.ipc.messages import unpack
from lighthouse.workers.main import main


def run(fd: int) -> None:
    """Be the worker; ends the process, whatever threads the plugin left."""
    boot = Boot(**unpack(sys.stdin.buffer.read()))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os._exit(main(boot, socket.socket(fileno=fd)))


if __name__ == "__main__":
    run(int(sys.argv[1]))
