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
    """An inotify descriptor over a set of directories."""

    def __init__(self) -> None:
        self._inotify = INotify(nonblocking=True)
        self._watched: dict[str, int] = {}

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return int(self._inotify.fileno())

    def follow(self, directories: Iterable[str]) -> bool:
        """Watch exactly these; returns whether one is new, in which case a change just before may have been missed."""
        before, self._watched = self._watched, {}
        for path in set(directories):
            try:
                # For a directory that is watched already this gives the same number; a new one under the old name, another.
                self._watched[path] = self._inotify.add_watch(path, _MASK)
            except OSError:
                continue  # it is gone again: the periodic reading sees what became of it
        for number in set(before.values()) - set(self._watched.values()):
            with suppress(OSError):  # the directory is gone, and its watch with it
                self._inotify.rm_watch(number)
        return bool(set(self._watched.values()) - set(before.values()))

    def drain(self) -> bool:
        """Read what is waiting; returns whether anything happened."""
        return bool(list(self._inotify.read(timeout=0)))
