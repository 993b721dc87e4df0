"""Plugin calls, each under a deadline.

A lane is one thread that makes calls one after another. The main loop never runs plugin code itself: it hands a call to a lane and
is told of the outcome later, so it goes on turning, and the heartbeat that it sends names the call that is nearest to its
deadline. A call that hangs cannot be ended from inside the process: the supervisor ends the process.

Calls start when the main loop is about to wait. A lane that is woken earlier finds the interpreter lock taken, sleeps again and has
to be woken a second time; measured, that takes longer than what the main loop still has to do.
"""

from __future__ import annotations

import _thread
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Protocol

STACK_SIZE = 512 * 1024  # bytes of address space; Python's default is 8 MiB per thread


@dataclass(frozen=True, slots=True)
class Call:
    """A call under way: its name for people, when it began and when it is overdue (CLOCK_MONOTONIC seconds)."""

    name: str
    started: float
    deadline: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a call: its value, or the exception that it raised."""

    value: Any = None
    error: BaseException | None = None


Done = Callable[[Outcome], None]


@dataclass(frozen=True, slots=True)
class _Order:
    name: str
    function: Callable[[], Any]
    allowed: float
    done: Done


class AnyLane(Protocol):
    """What `Lanes` needs of a lane, see `Lane`."""

    current: Call | None

    @property
    def idle(self) -> bool:
        """See `Lane.idle`."""

    def call(self, name: str, function: Callable[[], Any], *, allowed: float, done: Done) -> None:
        """See `Lane.call`."""

    def start(self) -> None:
        """See `Lane.start`."""

    def close(self) -> None:
        """See `Lane.close`."""


class Lanes:
    """All lanes of a worker. ``fileno`` becomes readable when outcomes wait for `deliver`. `make` makes one of them."""

    def __init__(self, make: Callable[[Callable[[Done, Outcome], None]], AnyLane] | None = None) -> None:
        self._make = make or Lane
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._outcomes: SimpleQueue[tuple[Done, Outcome]] = SimpleQueue()
        self._lanes: dict[str, AnyLane] = {}
        self._retired: list[AnyLane] = []
        _thread.stack_size(STACK_SIZE)

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._wake

    def wake(self) -> None:
        """Make the main loop turn; may be called from any thread."""
        os.eventfd_write(self._wake, 1)

    def __getitem__(self, name: str) -> AnyLane:
        """The lane of that name, made at its first use."""
        if name not in self._lanes:
            self._lanes[name] = self._make(self._finish)
        return self._lanes[name]

    def start(self) -> None:
        """Start the calls that wait for it: the main loop has nothing else to do now."""
        for lane in self._lanes.values():
            lane.start()

    def retire(self, names: Iterable[str]) -> None:
        """Let these lanes end after what they still have to do. Until then their calls count as before."""
        for name in names:
            if lane := self._lanes.pop(name, None):
                lane.close()
                self._retired.append(lane)

    def abandon(self, name: str) -> None:
        """Let this lane end, and count its calls no more: the process may end before they do."""
        if lane := self._lanes.pop(name, None):
            lane.close()

    def deliver(self) -> None:
        """Tell the outcomes that wait, on the calling thread."""
        try:
            os.eventfd_read(self._wake)
        except BlockingIOError:
            return
        while not self._outcomes.empty():
            done, outcome = self._outcomes.get()
            done(outcome)

    def urgent(self) -> Call | None:
        """The call under way that is nearest to its deadline."""
        self._retired = [lane for lane in self._retired if not lane.idle]
        calls = [call for lane in self._all() if (call := lane.current) is not None]
        return min(calls, key=lambda call: call.deadline, default=None)

    @property
    def idle(self) -> bool:
        """Whether no call is under way or waiting."""
        return all(lane.idle for lane in self._all())

    def _all(self) -> list[AnyLane]:
        return [*self._lanes.values(), *self._retired]

    def close(self) -> None:
        """Let all lanes end, and give the descriptor back."""
        self.retire(list(self._lanes))
        os.close(self._wake)

    def _finish(self, done: Done, outcome: Outcome) -> None:
        self._outcomes.put((done, outcome))
        self.wake()


class Lane:
    """One thread; see the module."""

    def __init__(self, finish: Callable[[Done, Outcome], None]) -> None:
        self.current: Call | None = None
        self._finish = finish
        self._held: list[_Order] = []
        self._orders: SimpleQueue[_Order | None] = SimpleQueue()
        self._unfinished = 0
        # Not threading.Thread: what it sets up around a thread costs each worker 0.1 MiB, and a lane is never joined.
        _thread.start_new_thread(self._work, ())

    @property
    def idle(self) -> bool:
        """Whether everything ordered is done and told."""
        return self._unfinished == 0

    def call(self, name: str, function: Callable[[], Any], *, allowed: float, done: Done) -> None:
        """Make a call, after `start`, that may take `allowed` seconds; `done` is told the outcome on the main loop's thread."""
        self._unfinished += 1

        def finished(outcome: Outcome) -> None:
            self._unfinished -= 1
            done(outcome)

        self._held.append(_Order(name, function, allowed, finished))

    def start(self) -> None:
        """Start what was ordered."""
        if self._held:
            for order in self._held:
                self._orders.put(order)
            self._held.clear()

    def close(self) -> None:
        """End the thread once its orders are done."""
        self.start()
        self._orders.put(None)

    def _work(self) -> None:
        while (order := self._orders.get()) is not None:
            now = time.monotonic()
            # The deadline stands before plugin code is entered, so that a hang in its first instruction is seen.
            self.current = Call(order.name, now, now + order.allowed)
            try:
                outcome = Outcome(order.function())
            except BaseException as error:  # noqa: BLE001 - a plugin may raise anything; the lane must survive it
                outcome = Outcome(error=error)
            self.current = None
            self._finish(order.done, outcome)
            del order, outcome
