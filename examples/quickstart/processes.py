"""Processes, known again later: after an end without clean-up, the next start must hit what was ours and nothing else."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

PROC = Path("/proc")
LISTENING = "0A"  # the state in /proc/net/tcp, see proc(5)


def remember(pid: int, file: Path) -> None:
    """Write down a process with its start time, which tells it from a later one of the same number."""
    file.write_text(f"{pid} {started(pid)}\n")


def remembered(file: Path) -> int | None:
    """The process that was written down, if it still runs."""
    try:
        pid, start = file.read_text().split()
    except (FileNotFoundError, ValueError):
        return None
    return int(pid) if pid.isdigit() and started(int(pid)) == start else None


def started(pid: int) -> str | None:
    """When a process started, in clock ticks since boot (field 22 of /proc/PID/stat); None if there is none or it is a zombie."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else fields[19]


def named_by(pid_file: Path, argument: Path) -> list[int]:
    """The processes of a daemon's own pid file that have `argument` on their command line."""
    try:
        pids = [int(word) for word in pid_file.read_text().split()]
    except (FileNotFoundError, ValueError):
        return []
    return [pid for pid in pids if str(argument) in command_line(pid)]


def command_line(pid: int) -> list[str]:
    """The arguments of a process; none if it is gone."""
    try:
        return (PROC / str(pid) / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []


def end(pids: list[int], *, patience: float) -> None:
    """Ask processes to end and wait; kill those that have not ended after `patience` seconds."""
    births = {pid: started(pid) for pid in pids}
    for number, wait in ((signal.SIGTERM, patience), (signal.SIGKILL, 5.0)):
        alive = [pid for pid, birth in births.items() if birth and started(pid) == birth]
        for pid in alive:
            os.kill(pid, number)
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline and any(started(pid) == births[pid] for pid in alive):
            time.sleep(0.02)


def holder(port: int) -> str:
    """Who listens on a TCP port, as far as this user may see."""
    inodes = {f"socket:[{inode}]" for inode in _listening(port)}
    for process in PROC.glob("[0-9]*"):
        try:
            if any(str(fd.readlink()) in inodes for fd in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()}, pid {process.name}"
        except OSError:  # gone meanwhile, or another user's
            continue
    return "a process that this user may not see"


def _listening(port: int) -> set[str]:
    inodes = set()
    for table in (PROC / "net/tcp", PROC / "net/tcp6"):
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            fields = line.split()
            if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(fields[9])
    return inodes
