"""Starting, watching and ending worker processes.

A worker's identity is its pidfd: it becomes readable when the process has ended, gives the exit status once, and can never hit a
stranger that was given the same pid. The traps that this file avoids are measured in ``docs/decisions/0002-fork.md``.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import os
import select
import signal
import socket
import threading
from collections.abc import Callable, Container
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lighthouse.ipc.boot import EXIT_BUG, Boot

WorkerMain = Callable[[Boot, socket.socket], int]

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_MAX_FD = 1 << 20  # far beyond what this process opens; close_range(2) takes no longer for it
_libc = ctypes.CDLL(None, use_errno=True)

_DROPPED_ENVIRONMENT = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")

_HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
"""What the supervisor has handlers for, which must not run in a worker."""

_inherited: list[Any] = []
"""In a worker: the parent's objects, kept for ever. Their descriptors are closed by number, and an object that was collected later
would close the same numbers again, which by then belong to files of the worker."""


@dataclass(frozen=True, slots=True)
class Child:
    """A worker's process as the supervisor holds it."""

    pid: int
    pidfd: int
    sock: socket.socket


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended: in words, and its exit code unless a signal ended it."""

    how: str
    code: int | None


def become_subreaper() -> None:
    """Let processes that outlive their worker become children of this process, so that none stays a zombie."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def fork(main: WorkerMain, boot: Boot, owner: object) -> Child:
    """Start a process that runs ``main(boot, socket)``. `owner` is kept alive in it, see `_inherited`. Raises `OSError`.

    The calling process must have one thread only: a lock that another one holds at this moment would stay locked in the child.
    """
    if threading.active_count() != 1:
        raise RuntimeError(f"the supervisor has {threading.active_count()} threads and must have one to fork")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    parent = os.getpid()
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
    try:
        pid = os.fork()
    except OSError:
        ours.close()
        theirs.close()
        raise
    finally:
        if os.getpid() == parent:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    if pid == 0:
        _inherited.extend((owner, ours, theirs))
        _live(main, boot, theirs, parent, blocked)
    theirs.close()
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:  # out of descriptors: a child that cannot be watched must not live
        ours.close()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    return Child(pid, pidfd, ours)


def _live(main: WorkerMain, boot: Boot, sock: socket.socket, parent: int, mask: set[int | signal.Signals]) -> None:
    """The child's whole life; never returns, so that nothing of the parent's stack is unwound here."""
    code = EXIT_BUG
    try:
        _detach(sock.fileno(), parent)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        code = main(boot, sock)
    except BaseException:  # noqa: BLE001 - whatever it was, this process ends with a code that says so
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def _detach(sock: int, parent: int) -> None:
    """Cut everything that ties the child to the supervisor but its socket."""
    gc.freeze()  # what is inherited stays out of every collection, so that its pages stay shared
    signal.set_wakeup_fd(-1)
    for number in _HANDLED:
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.closerange(3, sock)
    os.closerange(sock + 1, _MAX_FD)
    for name in _DROPPED_ENVIRONMENT:
        if name in os.environ:
            del os.environ[name]
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the line above
        os._exit(0)


def ended(child: Child, within: float = 0.0) -> bool:
    """Whether the process has ended, or does so `within` seconds, for which this waits."""
    poll = select.poll()
    poll.register(child.pidfd, select.POLLIN)
    return bool(poll.poll(within * 1000))


def send_signal(child: Child, number: signal.Signals) -> None:
    """Send a signal to the process; one that has ended is left in peace."""
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(child.pidfd, number)


def kill(child: Child) -> None:
    """End the process and its group at once. No SIGTERM first: a handler in Python cannot run while C code holds the GIL."""
    send_signal(child, signal.SIGKILL)
    _kill_group(child.pid)


def reap(child: Child) -> Ended:
    """Take the exit status of a process that has ended, after ending what is left of its group and its session."""
    # The zombie still owns its pid, so the numbers of its group and session cannot belong to anybody else yet.
    _kill_group(child.pid)
    _kill_session(child.pid)
    result = os.waitid(os.P_PIDFD, child.pidfd, os.WEXITED)
    os.close(child.pidfd)
    if result is None:
        return Ended("ended", None)
    if result.si_code == os.CLD_EXITED:
        return Ended(f"exit code {result.si_status}", result.si_status)
    return Ended(f"killed by {_signal_name(result.si_status)}", None)


def reap_strangers(known: Container[int]) -> int:
    """Reap processes that became ours by their parents' death; returns how many. Their status means nothing to us."""
    count = 0
    while True:
        try:
            result = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return count
        if result is None or result.si_pid in known:
            return count  # a worker's end is told by its pidfd
        with suppress(ChildProcessError):
            os.waitpid(result.si_pid, os.WNOHANG)
        count += 1


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except OSError as error:
        # No such group: the child had not come as far as setsid, or nobody is left. Not permitted: only zombies are left.
        if error.errno not in (errno.ESRCH, errno.EPERM):
            raise


def _kill_session(leader: int) -> None:
    """End the groups that a worker had begun in its session, such as the command of a check: its death made them ours."""
    try:
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    except OSError:
        return  # a kernel without that list
    for pid in map(int, children.split()):
        with suppress(OSError):
            if os.getsid(pid) == leader != os.getpgid(pid):
                os.killpg(os.getpgid(pid), signal.SIGKILL)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
