"""The descriptor by which a plugin calls for its worker's attention."""

from __future__ import annotations

from collections.abc import Callable

from lighthouse.workers.runtime import Runtime


class Bell:
    """Calls `rung` once when the descriptor is readable; until `follow` it is not watched again, so that the loop can rest."""

    def __init__(self, runtime: Runtime, rung: Callable[[], None]) -> None:
        self._runtime = runtime
        self._rung = rung
        self._fd: int | None = None

    def follow(self, fd: int | None) -> None:
        """Watch this descriptor, or none. Even under the same number it may be another one: who closed the first gets it again."""
        self.drop()
        if fd is not None:
            self._fd = fd
            self._runtime.watch(fd, self._called)

    def drop(self) -> None:
        """Watch none."""
        if self._fd is not None:
            self._runtime.unwatch(self._fd)
            self._fd = None

    def _called(self) -> None:
        self.drop()
        self._rung()
