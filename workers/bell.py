"""The descriptor by which a plugin calls for its worker's attention."""

from __future__ import annotations

import logging
from collections.abc import Callable

from lighthouse.workers.runtime import Runtime

log = logging.getLogger(__name__)


class Bell:
    """Calls `rung` once when the descriptor is readable; until `follow` it is not watched again, so that the loop can rest."""

    def __init__(self, runtime: Runtime, rung: Callable[[], None]) -> None:
        self._runtime = runtime
        self._rung = rung
        self._fd: int | None = None
        self._problem = ""

    def follow(self, fd: int | None) -> None:
        """Watch this descriptor, or none. Even under the same number it may be another one: who closed the first gets it again.

        One that cannot be watched, perhaps because the plugin has closed it since, is left out: whom it calls comes by in any case.
        """
        self.drop()
        if fd is None:
            return
        try:
            self._runtime.watch(fd, self._called)
        except (KeyError, OSError, ValueError) as error:
            problem = f"descriptor {fd!r} of the plugin cannot be waited for: {error}"
            if problem != self._problem:
                log.warning("%s", problem)
            self._problem = problem
        else:
            self._fd = fd

    def drop(self) -> None:
        """Watch none."""
        if self._fd is not None:
            self._runtime.unwatch(self._fd)
            self._fd = None

    def _called(self) -> None:
        self.drop()
        self._rung()
