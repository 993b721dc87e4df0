"""What the supervisor knows of one worker, and the judgement whether it makes progress.

States::

    STOPPED ──fork──▶ STARTING ──READY──▶ UP ◀──condition──▶ DEGRADED
                          │                │                    │
                          ├────────────────┴────────────────────┤
                          ▼ overdue: silence, or a call         ▼ asked to stop
                        HUNG ──killed──┐                     STOPPING
                          died ────────┤                        │
                                       ▼                        ▼
       STARTING (at once) / BACKOFF / FAILING ──in time──▶   STOPPED, or STARTING when it was a restart
       FATAL: it said that only a changed configuration can help

A worker that is alive is judged by two signals from different places: its main loop's heartbeat, and the deadline of the plugin
call in hand. Alive is not enough, and a degraded worker is not hung: it has said what it waits for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from lighthouse.ipc.messages import Condition
from lighthouse.ipc.messages import Heartbeat as Beat
from lighthouse.plan import WorkerSpec
from lighthouse.settings import Deadlines, Heartbeat
from lighthouse.supervisor.restart import History


class WorkerState(Enum):
    """See the module."""

    STARTING = "starting"
    UP = "up"
    DEGRADED = "degraded"
    HUNG = "hung"
    BACKOFF = "backoff"
    FAILING = "failing"
    FATAL = "fatal"
    STOPPING = "stopping"
    STOPPED = "stopped"


JUDGED = frozenset({WorkerState.STARTING, WorkerState.UP, WorkerState.DEGRADED})
LIVE = JUDGED | {WorkerState.HUNG, WorkerState.STOPPING}
WAITING = frozenset({WorkerState.BACKOFF, WorkerState.FAILING})


@dataclass(frozen=True, slots=True)
class CallInHand:
    """A plugin call that a heartbeat told of; times on CLOCK_MONOTONIC."""

    name: str
    started: float
    deadline: float


@dataclass(frozen=True, slots=True)
class Exit:
    """How a life ended, in words, and when (CLOCK_MONOTONIC)."""

    reason: str
    at: float


@dataclass(slots=True)
class Worker:
    """One worker over all of its generations. Times are CLOCK_MONOTONIC seconds.

    ``due`` is when the state's own deadline falls: the end of a wait, of a stop, or of the time to dump stacks.
    ``seen`` is when it last was at its job, ready and alive.
    ``wanted`` is what plan and operator want; ``again`` that it starts anew once it has stopped.
    ``born_with`` is the digest of the configuration with which this life began, ``interval`` that of its heartbeats.
    """

    spec: WorkerSpec
    blob: bytes
    state: WorkerState = WorkerState.STOPPED
    since: float = 0.0
    wanted: bool = True
    again: bool = False
    removed: bool = False
    pid: int | None = None
    generation: int = 0
    restarts: int = 0
    born_with: str = ""
    interval: float = 0.0
    forked: float = 0.0
    heard: float = 0.0
    seen: float = 0.0
    greeted: bool = False
    ready: bool = False
    call: CallInHand | None = None
    fresh: float = 0.0
    uss: int = 0
    pss: int = 0
    degraded: str | None = None
    whole: bool = False
    fatal: str | None = None
    reason: str | None = None
    due: float | None = None
    history: History = field(default_factory=History)
    last_exit: Exit | None = None

    @property
    def live(self) -> bool:
        """Whether a process of it exists."""
        return self.state in LIVE

    @property
    def must_return(self) -> bool:
        """Whether what it left in a registry is its own to withdraw, and it has died."""
        return self.spec.kind == "discovery" and self.state in WAITING

    @property
    def at_work(self) -> bool:
        """Whether it has caught up and nothing keeps it from its job."""
        return self.state is WorkerState.UP

    @property
    def fully_read(self) -> bool:
        """Whether what it told of its source is all that there is, as far as it knows."""
        return self.whole and self.state in (WorkerState.UP, WorkerState.DEGRADED)

    def enter(self, state: WorkerState, now: float, *, due: float | None = None, reason: str | None = None) -> None:
        """Change the state."""
        if state is not self.state:
            self.since = now
        self.state, self.due, self.reason = state, due, reason

    def begin(self, heartbeat: Heartbeat) -> None:
        """Its next life is about to begin, with what it is to be now."""
        self.restarts += self.generation > 0
        self.generation += 1
        self.born_with, self.interval = self.spec.digest, heartbeat.interval

    def born(self, pid: int, now: float) -> None:
        """A process of it was started."""
        self.pid, self.forked, self.heard = pid, now, now
        self.greeted = self.ready = self.whole = False
        self.call = self.degraded = self.fatal = None
        self.uss = self.pss = 0
        self.enter(WorkerState.STARTING, now)

    def beats(self, beat: Beat, now: float) -> None:
        """It told what it is at."""
        self.call = None if beat.call is None else CallInHand(beat.call, beat.started, beat.deadline)
        self.fresh = max(self.fresh, min(beat.fresh, now))
        self.uss, self.pss = beat.uss, beat.pss

    def finds(self, condition: Condition, now: float) -> None:
        """It told what keeps it from its job, or that nothing does."""
        self.degraded, self.whole = condition.degraded, condition.whole
        if condition.fatal:
            self.fatal = condition.degraded
        self.settle(now)

    def settle(self, now: float, *, ready: bool = False) -> None:
        """Be up or degraded, once it is ready."""
        self.ready = self.ready or ready
        if self.ready and self.state in JUDGED:
            state = WorkerState.DEGRADED if self.degraded else WorkerState.UP
            self.enter(state, now, reason=self.degraded)

    def overdue(self, now: float, heartbeat: Heartbeat, deadlines: Deadlines) -> str | None:
        """Why a live worker counts as hung, or None."""
        if self.state not in JUDGED:
            return None
        if not self.greeted:
            late = now - self.forked > deadlines.hello
            return f"no sign of life {deadlines.hello:g} s after its start" if late else None
        if self.call and now > self.call.deadline + deadlines.grace:
            allowed = self.call.deadline - self.call.started
            return f"call {self.call.name!r} is past its deadline of {allowed:g} s"
        if now - self.heard > (patience := self._silence(heartbeat)):
            return f"main loop silent for {patience:g} s"
        return None

    def next_judgement(self, heartbeat: Heartbeat, deadlines: Deadlines) -> float | None:
        """When it must be looked at next."""
        if self.state not in JUDGED:
            return self.due
        if not self.greeted:
            return self.forked + deadlines.hello
        silent = self.heard + self._silence(heartbeat)
        return min(silent, self.call.deadline + deadlines.grace) if self.call else silent

    def _silence(self, heartbeat: Heartbeat) -> float:
        """How long it may be silent. It beats as it was told at its birth, whatever the settings are by now."""
        return max(heartbeat.deadline, 2 * self.interval)

    def forgive(self, late: float) -> None:
        """Push every judgement back: it was the supervisor that was late."""
        self.forked += late
        self.heard += late
        if self.call:
            self.call = CallInHand(self.call.name, self.call.started, self.call.deadline + late)
