"""The supervisor's decisions: what happens, and what is to be done about it. No process, no socket, no clock.

The lives of the workers are decided in `lives`; what they tell each other, and what operators order, is decided here.

Every method takes the time (CLOCK_MONOTONIC seconds) and returns actions. The caller keeps this order within one turn: frames
before exits, exits before ticks, ticks before commands, so that last words are heard and nobody is judged by silence that was only
unread.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from lighthouse.ipc.boot import EXPLAIN_TOPIC
from lighthouse.ipc.errors import ProtocolError
from lighthouse.ipc.frames import Frame, Kind
from lighthouse.ipc.messages import Condition, Heartbeat, Hello, pack
from lighthouse.plan import KINDS, Plan
from lighthouse.service_state import Order, Will
from lighthouse.settings import Settings
from lighthouse.supervisor.actions import Action, Log
from lighthouse.supervisor.lives import Lives
from lighthouse.supervisor.store import Store
from lighthouse.supervisor.worker import Worker


@dataclass(slots=True)
class Core:
    """All workers, the plan that they follow, and the state that is kept for them."""

    lives: Lives = field(default_factory=Lives)
    plan: Plan = field(default_factory=Plan)
    store: Store = field(default_factory=Store)
    wall: Callable[[], float] = time.time
    epoch: int = 0
    unsolicited: int = 0

    @property
    def settings(self) -> Settings:
        """What is in force."""
        return self.lives.settings

    @property
    def workers(self) -> Mapping[str, Worker]:
        """By id."""
        return self.lives.workers

    @property
    def stopping(self) -> bool:
        """Whether the end has begun."""
        return self.lives.stopping

    def adopt(self, plan: Plan, blobs: Mapping[str, bytes], now: float) -> list[Action]:
        """Follow a new plan. `blobs` holds each worker's own configuration, packed."""
        if self.stopping:
            return []
        self.epoch += plan != self.plan
        before, self.plan, self.lives.settings = self.plan, plan, Settings.from_mapping(plan.settings)
        surplus, actions = self.lives.surplus(plan.workers), list[Action]()
        self.store.forget(plan, [worker.spec.id for worker in surplus if worker.must_return])
        for worker in surplus:
            actions += self.lives.tell(self.store.parting(before, plan, worker.spec))
            actions += self.lives.remove(worker, now)
        for spec in sorted(plan.workers.values(), key=lambda spec: KINDS.index(spec.kind)):
            if before.workers.get(spec.id) not in (None, spec):
                for kept in self.store.legacy(before, plan, spec).items():
                    actions += self.lives.tell({spec.id: kept})
            actions += self.lives.follow(spec, blobs[spec.id], now)
        return actions + self._announce()  # also to one without services any more: it has to withdraw them

    # What happens

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
                return self.lives.tell(accepted.tell)
            case _:
                raise ProtocolError(f"{frame.kind.name} is not for a worker to say")
        return []

    def exited(self, name: str, how: str, code: int | None, now: float) -> list[Action]:
        """A worker's process has ended and is reaped; `how` says in words, `code` is its exit code if it had one."""
        actions = self.lives.exited(name, how, code, now)
        if name not in self.workers:
            self.store.forget(self.plan)  # what was kept for a discovery that came back to withdraw
        return actions + self._proceed(now)

    def tick(self, now: float) -> list[Action]:
        """Judge everybody, and do what has fallen due."""
        return self.lives.judge(now) + self._expire(now) + self._proceed(now)

    def next_deadline(self, now: float) -> float | None:
        """When `tick` must be called at the latest."""
        expiry = self.store.orders.next()
        times = (self.lives.next_deadline(), None if expiry is None else now + max(0.0, expiry - self.wall()))
        return min((when for when in times if when is not None), default=None)

    # What operators ask

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
        return [action for name in names for action in self.lives.tell(self.store.announcements(self.plan, name))]

    def accept(self, cluster: str, now: float) -> list[Action]:
        """Confirm that the members of a cluster that are held have really gone. Raises `KeyError` for an unknown cluster."""
        return self.lives.tell(self.store.confirm(self.plan, cluster, now))

    def explain(self, cluster: str, now: float) -> list[Action]:
        """Have every balancer say what its load balancer says of a cluster right now; they answer with a snapshot each."""
        question = pack({"cluster": cluster, "asked": now})
        balancers = [name for name, worker in self.workers.items() if worker.spec.kind == "balancer"]
        return self.lives.tell(dict.fromkeys(balancers, (EXPLAIN_TOPIC, question)))

    def shut_down(self, now: float) -> list[Action]:
        """Stop everything, in order. Asked a second time it hurries."""
        if self.stopping:
            self.lives.hurry(now)
            return []
        self.lives.stopping = True
        self.store.withdrawing = self.settings.on_stop == "withdraw"
        return self._announce() + self._proceed(now)

    def _proceed(self, now: float) -> list[Action]:
        return self.lives.proceed(now, withdraw=self.store.withdrawing)

    def freshness(self, now: float) -> dict[str, float]:
        """When each discovery last had a complete answer (unix time, whole seconds)."""
        offset = self.wall() - now
        known = [worker for worker in self.workers.values() if worker.fresh and worker.spec.kind == "discovery"]
        return {worker.spec.id: round(offset + worker.fresh) for worker in known}
