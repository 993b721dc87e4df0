"""A log file that its one owner rotates.

A process writes its log to its descriptors 1 and 2, so that output of C code and of its children lands there too, and rotates by
putting a new file under both. Whoever inherited the old file goes on writing to it under its new name: no line is lost.

Rotation never fails loudly: where a step is refused (full disk, missing rights) the log goes on in the file that is open, and the
next call tries again.
"""

from __future__ import annotations

import os
from pathlib import Path

MODE = 0o640  # logs may tell of addresses and of plugins' secrets
STANDARD = (1, 2)


class LogFile:
    """The log at `path`, with ``path.1`` (newest) to ``path.N`` (oldest, N = `backups`) once it grew beyond `max_bytes`.

    Only one process may rotate it. Raises `OSError` when it cannot be opened at first.
    """

    def __init__(self, path: str | os.PathLike[str], max_bytes: int, backups: int) -> None:
        self._path = Path(path)
        self._max_bytes = max_bytes
        self._backups = backups
        self._attached = False
        self._fd = self._open()

    def attach(self) -> None:
        """Make it the standard output and the standard error of this process."""
        self._attached = True
        self._put_under()

    def write(self, data: bytes) -> None:
        """Append `data`. Raises `OSError`."""
        os.write(self._fd, data)

    def rotate_if_needed(self) -> bool:
        """Rotate a file that is too large, and reopen one that was moved or deleted; returns whether a new file is open.

        It costs two calls of stat when there is nothing to do. Call it from the owner's main loop.
        """
        try:
            if self._in_place():
                if os.fstat(self._fd).st_size <= self._max_bytes:
                    return False
                self._shift()
            self._replace()
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Let go of the file; what was put under 1 and 2 stays there."""
        os.close(self._fd)

    def _in_place(self) -> bool:
        try:
            there = os.stat(self._path)  # noqa: PTH116 - runs with each heartbeat of each worker
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(self._fd))

    def _shift(self) -> None:
        """Rename each file to the next number, up to the first number that is free: a repeated failure pushes nothing out."""
        names = [self._path, *(Path(f"{self._path}.{number}") for number in range(1, self._backups + 1))]
        last = next((index for index, name in enumerate(names) if not os.path.lexists(name)), self._backups)
        for index in range(last, 0, -1):
            names[index - 1].rename(names[index])

    def _replace(self) -> None:
        fd = self._open()
        old, self._fd = self._fd, fd
        self._put_under()
        os.close(old)

    def _put_under(self) -> None:
        """Each replacement is atomic: a writer meets the old file or the new one."""
        if self._attached:
            for standard in STANDARD:
                os.dup2(self._fd, standard)

    def _open(self) -> int:
        self._path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, MODE)
