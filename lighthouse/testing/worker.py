"""A worker in a process of its own, with the supervisor's end of its channel."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict

from lighthouse.ipc.boot import Boot
from lighthouse.ipc.channel import Channel
from lighthouse.ipc.frames import Frame
from lighthouse.ipc.messages import Stop, pack

WITHIN = 60.0  # seconds for what the process has to do at once


class Worker:
    """Starts at once. `hear` is called with each frame that it sends, on a thread of its own, and `died` if it ends unasked."""

    def __init__(self, boot: Boot, hear: Callable[[Frame], None], died: Callable[[], None]) -> None:
        self._hear = hear
        self._died = died
        self._ending = False
        ours, theirs = socket.socketpair()
        path = os.pathsep.join(entry for entry in sys.path if entry)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "lighthouse.testing.process", str(theirs.fileno())],
                stdin=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": path},
            )
        assert self._process.stdin
        with self._process.stdin as pipe:
            pipe.write(pack(asdict(boot)))
        self._channel = Channel(ours, boot.generation)
        self._listener = threading.Thread(target=self._listen, name=f"listener of {boot.id}")
        self._listener.start()

    def send(self, *frames: Frame) -> None:
        """Send frames, and wait until they are sent."""
        for frame in frames:
            self._channel.send(frame)
        while self._channel.wants_write:
            select.select([], [self._channel], [], WITHIN)
            self._channel.flush()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        self._process.send_signal(number)

    def stop(self) -> str | None:
        """End it in good order; returns what was wrong with that."""
        self._ending = True
        self.send(Stop().frame())
        problem = None
        try:
            code = self._process.wait(WITHIN)
        except subprocess.TimeoutExpired:
            problem = f"did not stop within {WITHIN} s"
        else:
            problem = f"stopped with exit code {code}" if code else None
        self.kill()
        return problem

    def kill(self) -> None:
        """End it, paused or not, with its process group; what it said last is heard."""
        self._ending = True
        self._process.kill()
        self._process.wait(WITHIN)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._listener.join(WITHIN)
        self._channel.close()

    def _listen(self) -> None:
        with suppress(EOFError, OSError):
            while True:
                select.select([self._channel], [], [])
                for frame in self._channel.receive():
                    self._hear(frame)
        if not self._ending:
            self._died()
