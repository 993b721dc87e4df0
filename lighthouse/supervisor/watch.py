"""Being told of changes in the configuration directory. An event only says that it is time to look."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from inotify_simple import INotify, flags

_MASK = (
    flags.CLOSE_WRITE
    | flags.CREATE
    | flags.DELETE
    | flags.MOVED_FROM
    | flags.MOVED_TO
    | flags.ATTRIB
    | flags.DELETE_SELF
    | flags.MOVE_SELF
    | flags.ONLYDIR
)


class Watch:
    """An inotify descriptor over a set of directories. ``problem`` says why there is none: the periodic reading then does alone."""

    def __init__(self) -> None:
        self.problem: str | None = None
        self._inotify: INotify | None = None
        self._watched: dict[str, int] = {}

    def open(self) -> bool:
        """Have the descriptor, which the system may refuse now and grant later; returns whether it is new."""
        if self._inotify is not None:
            return False
        try:
            self._inotify = INotify(nonblocking=True)
        except OSError as error:
            self.problem = f"changes are only found by the periodic reading: inotify: {error.strerror}"
            return False
        self.problem = None
        return True

    def fileno(self) -> int:
        """The descriptor to wait on, -1 without one."""
        return -1 if self._inotify is None else int(self._inotify.fileno())

    def follow(self, directories: Iterable[str]) -> bool:
        """Watch exactly these; returns whether one is new, in which case a change just before may have been missed."""
        if self._inotify is None:
            return False
        before, self._watched = self._watched, {}
        for path in set(directories):
            try:
                # For a directory that is watched already this gives the same number; a new one under the old name, another.
                self._watched[path] = self._inotify.add_watch(path, _MASK)
            except OSError:
                continue  # it is gone again, or watches are short: the periodic reading sees what becomes of it
        for number in set(before.values()) - set(self._watched.values()):
            with suppress(OSError):  # the directory is gone, and its watch with it
                self._inotify.rm_watch(number)
        return bool(set(self._watched.values()) - set(before.values()))

    def drain(self) -> bool:
        """Read what is waiting; returns whether anything happened."""
        return self._inotify is not None and bool(list(self._inotify.read(timeout=0)))
