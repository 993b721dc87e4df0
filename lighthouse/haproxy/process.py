"""HAProxy's process: finding it, judging a file with it, starting it so that it outlives us.

It is started as a daemon in master-worker mode, in a session of its own, with no descriptor of ours: whatever kills the process
that started it, or its whole process group, leaves HAProxy alone. It is never stopped from here.
"""

from __future__ import annotations

import os
import re
import select
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from lighthouse.errors import BalancerError
from lighthouse.haproxy.alerts import places, reason
from lighthouse.haproxy.deadline import Deadline
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.errors import RejectedError
from lighthouse.haproxy.options import HAProxySettings
from lighthouse.haproxy.running import parse_version

if TYPE_CHECKING:
    import subprocess

CHECK_TIMEOUT = 3.0  # seconds; 1000 clusters take 0.1 s, host names in the operator's lines may wait for a resolver
START_TIMEOUT = 3.5  # seconds; HAProxy itself tries for 2 s to bind a port that another process still holds


class HAProxyProcess:
    """The program and the processes that run for one set of paths."""

    def __init__(self, settings: HAProxySettings) -> None:
        self._settings = settings
        self._master_argument = f"{settings.master_socket_file},mode,600"

    def check(self, path: str, document: Document, deadline: Deadline) -> None:
        """Let HAProxy judge the file at `path` (``haproxy -c``). Raises `RejectedError`, or `BalancerError` if it cannot be run."""
        code, output = self._run(["-c", "-f", path], deadline.within(CHECK_TIMEOUT))
        if code is None:
            raise BalancerError(
                "`haproxy -c` did not end in time; do the lines hold host names that no resolver answers?"
            )
        if code:
            raise RejectedError(reason(output, path, document), places(output, path, document))

    def version(self, deadline: Deadline) -> str:
        """The version of the program, which a start or a reload brings; empty if it does not tell. Raises `BalancerError`."""
        code, output = self._run(["-v"], deadline.within(CHECK_TIMEOUT))
        found = re.search(r"version (\S+)", output)
        return parse_version(found[1]) if found and code == 0 else ""

    def start(self, document: Document, replaced: Sequence[int], deadline: Deadline) -> None:
        """Start HAProxy on ``config_file``; it takes over from the processes `replaced`, which finish their connections.

        Returns when it has bound its ports. Raises `RejectedError`, or `BalancerError` if it cannot be run.
        """
        settings = self._settings
        arguments = ["-W", "-D", "-S", self._master_argument, "-p", settings.pid_file]
        arguments += ["-f", settings.config_file]
        if replaced:
            arguments += ["-sf", *map(str, replaced)]
        code, output = self._run(arguments, deadline.within(START_TIMEOUT), detached=True)
        if code is None:
            raise BalancerError("HAProxy did not start in time")
        if code:
            raise RejectedError(reason(output, settings.config_file, document))

    def find(self) -> list[int]:
        """The pids of HAProxy processes that run, or are just starting, on our configuration or pid file.

        Reads all of ``/proc``, so it belongs on rare paths only. A second HAProxy would share the ports (SO_REUSEPORT) with the
        first instead of failing, so this is asked before each start.
        """
        return [pid for pid in _pids() if self._is_ours(_arguments(pid))]

    def serves_our_files(self, pid: int) -> bool:
        """Whether this process would reload the file that we write and has the master socket that we use."""
        arguments = _arguments(pid)
        pairs = set(pairwise(arguments))
        return {("-f", self._settings.config_file), ("-S", self._master_argument)} <= pairs

    def _is_ours(self, arguments: Sequence[str]) -> bool:
        if not arguments or Path(arguments[0]).name != Path(self._settings.binary).name or "-c" in arguments:
            return False
        pairs = set(pairwise(arguments))
        return bool(pairs & {("-f", self._settings.config_file), ("-p", self._settings.pid_file)})

    def _run(self, arguments: list[str], deadline: Deadline, *, detached: bool = False) -> tuple[int | None, str]:
        """Run HAProxy to its end and give its exit code (None: it was killed at the deadline) and what it printed."""
        import subprocess  # only a change of the file needs it

        # A file in memory, not a pipe: a daemon that keeps it open for a moment would hold up the reader of a pipe.
        descriptor = os.memfd_create("haproxy-stderr")
        try:
            process = subprocess.Popen(
                [self._settings.binary, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                cwd="/",
                umask=0o077,
                start_new_session=detached,
            )
            code = _wait(process, deadline)
            return code, os.pread(descriptor, 1 << 16, 0).decode(errors="replace")
        except FileNotFoundError:
            raise BalancerError(
                f"the program {self._settings.binary!r} is not there: install HAProxy or correct `binary` in balancers/haproxy.yaml"
            ) from None
        except OSError as error:
            raise BalancerError(f"cannot run {self._settings.binary!r}: {error.strerror}") from None
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
        process.kill()
    code = process.wait()
    return code if ended else None


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdecimal())  # noqa: PTH208  thousands of Path objects for nothing


def _arguments(pid: int) -> list[str]:
    """The command line of a process; empty for one that is gone, a zombie, or a thread of the kernel."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123  as above
            return [part.decode(errors="replace") for part in file.read().rstrip(b"\0").split(b"\0") if part]
    except OSError:
        return []
