"""One registry by way of its plugin: which configuration the plugin has, whether it is connected, and what it said last."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from lighthouse.discovery import Discovery
from lighthouse.exact import same
from lighthouse.workers.bell import Bell
from lighthouse.workers.calls import Maintained
from lighthouse.workers.runtime import Runtime


class Registry:
    """What the plugin says goes on to the supervisor; `rung` is called when it has something to say.

    ``plugin`` is None before one has accepted a configuration. ``whole``: its last answer was complete; ``degraded``: what it says
    is wrong.
    """

    def __init__(self, runtime: Runtime, rung: Callable[[], None]) -> None:
        self.plugin: Discovery | None = None
        self.connected = False
        self.whole = False
        self.degraded: str | None = None
        self._runtime = runtime
        self._bell = Bell(runtime, rung)
        self._applied: dict[str, Any] | None = None
        self._refused: dict[str, Any] | None = None
        self._handed = b""
        self._told = b""

    def lacks(self, config: dict[str, Any]) -> bool:
        """Whether the plugin has another configuration than this, and has not refused it either."""
        return not same(config, self._applied) and not same(config, self._refused)

    def refused(self, config: dict[str, Any] | None) -> None:
        """The plugin goes on as it was until there is another configuration than this; None lets all be tried again."""
        self._refused = config

    def built(self, applied: dict[str, Any], plugin: Discovery) -> bool:
        """`plugin` has this configuration now. Whether it is another object, which neither is connected nor watches anything."""
        self._applied, self._refused = applied, None
        if plugin is self.plugin:
            return False
        self._bell.drop()
        self.connected = self.whole = False
        self.degraded = None
        self.plugin = plugin
        return True

    def maintained(self, value: Maintained) -> None:
        """Pass on what `maintain` left."""
        self.whole = value.report.complete
        if self.whole:
            self._runtime.fresh = time.monotonic()
        self.degraded = value.report.degraded
        self.hand_over(value.handover)
        if value.told != self._told:
            self._told = value.told
            self._runtime.report(value.told)
        self._bell.follow(value.fd)

    def hand_over(self, secret: bytes) -> None:
        """Keep this for the next generation."""
        if secret != self._handed:
            self._handed = secret
            self._runtime.hand_over(secret)
