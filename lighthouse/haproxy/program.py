"""Running a program to its end: without a shell, in a process group of its own, which is killed whole at the deadline."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from lighthouse.haproxy.deadline import Deadline

if TYPE_CHECKING:
    import subprocess

MAX_OUTPUT = 1 << 16  # bytes that are read back


def run(arguments: Sequence[str], deadline: Deadline) -> tuple[int | None, str]:
    """The exit code (None: it was killed at the deadline) and what it printed. Raises `OSError` if it cannot be run.

    A daemon that it leaves behind in a session of its own lives on.
    """
    import subprocess  # only a change of the file needs it

    # A file in memory, not a pipe: a daemon that keeps it open for a moment would hold up the reader of a pipe.
    descriptor = os.memfd_create("output")
    try:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            cwd="/",
            umask=0o077,
            start_new_session=True,
        )
        code = _wait(process, deadline)
        return code, os.pread(descriptor, MAX_OUTPUT, 0).decode(errors="replace")
    finally:
        os.close(descriptor)


def _wait(process: subprocess.Popen[bytes], deadline: Deadline) -> int | None:
    """Wait by descriptor: `Popen.wait` with a timeout looks only every 50 ms, which is twice what ``haproxy -c`` takes."""
    descriptor = os.pidfd_open(process.pid)
    try:
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        ended = poller.poll(deadline.remaining * 1000)
    finally:
        os.close(descriptor)
    if not ended:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    code = process.wait()
    return code if ended else None
