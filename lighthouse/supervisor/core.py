"""The supervisor's decisions: what happens, and what is to be done about it. No process, no socket, no clock.

Every method takes the time (CLOCK_MONOTONIC seconds) and returns actions. The caller keeps this order within one turn: frames
before exits, exits before ticks, ticks before commands, so that last words are heard and nobody is judged by silence that was only
unread.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from lighthouse.ipc.boot import CONFIG_TOPIC, EXIT_CONFIG, EXPLAIN_TOPIC
from lighthouse.ipc.errors import ProtocolError
from lighthouse.ipc.frames import Frame, Kind
from lighthouse.ipc.messages import Condition, Heartbeat, Hello, Stop, pack
from lighthouse.plan import KINDS, Plan, WorkerSpec
from lighthouse.service_state import Order, Will
from lighthouse.settings import Settings
from lighthouse.supervisor.actions import Action, DumpStacks, Finish, Fork, Kill, Log, Send
from lighthouse.supervisor.restart import History
from lighthouse.supervisor.store import Store
from lighthouse.supervisor.worker import JUDGED, WAITING, Exit, Worker, WorkerState

STOP_ORDER = tuple(reversed(KINDS))
"""Who tells stops first, who is told last."""


@dataclass(slots=True)
class Core:
    """All workers, the plan that they follow, and the state that is kept for them."""

    settings: Settings = field(default_factory=Settings)
    plan: Plan = field(default_factory=Plan)
    store: Store = field(default_factory=Store)
    workers: dict[str, Worker] = field(default_factory=dict)
    jitter: Callable[[float, float], float] = random.uniform
    wall: Callable[[], float] = time.time
    epoch: int = 0
    unsolicited: int = 0
    stopping: bool = False
    hurried: bool = False

    # What should run

    def adopt(self, plan: Plan, blobs: Mapping[str, bytes], now: float) -> list[Action]:
        """Follow a new plan. `blobs` holds each worker's own configuration, packed."""
        if self.stopping:
            return []
        self.epoch += plan != self.plan
        before, self.plan, self.settings = self.plan, plan, Settings.from_mapping(plan.settings)
        self.store.forget(plan)
        actions: list[Action] = []
        for worker in list(self.workers.values()):
            if worker.spec.id not in plan.workers:
                worker.wanted, worker.again, worker.removed = False, False, True
                actions += self._tell(self.store.parting(before, plan, worker.spec))
                actions += self._stop(worker, now, withdraw=True)
        self._drop_removed()
        for spec in sorted(plan.workers.values(), key=lambda spec: KINDS.index(spec.kind)):
            actions += self._follow(spec, blobs[spec.id], now)
        return actions + self._announce()  # also to one without services any more: it has to withdraw them

    def _follow(self, spec: WorkerSpec, blob: bytes, now: float) -> list[Action]:
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
            withdraw = (withdraw or self.store.withdrawing) and worker.spec.kind == "discovery"
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

    # What happens

    def forked(self, name: str, pid: int, now: float) -> None:
        """A process was started for the worker's next generation (see `next_generation`)."""
        self.workers[name].born(pid, now)

    def next_generation(self, name: str) -> int:
        """The number of the life that is about to begin."""
        worker = self.workers[name]
        worker.begin(self.settings.heartbeat)
        return worker.generation

    def fork_failed(self, name: str, reason: str, now: float) -> list[Action]:
        """No process could be started: wait as after a death."""
        worker = self.workers[name]
        worker.pid = None
        return [
            Log(logging.ERROR, f"{name} cannot be started: {reason}"),
            *self._bury(worker, f"fork failed: {reason}", now, 0.0),
        ]

    def frame(self, name: str, frame: Frame, now: float) -> list[Action]:
        """A worker said something. Raises `ProtocolError` when it is not what a worker may say."""
        worker = self.workers[name]
        if frame.generation != worker.generation:
            self.unsolicited += 1
            return []
        worker.heard = now
        if worker.ready:
            worker.seen = now
        match frame.kind:
            case Kind.HELLO:
                Hello.read(frame)
                worker.greeted = True
            case Kind.READY:
                worker.settle(now, ready=True)
            case Kind.HEARTBEAT:
                worker.beats(Heartbeat.read(frame), now)
            case Kind.CONDITION:
                worker.finds(Condition.read(frame), now)
            case Kind.SNAPSHOT:
                accepted = self.store.accept(self.plan, worker.spec, frame.topic, frame.payload)
                if accepted is None:
                    self.unsolicited += 1
                    return []
                self.store.times[frame.topic] = now
                return self._tell(accepted.tell)
            case _:
                raise ProtocolError(f"{frame.kind.name} is not for a worker to say")
        return []

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
        return actions + self._proceed(now)

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

    def tick(self, now: float) -> list[Action]:
        """Judge everybody, and do what has fallen due."""
        actions: list[Action] = []
        for worker in self.workers.values():
            actions += self._judge(worker, now)
        return actions + self._expire(now) + self._proceed(now)

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

    def next_deadline(self, now: float) -> float | None:
        """When `tick` must be called at the latest."""
        heartbeat, deadlines = self.settings.heartbeat, self.settings.deadlines
        times = [worker.next_judgement(heartbeat, deadlines) for worker in self.workers.values()]
        if (expiry := self.store.orders.next()) is not None:
            times.append(now + max(0.0, expiry - self.wall()))
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

    def order(self, services: Iterable[str], kind: Will, order: Order | None) -> list[Action]:
        """Order it of these services, or (None) take that order back. Raises `KeyError` for an unknown one."""
        for service in services:
            if order is None:
                self.store.orders.take_back(service, kind)
            else:
                self.store.orders.give(service, kind, order)
        self.store.keep_orders()
        return self._announce()

    def _expire(self, now: float) -> list[Action]:
        """End the orders that end by themselves."""
        wall = self.wall()
        moved, over = self.store.orders.follow(wall, now), self.store.orders.expire(wall)
        if moved or over:
            self.store.keep_orders()
        if not over:
            return []
        said = [Log(logging.INFO, f"service {service}: its {kind.value} is over") for service, kind in over]
        return [*said, *self._announce()]

    def _announce(self) -> list[Action]:
        """Tell every discovery what is to be announced, where that has changed."""
        names = [spec.id.partition("/")[2] for spec in self.plan.workers.values() if spec.kind == "discovery"]
        return [action for name in names for action in self._tell(self.store.announcements(self.plan, name))]

    def accept(self, cluster: str, now: float) -> list[Action]:
        """Confirm that the members of a cluster that are held have really gone. Raises `KeyError` for an unknown cluster."""
        return self._tell(self.store.confirm(self.plan, cluster, now))

    def explain(self, cluster: str, now: float) -> list[Action]:
        """Have every balancer say what its load balancer says of a cluster right now; they answer with a snapshot each."""
        question = pack({"cluster": cluster, "asked": now})
        balancers = [name for name, worker in self.workers.items() if worker.spec.kind == "balancer"]
        return self._tell(dict.fromkeys(balancers, (EXPLAIN_TOPIC, question)))

    def shut_down(self, now: float) -> list[Action]:
        """Stop everything, in order. Asked a second time it hurries."""
        if self.stopping:
            self.hurried = True
            for worker in self.workers.values():
                if worker.state is WorkerState.STOPPING and worker.due is not None:
                    worker.due = min(worker.due, now + self._patience())
            return []
        self.stopping = True
        self.store.withdrawing = self.settings.on_stop == "withdraw"
        return self._announce() + self._proceed(now)

    def _proceed(self, now: float) -> list[Action]:
        """While shutting down: stop the next kind once the one before has stopped."""
        if not self.stopping:
            return []
        actions: list[Action] = []
        for kind in STOP_ORDER:
            workers = [worker for worker in self.workers.values() if worker.spec.kind == kind]
            for worker in workers:
                actions += self._stop(worker, now)
            if any(worker.live for worker in workers):
                return actions
        return [*actions, Finish()]

    def freshness(self, now: float) -> dict[str, float]:
        """When each discovery last had a complete answer (unix time, whole seconds)."""
        offset = self.wall() - now
        known = [worker for worker in self.workers.values() if worker.fresh and worker.spec.kind == "discovery"]
        return {worker.spec.id: round(offset + worker.fresh) for worker in known}

    def _tell(self, told: Mapping[str, tuple[str, bytes]]) -> list[Action]:
        return [
            Send(name, Frame(Kind.SNAPSHOT, payload, topic))
            for name, (topic, payload) in told.items()
            if name in self.workers and self.workers[name].state in JUDGED
        ]
