"""The newest state of everything, and who may say and who is told what.

Snapshots are kept as bytes. Only a service's state is looked into, because what is announced follows from it; it is small and its
shape is judged here, once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from lighthouse.health import State
from lighthouse.ipc.boot import (
    ACCEPT_TOPIC,
    ANNOUNCE_TOPIC,
    explained_topic,
    handover_topic,
    members_topic,
    report_topic,
    service_topic,
)
from lighthouse.ipc.errors import ProtocolError
from lighthouse.ipc.messages import pack, unpack
from lighthouse.plan import Plan, WorkerSpec
from lighthouse.service_state import TABLE, Announced, Checker
from lighthouse.supervisor import announcements
from lighthouse.supervisor.confirmations import Confirmations
from lighthouse.supervisor.orders import Orders
from lighthouse.supervisor.services import UNTOLD, read_service

MAX_HANDOVER = 1024 * 1024  # bytes

FRESH = "fresh"
"""The topic of when each discovery last had a complete answer: unix times by worker."""
ORDERS = "orders"
"""The topic of what operators ordered of services."""
ACCEPTED = "accepted"
"""The topic of which losses of members were confirmed."""
DURABLE = ("members/", FRESH, ORDERS)
"""What must survive a reboot."""
PERSISTENT = ("service/", "handover/", ACCEPTED, *DURABLE)


@dataclass(frozen=True, slots=True)
class Accepted:
    """A snapshot that was taken over, and the workers that are to be told of it, with what they are told."""

    topic: str
    tell: Mapping[str, tuple[str, bytes]] = field(default_factory=dict)


@dataclass(slots=True)
class Store:
    """The kept snapshots by topic, and when each was last told (CLOCK_MONOTONIC, in ``times``).

    ``dirty`` names those that changed since they were last written, ``uncopied`` those whose copy in the state directory is not
    up to date. ``withdrawing`` says that nothing is to stay announced.
    """

    snapshots: dict[str, bytes] = field(default_factory=dict, repr=False)
    times: dict[str, float] = field(default_factory=dict)
    dirty: set[str] = field(default_factory=set)
    uncopied: set[str] = field(default_factory=set)
    orders: Orders = field(default_factory=Orders)
    withdrawing: bool = False
    _services: dict[str, dict[str, Any]] = field(default_factory=dict)
    _announced: dict[str, bytes] = field(default_factory=dict)
    _accepted: Confirmations = field(default_factory=Confirmations)

    def load(self, snapshots: Mapping[str, bytes], *, aged: bool) -> list[str]:
        """Take over what an earlier supervisor kept; returns what had to be refused, in words.

        `aged` says that it is too old to be true of services: their states are then unknown. Members are kept all the same,
        because unknown is not empty.
        """
        refused = []
        for topic, payload in snapshots.items():
            if aged and topic.startswith("service/"):
                self.dirty.add(topic)  # so that it is removed, or the next start would take it for fresh
                continue
            try:
                if topic.startswith("service/"):
                    self._services[topic] = read_service(payload)
                elif topic == ORDERS:
                    self.orders.load(payload)
                elif topic == ACCEPTED and not self._accepted.load(self.orders.boot, payload):
                    self.dirty.add(topic)
                    continue
            except ProtocolError as error:
                refused.append(f"kept state {topic!r} is refused: {error}")
                self.dirty.add(topic)
                continue
            self.snapshots[topic] = payload
        return refused

    def accept(self, plan: Plan, worker: WorkerSpec, topic: str, payload: bytes) -> Accepted | None:
        """Take over what a worker says; None when it has no business saying it. Raises `ProtocolError`."""
        name = worker.id.partition("/")[2]
        if worker.id not in plan.workers:
            return None  # it is on its way out, and leaves nothing to anybody
        if topic == report_topic(worker.id):
            self._keep(topic, payload)
            return Accepted(topic)
        if topic == handover_topic(worker.id):
            if len(payload) > MAX_HANDOVER:
                raise ProtocolError(f"hand-over of {len(payload)} bytes is larger than {MAX_HANDOVER}")
            self._keep(topic, payload)
            return Accepted(topic)
        if worker.kind == "balancer" and topic == explained_topic(worker.id):
            self._keep(topic, payload)
            return Accepted(topic)
        if worker.kind == "checker" and topic == service_topic(name) and name in plan.services:
            self._services[topic] = read_service(payload)
            self._keep(topic, payload)
            return Accepted(topic, self.announcements(plan, plan.services[name].discovery))
        cluster = topic.removeprefix("members/")
        if worker.kind == "discovery" and topic == members_topic(cluster) and plan.clusters.get(cluster) == name:
            self._keep(topic, payload)
            balancers = (spec.id for spec in plan.workers.values() if spec.kind == "balancer")
            return Accepted(topic, dict.fromkeys(balancers, (topic, payload)))
        return None

    def announcements(self, plan: Plan, discovery: str) -> dict[str, tuple[str, bytes]]:
        """What to tell the worker of a discovery, if it changed."""
        worker = f"discovery/{discovery}"
        payload = pack(announcements.wanted(plan, discovery, self._state))
        if worker not in plan.workers or self._announced.get(worker) == payload:
            return {}
        self._announced[worker] = payload
        return {worker: (ANNOUNCE_TOPIC, payload)}

    def parting(self, before: Plan, plan: Plan, worker: WorkerSpec) -> dict[str, tuple[str, bytes]]:
        """What to tell a discovery that is not in the `plan` any more."""
        if worker.kind != "discovery":
            return {}
        self._announced[worker.id] = pack(announcements.parting(before, plan, worker.id.partition("/")[2]))
        return {worker.id: (ANNOUNCE_TOPIC, self._announced[worker.id])}

    def confirm(self, plan: Plan, cluster: str, now: float) -> dict[str, tuple[str, bytes]]:
        """A person confirms what is held of a cluster by now; returns what to tell the worker of its discovery."""
        self._accepted.give(cluster, now)
        self._keep(ACCEPTED, self._accepted.payload(self.orders.boot))
        discovery = plan.clusters[cluster]
        return {f"discovery/{discovery}": (ACCEPT_TOPIC, self._confirmed(plan, discovery))}

    def birthright(self, plan: Plan, worker: WorkerSpec) -> dict[str, bytes]:
        """The kept snapshots that a new generation of a worker finds in its memory."""
        name = worker.id.partition("/")[2]
        if worker.kind == "checker":
            topics = [service_topic(name)]
        elif worker.kind == "discovery":
            topics = [members_topic(cluster) for cluster, discovery in plan.clusters.items() if discovery == name]
        else:
            topics = [members_topic(cluster) for cluster in plan.clusters]
        kept = {topic: self.snapshots[topic] for topic in topics if topic in self.snapshots}
        if worker.kind == "discovery":
            if worker.id in plan.workers:
                self._announced[worker.id] = pack(announcements.wanted(plan, name, self._state))
            kept[ANNOUNCE_TOPIC] = self._announced[worker.id]
            kept[ACCEPT_TOPIC] = self._confirmed(plan, name)
            if report_topic(worker.id) in self.snapshots:
                kept[report_topic(worker.id)] = self.snapshots[report_topic(worker.id)]
        return kept

    def legacy(self, before: Plan, plan: Plan, worker: WorkerSpec) -> dict[str, bytes]:
        """The kept members of clusters that are new to a running worker, as it would have found them had it started now.

        To a balancer a cluster may come back whose members it has forgotten, although they did not change; it is told all. A
        discovery is told those of clusters that another one watched: what it does not find of them may be a mass loss.
        """
        clusters = list(plan.clusters) if worker.kind == "balancer" else []
        if worker.kind == "discovery":
            name = worker.id.partition("/")[2]
            clusters = [
                item for item, owner in plan.clusters.items() if owner == name != before.clusters.get(item, name)
            ]
        topics = map(members_topic, clusters)
        return {topic: self.snapshots[topic] for topic in topics if topic in self.snapshots}

    def service(self, name: str) -> Mapping[str, Any]:
        """The ports of a service as last told: ``{port: {state, since, checks}}``."""
        return self._services.get(service_topic(name), {})

    def forget(self, plan: Plan, returning: Collection[str] = ()) -> None:
        """Drop what belongs to nothing in the plan, nor to the workers that come back once more although they are not in it."""
        wanted = (
            {FRESH, ORDERS, ACCEPTED}
            | {service_topic(name) for name in plan.services}
            | {members_topic(name) for name in plan.clusters}
        )
        for worker in (*plan.workers, *returning):
            wanted |= {report_topic(worker), handover_topic(worker), explained_topic(worker)}
        if self._accepted.keep(plan.clusters):
            self._keep(ACCEPTED, self._accepted.payload(self.orders.boot))
        if FRESH in self.snapshots:
            self._keep(
                FRESH, pack({worker: when for worker, when in self.freshness().items() if worker in plan.workers})
            )
        for topic in self.snapshots.keys() - wanted:
            del self.snapshots[topic]
            self.times.pop(topic, None)
            self._services.pop(topic, None)
            self._changed(topic)

    def keep_orders(self) -> None:
        """The orders have changed."""
        self._keep(ORDERS, self.orders.payload())

    def note_freshness(self, times: Mapping[str, float]) -> None:
        """Remember when each discovery last had a complete answer; one that has had none yet keeps what its predecessor had."""
        before = self.freshness()
        self._keep(FRESH, pack({**before, **times}))

    def freshness(self) -> dict[str, float]:
        """What was remembered."""
        try:
            return {str(worker): float(when) for worker, when in unpack(self.snapshots[FRESH]).items()}
        except (AttributeError, KeyError, ProtocolError, TypeError, ValueError):
            return {}

    def _changed(self, topic: str) -> None:
        if topic.startswith(PERSISTENT):
            self.dirty.add(topic)
        if topic.startswith(DURABLE):
            self.uncopied.add(topic)

    def _keep(self, topic: str, payload: bytes) -> None:
        if self.snapshots.get(topic) != payload:
            self.snapshots[topic] = payload
            self._changed(topic)

    def _confirmed(self, plan: Plan, discovery: str) -> bytes:
        return self._accepted.of([name for name, owner in plan.clusters.items() if owner == discovery])

    def _state(self, service: str, port: str) -> Announced:
        """What is announced of a port; it does not depend on whether its checker is there."""
        if self.withdrawing:
            return Announced.WITHDRAWN
        verdict = State(self.service(service).get(port, UNTOLD)["state"])
        return TABLE[self.orders.counting(service)[0], Checker.AT_WORK, verdict][1]
