"""What the loop waits for: the selector, and the order in which one turn takes what is ready."""

from __future__ import annotations

import selectors
from collections.abc import Callable
from typing import Any

FRAMES, EXITS, REST = range(3)
"""The order within a turn."""

Ready = Callable[[int], None]
"""What to call with the mask of events when a source is ready."""


class Sources:
    """Descriptors, each with its order and what to call when it is ready."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def add(self, source: Any, order: int, function: Ready) -> None:
        """Wait until it is readable."""
        self._selector.register(source, selectors.EVENT_READ, (order, function))

    def wait_for(self, source: Any, events: int) -> None:
        """Wait for these events of a source that was added."""
        key = self._selector.get_key(source)
        if key.events != events:
            self._selector.modify(source, events, key.data)

    def remove(self, source: Any) -> None:
        """Wait for it no longer."""
        self._selector.unregister(source)

    def wait(self, seconds: float) -> tuple[list[Callable[[], None]], list[Callable[[], None]]]:
        """Wait until something is ready; returns the calls to make for frames and exits, in this order, and those for the rest."""
        events = sorted(self._selector.select(seconds), key=lambda event: event[0].data[0])
        first = [_call(key.data[1], mask) for key, mask in events if key.data[0] < REST]
        return first, [_call(key.data[1], mask) for key, mask in events if key.data[0] == REST]


def _call(function: Ready, mask: int) -> Callable[[], None]:
    return lambda: function(mask)
