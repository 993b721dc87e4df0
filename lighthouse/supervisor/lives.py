"""The lives of the workers: who is started, stopped, judged and started again, and when. What they do is of no interest here.

Pure, as `core`: every method takes the time (CLOCK_MONOTONIC seconds) and returns actions.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from lighthouse.ipc.boot import CONFIG_TOPIC, EXIT_CONFIG
from lighthouse.ipc.frames import Frame, Kind
from lighthouse.ipc.messages import Stop
from lighthouse.plan import KINDS, WorkerSpec
from lighthouse.settings import Settings
from lighthouse.supervisor.actions import Action, DumpStacks, Finish, Fork, Kill, Log, Send
from lighthouse.supervisor.restart import History
from lighthouse.supervisor.worker import JUDGED, WAITING, Exit, Worker, WorkerState

STOP_ORDER = tuple(reversed(KINDS))
"""Who tells stops first, who is told last."""


@dataclass(slots=True)
class Lives:
    """All workers, by id. ``stopping`` says that none is started any more, ``hurried`` that they get less time to stop."""

    settings: Settings = field(default_factory=Settings)
    workers: dict[str, Worker] = field(default_factory=dict)
    jitter: Callable[[float, float], float] = random.uniform
    stopping: bool = False
    hurried: bool = False

    # What should run

    def surplus(self, wanted: Collection[str]) -> list[Worker]:
        """The workers that are none of the `wanted`."""
        return [worker for worker in self.workers.values() if worker.spec.id not in wanted]

    def remove(self, worker: Worker, now: float) -> list[Action]:
        """Stop it for good; a discovery withdraws what it was told to, and one that died is started once more for that."""
        worker.wanted, worker.again, worker.removed = False, False, True
        if worker.must_return:
            worker.enter(WorkerState.STOPPING, now)
            return [Fork(worker.spec.id)]
        actions = self._stop(worker, now, withdraw=True)
        self._drop_removed()
        return actions

    def follow(self, spec: WorkerSpec, blob: bytes, now: float) -> list[Action]:
        """Have a worker of this kind with this configuration."""
        worker = self.workers.get(spec.id)
        if worker is None:
            worker = self.workers[spec.id] = Worker(spec, blob, since=now, seen=now)
            return self._start(worker)
        if worker.removed:  # it came back before the old process had ended
            worker.removed, worker.wanted, worker.again = False, True, True
            worker.spec, worker.blob = spec, blob
            return []
        changed = worker.spec.digest != spec.digest
        worker.spec, worker.blob = spec, blob
        if not changed:
            return []
        if worker.state in JUDGED:
            return [Send(spec.id, Frame(Kind.SNAPSHOT, blob, CONFIG_TOPIC))]
        if worker.state is WorkerState.FATAL or worker.state in WAITING:
            worker.history = History()  # what failed was another configuration
            return self._start(worker)
        return []

    def _start(self, worker: Worker) -> list[Action]:
        return [Fork(worker.spec.id)] if worker.wanted and not self.stopping else []

    def _stop(self, worker: Worker, now: float, *, withdraw: bool = False) -> list[Action]:
        if worker.state in JUDGED:
            worker.enter(WorkerState.STOPPING, now, due=now + self._patience())
            withdraw = withdraw and worker.spec.kind == "discovery"
            return [Send(worker.spec.id, Stop(withdraw, self._patience()).frame())]
        if not worker.live:
            worker.enter(WorkerState.STOPPED, now)
        return []

    def _patience(self) -> float:
        deadlines = self.settings.deadlines
        return min(deadlines.stop, deadlines.hurry) if self.hurried else deadlines.stop

    def _drop_removed(self) -> None:
        for worker in [worker for worker in self.workers.values() if worker.removed and not worker.live]:
            del self.workers[worker.spec.id]

    def tell(self, told: Mapping[str, tuple[str, bytes]]) -> list[Action]:
        """Tell each of these workers a snapshot, its topic and payload, if it lives and is to live on."""
        return [
            Send(name, Frame(Kind.SNAPSHOT, payload, topic))
            for name, (topic, payload) in told.items()
            if name in self.workers and self.workers[name].state in JUDGED
        ]

    # What happens

    def forked(self, name: str, pid: int, now: float) -> list[Action]:
        """A process was started for the worker's next generation (see `next_generation`)."""
        worker = self.workers[name]
        worker.born(pid, now)
        return self._stop(worker, now, withdraw=True) if worker.removed else []

    def next_generation(self, name: str) -> int:
        """The number of the life that is about to begin."""
        worker = self.workers[name]
        worker.begin(self.settings.heartbeat)
        return worker.generation

    def fork_failed(self, name: str, reason: str, now: float) -> list[Action]:
        """No process could be started: wait as after a death."""
        worker = self.workers[name]
        worker.pid = None
        actions = self._bury(worker, f"fork failed: {reason}", now, 0.0)
        self._drop_removed()
        return [Log(logging.ERROR, f"{name} cannot be started: {reason}"), *actions]

    def violation(self, name: str, reason: str, now: float) -> list[Action]:
        """A worker broke the protocol, or no longer reads: it cannot be trusted any more."""
        worker = self.workers[name]
        if not worker.live:
            return []
        worker.enter(WorkerState.HUNG, now, reason=reason)
        return [Log(logging.ERROR, f"{name} is killed: {reason}"), Kill(name)]

    def exited(self, name: str, how: str, code: int | None, now: float) -> list[Action]:
        """A worker's process has ended and is reaped; `how` says in words, `code` is its exit code if it had one."""
        worker = self.workers[name]
        worker.pid = None
        if worker.state is WorkerState.HUNG and worker.reason:
            how = f"{how} ({worker.reason})"
        actions: list[Action] = []
        if worker.state is WorkerState.STOPPING:
            self._rest(worker, WorkerState.STOPPED, how, now)
            if worker.again and not worker.removed:
                worker.again = False
                actions += self._start(worker)
        elif (worker.fatal is not None or code == EXIT_CONFIG) and worker.born_with != worker.spec.digest:
            # It was told of a newer configuration, and may have ended before it has read it.
            self._rest(worker, WorkerState.STOPPED, how, now)
            actions += self._start(worker)
        elif worker.fatal is not None or code == EXIT_CONFIG:
            reason = worker.fatal or "its configuration is refused"
            self._rest(worker, WorkerState.FATAL, how, now, reason=reason)
            actions.append(Log(logging.ERROR, f"{name} waits for a changed configuration: {reason}"))
        elif (
            code == 0
            and worker.state in JUDGED
            and (renewed := worker.history.after_renewal(now, self.settings.restart))
        ):
            worker.history = renewed
            self._rest(worker, WorkerState.STOPPED, "it wanted a fresh process", now)
            actions.append(Log(logging.INFO, f"{name}, generation {worker.generation}, wanted a fresh process"))
            actions += self._start(worker)
        else:
            actions.append(Log(logging.WARNING, f"{name}, generation {worker.generation}: {how}"))
            actions += self._bury(worker, how, now, now - worker.forked)
        self._drop_removed()
        return actions

    def _rest(self, worker: Worker, state: WorkerState, how: str, now: float, *, reason: str | None = None) -> None:
        """Its life is over, and nothing is wrong with that, or nothing that time could heal."""
        worker.last_exit, worker.call = Exit(how, now), None
        worker.enter(state, now, reason=reason)

    def _bury(self, worker: Worker, how: str, now: float, uptime: float) -> list[Action]:
        if not worker.wanted or self.stopping:
            self._rest(worker, WorkerState.STOPPED, how, now)
            return []
        worker.last_exit, worker.call = Exit(how, now), None
        rules, was_failing = self.settings.restart, worker.history.failing
        worker.again = False
        worker.history = worker.history.after_death(now, uptime, rules)
        delay, failing = worker.history.delay(rules, self.jitter), worker.history.failing
        if worker.spec.kind == "discovery":
            delay = min(delay, rules.discovery)  # nobody else keeps the announcements of this host alive
        worker.enter(WorkerState.FAILING if failing else WorkerState.BACKOFF, now, due=now + delay, reason=how)
        if failing and not was_failing:
            text = f"died {rules.burst} times within {rules.window:g} s: tried in {delay:.0f} s, and so on from now on"
            return [Log(logging.ERROR, f"{worker.spec.id} {text}")]
        return [] if delay else self._start(worker)

    def judge(self, now: float) -> list[Action]:
        """Judge everybody, and do what has fallen due."""
        return [action for worker in self.workers.values() for action in self._judge(worker, now)]

    def _judge(self, worker: Worker, now: float) -> list[Action]:
        name = worker.spec.id
        if reason := worker.overdue(now, self.settings.heartbeat, self.settings.deadlines):
            worker.enter(WorkerState.HUNG, now, due=now + self.settings.deadlines.dump, reason=reason)
            return [Log(logging.ERROR, f"{name} hangs: {reason}; its stacks go to its log"), DumpStacks(name)]
        if worker.due is None or now < worker.due:
            return []
        worker.due = None
        if worker.state is WorkerState.HUNG:
            return [Kill(name)]
        if worker.state is WorkerState.STOPPING:
            return [Log(logging.WARNING, f"{name} did not stop in time and is killed"), Kill(name)]
        return self._start(worker)

    def next_deadline(self) -> float | None:
        """When `judge` must be called at the latest."""
        heartbeat, deadlines = self.settings.heartbeat, self.settings.deadlines
        times = [worker.next_judgement(heartbeat, deadlines) for worker in self.workers.values()]
        return min((when for when in times if when is not None), default=None)

    def forgive(self, late: float) -> None:
        """The supervisor itself was late by so many seconds: nobody is judged for them."""
        for worker in self.workers.values():
            worker.forgive(late)

    # What operators ask. Each raises KeyError for a worker that does not exist.

    def restart(self, name: str, now: float) -> list[Action]:
        """Stop it in an orderly way and start it at once; also the way out of waiting and of fatal."""
        worker = self.workers[name]
        worker.wanted = True
        worker.history = History()
        if worker.live:
            worker.again = True
            return self._stop(worker, now)
        return self._start(worker)

    def stop(self, name: str, now: float) -> list[Action]:
        """Stop it until somebody starts it."""
        worker = self.workers[name]
        worker.wanted = worker.again = False
        return self._stop(worker, now)

    def start(self, name: str, now: float) -> list[Action]:
        """Start one that does not run."""
        worker = self.workers[name]
        worker.wanted = True
        if worker.live:
            worker.again = worker.state is WorkerState.STOPPING or worker.again
            return []
        worker.enter(worker.state, now)
        return self._start(worker)

    # The end

    def hurry(self, now: float) -> None:
        """Whoever is stopping gets less time for it."""
        self.hurried = True
        for worker in self.workers.values():
            if worker.state is WorkerState.STOPPING and worker.due is not None:
                worker.due = min(worker.due, now + self._patience())

    def proceed(self, now: float, *, withdraw: bool) -> list[Action]:
        """While `stopping`: stop the next kind once the one before has stopped."""
        if not self.stopping:
            return []
        actions: list[Action] = []
        for kind in STOP_ORDER:
            workers = [worker for worker in self.workers.values() if worker.spec.kind == kind]
            for worker in workers:
                actions += self._stop(worker, now, withdraw=withdraw)
            if any(worker.live for worker in workers):
                return actions
        return [*actions, Finish()]
