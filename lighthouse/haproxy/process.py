"""HAProxy's process: finding it, judging a file with it, starting it so that it outlives us.

It is started as a daemon in master-worker mode, in a session of its own, with no descriptor of ours: whatever kills the process
that started it, or its whole process group, leaves HAProxy alone. It is never stopped from here. One that belongs to a service is
not even started; it is told by our file on its command line.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from lighthouse.errors import BalancerError
from lighthouse.haproxy.alerts import is_judgement, last_words, outside, places, reason
from lighthouse.haproxy.deadline import Deadline
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.errors import LateError, RejectedError, UndecidedError, UnjudgedError
from lighthouse.haproxy.options import HAProxySettings, Owner
from lighthouse.haproxy.program import run
from lighthouse.haproxy.running import parse_version

CHECK = 3 / 8  # of a call; 1000 clusters take 0.1 s, host names in the operator's lines may wait for a resolver
START = 3.5 / 8  # of a call; HAProxy itself tries for 2 s to bind a port that another process still holds


class HAProxyProcess:
    """The program and the processes that run for one set of paths."""

    def __init__(self, settings: HAProxySettings) -> None:
        self._settings = settings
        self._master_argument = f"{settings.master_socket_file},mode,600"

    def check(self, path: str, document: Document, deadline: Deadline) -> None:
        """Let HAProxy judge the file at `path`, behind those of its owner (``haproxy -c``).

        Raises `RejectedError`, `UnjudgedError` where the owner's files are in the way, `UndecidedError` if it does not come to a
        judgement, `LateError` if it had less than its time for one, or `BalancerError` if it cannot be run.
        """
        base = self._settings.base_files
        files = [part for file in (*base, path) for part in ("-f", file)]
        limit = deadline.share(CHECK)
        code, output = self._run(["-c", *files], limit)
        if code is None and limit.cut:
            raise LateError(
                f"`haproxy -c` did not end within {limit}, of which other steps took the rest; it is asked again"
            )
        if code is None:
            raise UndecidedError(
                f"`haproxy -c` did not end within {limit}: raise that if it needs longer, as for many certificates or on a busy "
                f"host; or it waits for a resolver that does not answer, if the lines hold host names: write addresses then"
            )
        if code == 0:
            return
        if not is_judgement(output):
            raise UndecidedError(f"`haproxy -c` {self._end_of(code, output)}")
        text = reason(output, path, document)
        if foreign := outside(output, path, base):
            raise UnjudgedError(
                f"`haproxy -c` does not get past {foreign}, which is in `base_files`: {text}. Correct it, or let the user of "
                f"Lighthouse (uid {os.geteuid()}) read it and all that it names; without `base_files` our own file is judged alone"
            )
        raise RejectedError(text, places(output, path, document))

    def _end_of(self, code: int, output: str) -> str:
        """How a program ended that said nothing about the configuration."""
        how = f"failed with exit code {code}" if code > 0 else f"was killed by signal {-code}"
        return f"{how}: {last_words(output)}: see that {self._settings.binary!r} is a whole HAProxy that can be run"

    def missing(self) -> str | None:
        """Why HAProxy could not be started or reloaded now: its program is gone, which nobody notices while it runs."""
        return None if shutil.which(self._settings.binary) else self._absent()

    def version(self, deadline: Deadline) -> str:
        """The version of the program, which a start or a reload brings; empty if it does not tell. Raises `BalancerError`."""
        code, output = self._run(["-v"], deadline.share(CHECK))
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
        limit = deadline.share(START)
        code, output = self._run(arguments, limit)
        if code is None:
            raise BalancerError(f"HAProxy did not start within {limit}: raise that if it needs longer")
        if code:
            told = is_judgement(output)
            text = self.reason(output, document) if told else f"HAProxy {self._end_of(code, output)}"
            raise RejectedError(text, self.places(output, document))

    def reason(self, output: str, document: Document) -> str:
        """What HAProxy has said against `document`, which is in ``config_file``, on one line."""
        return reason(output, self._settings.config_file, document)

    def places(self, output: str, document: Document) -> dict[str, str]:
        """The same by section, as far as it names one."""
        return places(output, self._settings.config_file, document)

    def find(self) -> list[int]:
        """The pids of HAProxy processes that run, or are just starting, on our configuration or pid file.

        Reads all of ``/proc``, so it belongs on rare paths only. A second HAProxy would share the ports (SO_REUSEPORT) with the
        first instead of failing, so this is asked before each start.
        """
        return [pid for pid in _pids() if self._is_ours(_arguments(pid))]

    def gone(self, pids: Sequence[int]) -> Callable[[], bool]:
        """A question for a loop: whether these processes have ended. Never, if none of them is to be seen now.

        One that executes a program, as HAProxy's master does at a reload, has no command line meanwhile, so that tells nothing.
        """
        seen = [pid for pid in pids if _is_alive(pid)]
        return lambda: bool(seen) and not any(map(_is_alive, seen))

    def serves_our_files(self, pid: int) -> bool:
        """Whether this process would reload the file that we write and has the master socket that we use."""
        arguments = _arguments(pid)
        if self._settings.owner is Owner.SERVICE:
            return self._includes_ours(arguments)
        pairs = set(pairwise(arguments))
        return {("-f", self._settings.config_file), ("-S", self._master_argument)} <= pairs

    def leaves_ours_out(self, pid: int) -> bool:
        """Whether this HAProxy certainly does not read our file: its command line names neither the file nor its directory.

        The number may be that of another container, and then stands for some other process here, or for none.
        """
        arguments = _arguments(pid)
        return self._is_program(arguments) and not self._includes_ours(arguments)

    def _includes_ours(self, arguments: Sequence[str]) -> bool:
        file = Path(self._settings.config_file)
        return not {str(file), str(file.parent)}.isdisjoint(os.path.normpath(item) for item in arguments[1:])

    def _is_program(self, arguments: Sequence[str]) -> bool:
        return bool(arguments) and Path(arguments[0]).name == Path(self._settings.binary).name

    def _is_ours(self, arguments: Sequence[str]) -> bool:
        if not self._is_program(arguments) or "-c" in arguments:
            return False
        if self._settings.owner is Owner.SERVICE:
            return self._includes_ours(arguments)
        pairs = set(pairwise(arguments))
        return bool(pairs & {("-f", self._settings.config_file), ("-p", self._settings.pid_file)})

    def _absent(self) -> str:
        return f"the program {self._settings.binary!r} is not there: install HAProxy or correct `binary` in balancers/haproxy.yaml"

    def _run(self, arguments: list[str], deadline: Deadline) -> tuple[int | None, str]:
        """Run HAProxy to its end and give its exit code (None: it was killed at the deadline) and what it printed."""
        binary = self._settings.binary
        try:
            return run([binary, *arguments], deadline)
        except FileNotFoundError:
            raise BalancerError(self._absent()) from None
        except OSError as error:
            raise BalancerError(f"cannot run {binary!r}: {error.strerror}") from None


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdecimal())  # noqa: PTH208  thousands of Path objects for nothing


def _is_alive(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(") ")[2][:1]
    except OSError:
        return False
    return state not in ("Z", "X")


def _arguments(pid: int) -> list[str]:
    """The command line of a process; empty for one that is gone, a zombie, or a thread of the kernel."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123  as above
            return [part.decode(errors="replace") for part in file.read().rstrip(b"\0").split(b"\0") if part]
    except OSError:
        return []
