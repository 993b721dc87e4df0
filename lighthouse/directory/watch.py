"""Being told of changes by inotify. An event only says which directory is worth a look."""

from __future__ import annotations

import contextlib
from pathlib import Path

from inotify_simple import INotify, flags

_CHANGES = (
    flags.CREATE
    | flags.DELETE
    | flags.MOVED_FROM
    | flags.MOVED_TO
    | flags.DELETE_SELF
    | flags.MOVE_SELF
    | flags.ONLYDIR
)
_RECORDS = _CHANGES | flags.CLOSE_WRITE | flags.DONT_FOLLOW
_LOST = flags.Q_OVERFLOW | flags.UNMOUNT
_ROOT = ""


class Watch:
    """An inotify descriptor over a directory and some of the directories in it.

    Where the system grants none (its number is limited per user) everything still works, only later: see `problem`.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._numbers: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._refusals: dict[str, str] = {}
        self._inotify: INotify | None = None
        self._open()

    @property
    def problem(self) -> str | None:
        """What keeps changes from being seen at once."""
        if not self._refusals:
            return None
        name, reason = min(self._refusals.items())
        return f"changes in {Path(self._path, name)} are seen late, since inotify refuses: {reason} (see fs.inotify in sysctl)"

    def fileno(self) -> int | None:
        """The descriptor to wait on, if there is one."""
        return None if self._inotify is None else int(self._inotify.fileno())

    def follow(self, name: str = _ROOT) -> None:
        """Watch a directory, or what is now in its place. To be called before it is read, so that no change falls in between.

        With the root it tries again to have what the system refused.
        """
        if self._inotify is None and name == _ROOT:
            self._open()
        if self._inotify is None:
            return
        self._refusals.pop(name, None)
        try:
            number = self._inotify.add_watch(str(Path(self._path, name)), _RECORDS if name else _CHANGES)
        except OSError as error:
            if not isinstance(error, FileNotFoundError | NotADirectoryError):
                self._refusals[name] = str(error.strerror)
            self.drop(name)
            return
        if self._numbers.get(name) != number:
            self.drop(name)
            self._numbers[name] = number
            self._names[number] = name

    def follows(self, name: str = _ROOT) -> bool:
        """Whether changes in that directory are told."""
        return name in self._numbers

    def drop(self, name: str) -> None:
        """Watch a directory no longer."""
        number = self._numbers.pop(name, None)
        if number is not None and self._inotify is not None:
            self._names.pop(number, None)
            with contextlib.suppress(OSError):  # the directory is gone, and its watch with it
                self._inotify.rm_watch(number)

    def drain(self) -> set[str] | None:
        """Read what is waiting; returns the directories worth a look, None for all of them."""
        touched: set[str] = set()
        for event in self._inotify.read(timeout=0) if self._inotify is not None else ():
            name = self._names.get(event.wd)
            if event.mask & _LOST:
                return None
            if name is None:
                continue
            if event.mask & flags.IGNORED:
                del self._names[event.wd], self._numbers[name]
            if event.mask & (flags.IGNORED | flags.DELETE_SELF | flags.MOVE_SELF):
                if name == _ROOT:
                    return None
                touched.add(name)
            elif name == _ROOT:
                touched.add(event.name)
            elif not event.name.startswith("."):
                touched.add(name)
        return touched

    def _open(self) -> None:
        try:
            self._inotify = INotify(nonblocking=True)
        except OSError as error:
            self._refusals[_ROOT] = str(error.strerror)

    def close(self) -> None:
        """Give the descriptor back."""
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None
