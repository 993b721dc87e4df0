"""Reading a log file that its owner rotates: ``path`` is the newest, then ``path.1``, ``path.2`` and so on.

All functions block on the file and, while they wait for more, sleep in short steps.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from itertools import count, pairwise, takewhile
from pathlib import Path
from typing import IO

BLOCK = 64 * 1024
POLL = 0.2  # seconds between two looks at a file that is followed
QUIET = 0.3  # seconds without growth after which a dump counts as whole
PATIENCE = 5.0  # seconds that a dump may take
MAX_DUMP = 4 * 1024 * 1024  # bytes


def rotated(path: Path) -> list[Path]:
    """The files of a log, newest first, as far as they exist."""
    older = (Path(f"{path}.{number}") for number in count(1))
    return [item for item in (path,) if item.exists()] + list(takewhile(Path.exists, older))


def last_lines(files: Sequence[Path], wanted: int) -> list[bytes]:
    """The last lines, without their newlines, of a log given as its files, newest first. Raises `OSError`."""
    lines: list[bytes] = []
    for item in files:
        if len(lines) >= wanted:
            break
        with item.open("rb") as file:
            lines = tail(file, wanted - len(lines)) + lines
    return lines


def tail(file: IO[bytes], wanted: int) -> list[bytes]:
    """The last lines of one file, read backwards in blocks; it is left at the end of what was read."""
    end = file.seek(0, os.SEEK_END)
    position, data = end, b""
    while position > 0 and data.count(b"\n") <= wanted:
        step = min(BLOCK, position)
        position = file.seek(position - step)
        data = file.read(step) + data
    file.seek(end)
    lines = data.removesuffix(b"\n").split(b"\n") if data else []
    return lines[-wanted:] if wanted > 0 else []


def follow(path: Path, wanted: int) -> Iterator[bytes]:
    """The last lines, then each further one for ever, across rotations. Raises `OSError` where the log is not there."""
    file: IO[bytes] = path.open("rb")
    try:
        missing = wanted - len(newest := tail(file, wanted))
        if missing > 0:
            yield from last_lines(rotated(path)[1:], missing)
        rest = newest.pop() if newest and not _ends_with_newline(file) else b""
        yield from newest
        while True:
            data = file.read(BLOCK)
            lines, rest = _complete(rest + data)
            yield from lines
            if not data:
                file = _current(file, path)
    finally:
        file.close()


def _ends_with_newline(file: IO[bytes]) -> bool:
    """Whether the file's last line is whole; the position stays at the end."""
    file.seek(-1, os.SEEK_CUR)
    return file.read(1) == b"\n"


def _complete(data: bytes) -> tuple[list[bytes], bytes]:
    """Whole lines and what is left; a line without end is cut, so that memory stays bounded."""
    *lines, rest = data.split(b"\n")
    return ([*lines, rest], b"") if len(rest) > BLOCK else (lines, rest)


def _current(file: IO[bytes], path: Path) -> IO[bytes]:
    """Where to read on once `file` is read out: the same one after a pause, or the one that followed it."""
    newer = successor(path, os.fstat(file.fileno()).st_ino)
    if newer is None:
        time.sleep(POLL)
        if os.fstat(file.fileno()).st_size < file.tell():  # it was truncated in place
            file.seek(0)
        return file
    if data := file.read(1):  # it grew between the last read and its rotation
        file.seek(-len(data), os.SEEK_CUR)
        return file
    following = newer.open("rb")
    file.close()
    return following


def successor(path: Path, inode: int) -> Path | None:
    """The file that came after the one with this inode; None while that is the newest, or none is there just now."""
    try:
        files = [(item, item.stat().st_ino) for item in rotated(path)]
    except FileNotFoundError:  # renamed while we looked
        return None
    if not files or files[0][1] == inode:
        return None
    for (newer, _), (_, number) in pairwise(files):
        if number == inode:
            return newer
    return files[-1][0]


def settled(path: Path, offset: int, *, quiet: float = QUIET, patience: float = PATIENCE) -> bytes:
    """What is written behind `offset`, once something was and nothing more came for `quiet` seconds; b"" if nothing came."""
    deadline = time.monotonic() + patience
    size, changed = offset, time.monotonic()
    while time.monotonic() < deadline:
        now = _size(path)
        if now != size:
            size, changed = now, time.monotonic()
        elif size != offset and time.monotonic() - changed >= quiet:
            break
        time.sleep(0.02)
    if size == offset:
        return b""
    with path.open("rb") as file:
        file.seek(offset if size > offset else 0)  # a smaller file is a new one: the log was rotated meanwhile
        return file.read(MAX_DUMP)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # between the two renames of a rotation
        return 0
