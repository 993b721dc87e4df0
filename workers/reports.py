"""When a balancer's reports are told: each tells of all clusters, so they are not told as often as something changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from lighthouse.ipc.messages import pack
from lighthouse.workers.lanes import Outcome
from lighthouse.workers.runtime import Runtime

LEAST = 0.2  # seconds between two reports


class Reports:
    """The newest report, and whether it was told. `refused` is called with the error of one that cannot be packed."""

    def __init__(self, runtime: Runtime, refused: Callable[[BaseException], None]) -> None:
        self._runtime = runtime
        self._refused = refused
        self._told = 0.0
        self._untold: Mapping[str, Any] | None = None
        self._last: Mapping[str, Any] = {}

    @property
    def are_due(self) -> bool:
        """Whether the next one is to be told at once, and so to be packed where it is made."""
        return time.monotonic() - self._told >= LEAST

    def add(self, report: Mapping[str, Any], packed: bytes | None) -> None:
        """Tell this one, at once if it is `packed`."""
        self._last = report
        if packed is None:
            self._untold = report
            self._runtime.after(LEAST, self._tell, name="report")
        else:
            self._untold = None
            self._tell_packed(packed)

    def fail(self, about: Mapping[str, Any]) -> None:
        """Tell the last one again, at once, with what is otherwise now."""
        self._untold = {**self._last, **about}
        self._tell()

    def _tell(self) -> None:
        """Tell the newest one, if it was not yet."""
        if self._untold is not None:
            report, self._untold = self._untold, None
            self._runtime.call("report", lambda: pack(report), self._reported)

    def _reported(self, outcome: Outcome) -> None:
        if outcome.error is None:
            self._tell_packed(outcome.value)
        else:  # as from a sync that tells at once
            self._last = {}
            self._refused(outcome.error)

    def _tell_packed(self, packed: bytes) -> None:
        self._told = time.monotonic()
        self._runtime.report(packed)
