"""Hosts under test: each is a discovery worker in a process of its own, led as a supervisor leads it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lighthouse.config.blobs import InForce, blobs
from lighthouse.discovery import Wanted
from lighthouse.ipc.boot import (
    ACCEPT_TOPIC,
    ANNOUNCE_TOPIC,
    CONFIG_TOPIC,
    Boot,
    handover_topic,
    members_topic,
    report_topic,
)
from lighthouse.ipc.frames import Frame, Kind
from lighthouse.ipc.messages import Condition, Heartbeat, pack, unpack
from lighthouse.node import Node
from lighthouse.settings import Settings
from lighthouse.testing.judged import judged
from lighthouse.testing.registry import Registry
from lighthouse.testing.worker import Worker

PATIENCE = 60.0  # seconds until a condition that should come true counts as missed
HEARTBEAT = 0.1  # seconds
CALL_DEADLINE = 20.0  # seconds; more than a supervisor gives, because tests share a machine
WORKER = "discovery/test"


class Host:
    """One host: what it consumes and provides, its worker, and all that the worker told.

    It keeps for the next generation what a supervisor would: the members, what is to be announced, and what was handed over.
    ``faults`` gathers what no plugin may do to its worker. ``guarded`` says whether a mass loss is held: what a plugin tells is
    under test, so it is not, unless a test is about that. ``farewell`` is how long a record says that it is leaving, in seconds.
    """

    def __init__(self, registry: Registry, root: Path, name: str) -> None:
        self.name = name
        self.ip = "127.0.0.1"
        self.generation = 0
        self.guarded = False
        self.farewell = 1.0
        self.handover = b""
        self.degraded: str | None = None
        self.faults: list[str] = []
        self._plugin = registry.plugin
        self._config = judged(registry.plugin, registry.config)
        self._log = root / f"{name}.log"
        self._clusters: list[str] = []
        self._services: dict[str, dict[str, Any]] = {}
        self._states: dict[str, dict[str, str]] = {}
        self._kept: dict[str, bytes] = {}
        self._history: dict[str, list[frozenset[str]]] = {}
        self._report: Mapping[str, Any] | None = None
        self._beats: list[float] = []
        self._worker: Worker | None = None

    # What it is for

    def consume(self, *clusters: str) -> None:
        """Be configured to watch exactly these clusters."""
        self._clusters = sorted(clusters)
        kept = {members_topic(cluster) for cluster in clusters}
        self._kept = {topic: payload for topic, payload in self._kept.items() if topic in kept}
        self._configure()

    def provide(
        self, service: str, wanted: Wanted | None = Wanted.UP, ports: tuple[int, ...] = (80,), **metadata: Any
    ) -> None:
        """Be configured with a service whose ports are all in this state; None is a state that nobody told."""
        made = {"ports": list(ports), "host": "127.0.0.1", "metadata": metadata, "discovery": "test", "advertise": ()}
        self._services[service] = {"service": made, "interval": 1.0, "checks": []}
        self._states.pop(service, None)
        if wanted is not None:
            self._states[service] = {str(port): wanted.value for port in ports}
        self._configure()

    def no_longer_provide(self, service: str) -> None:
        """Be configured without a service."""
        del self._services[service]
        self._states.pop(service, None)
        self._configure()

    def accept(self, cluster: str) -> None:
        """Confirm what is held now, as an operator."""
        assert self._worker
        self._worker.send(Frame(Kind.SNAPSHOT, pack({cluster: time.monotonic()}), ACCEPT_TOPIC))

    def node(self, service: str, port: int = 80) -> str:
        """The name of the node that announces a port of a service."""
        assert port in self._services[service]["service"]["ports"]
        return f"{self.name}:{port}"

    # What it told

    def members(self, cluster: str) -> dict[str, Node] | None:
        """The newest members, by name; None while nothing is known."""
        payload = self._kept.get(members_topic(cluster))
        if payload is None:
            return None
        nodes = [Node.from_mapping(item) for item in unpack(payload)["nodes"]]
        return {node.name: node for node in nodes}

    def held(self, cluster: str) -> set[str]:
        """The members that are told although the registry lost them, see `lighthouse.guard`."""
        payload = self._kept.get(members_topic(cluster))
        held = payload and unpack(payload).get("held")
        return set(held["names"]) if held else set()

    def told(self, cluster: str) -> list[frozenset[str]]:
        """All that this generation told of a cluster, oldest first."""
        return list(self._history.get(cluster, []))

    @property
    def complete(self) -> bool | None:
        """Whether the last reading of the registry was whole, by the last report."""
        return None if self._report is None else bool(self._report["complete"])

    @property
    def details(self) -> Mapping[str, Any]:
        """The details of the last report."""
        return {} if self._report is None else dict(self._report["details"])

    @property
    def announced(self) -> set[str]:
        """The services that it told it has announced. What it hands over with that came before."""
        return set() if self._report is None else set(self._report["announced"])

    @property
    def beats(self) -> list[float]:
        """When the source was last fresh, as told by each heartbeat of this generation."""
        return list(self._beats)

    @property
    def words(self) -> str:
        """All that an operator could see of it."""
        log = self._log.read_text(errors="replace") if self._log.exists() else ""
        return f"{self._report!r}\n{self.degraded!r}\n{log}"

    # Its life

    def start(self) -> None:
        """Start the next generation; what it does is seen by what it told."""
        assert self._worker is None
        self.generation += 1
        self._history.clear()
        self._beats.clear()
        self._report = self.degraded = None
        self._worker = Worker(self._boot(), self._hear, self._died)

    def kill(self) -> None:
        """End the worker as SIGKILL does, if there is one; a paused one too."""
        if self._worker is not None:
            self._worker.kill()
            self._worker = None

    def stop(self) -> None:
        """End the worker in good order."""
        assert self._worker
        if problem := self._worker.stop():
            self.faults.append(f"the worker of {self.name} {problem}")
        self._worker = None

    def pause(self) -> None:
        """Let the whole worker stand still, the plugin's threads included."""
        assert self._worker
        self._worker.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Undo `pause`."""
        assert self._worker
        self._worker.signal(signal.SIGCONT)

    def until(self, condition: Callable[[], Any], what: str) -> None:
        """Wait for a condition; fails with all that is known when it does not come true."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline or self.faults:
                told = {topic: payload for topic, payload in self._kept.items() if topic != ANNOUNCE_TOPIC}
                raise AssertionError(
                    f"waited for {what}; {self.name} told {told}, faults {self.faults}:\n{self.words[-4000:]}"
                )
            time.sleep(0.01)

    # Its side of the channel

    def _boot(self) -> Boot:
        kept = {**self._kept, ANNOUNCE_TOPIC: pack(self._states)}
        return Boot(
            id=WORKER,
            kind="discovery",
            generation=self.generation,
            config=pack(self._blob()),
            kept=kept,
            handover=self.handover,
            heartbeat=HEARTBEAT,
            call_deadline=CALL_DEADLINE,
            log_path=str(self._log),
        )

    def _blob(self) -> dict[str, Any]:
        """The worker's configuration, by the compiler's own hand."""
        registration = {"farewell": self.farewell}
        settings = Settings.from_mapping(
            {"hostname": self.name, "advertise": self.ip, "registration": registration}
        ).to_mapping()
        discovery = {"plugin": "test", "reference": self._plugin, "config": self._config}
        guard: dict[str, Any] | None = {} if self.guarded else None
        clusters = {name: {"discovery": "test", "options": {}, "guard": guard} for name in self._clusters}
        force = InForce(None, settings, {"test": discovery}, {}, clusters, self._services)
        return blobs(force)[WORKER]

    def _configure(self) -> None:
        if self._worker is not None:
            self._worker.send(
                Frame(Kind.SNAPSHOT, pack(self._blob()), CONFIG_TOPIC),
                Frame(Kind.SNAPSHOT, pack(self._states), ANNOUNCE_TOPIC),
            )

    def _died(self) -> None:
        self.faults.append(f"the worker of {self.name} died")

    def _hear(self, frame: Frame) -> None:
        if frame.kind is Kind.HEARTBEAT:
            beat = Heartbeat.read(frame)
            self._beats.append(beat.fresh)
            if beat.call and time.monotonic() > beat.deadline:
                self.faults.append(f"{beat.call!r} of {self.name} is past its deadline")
        elif frame.kind is Kind.CONDITION:
            condition = Condition.read(frame)
            self.degraded = condition.degraded
            if condition.fatal:
                self.faults.append(f"the worker of {self.name} gave up: {condition.degraded}")
        elif frame.kind is Kind.SNAPSHOT:
            self._take(frame.topic, frame.payload)

    def _take(self, topic: str, payload: bytes) -> None:
        if topic == report_topic(WORKER):
            self._report = unpack(payload)
        elif topic == handover_topic(WORKER):
            self.handover = payload
        elif topic.startswith(members_topic("")):
            self._kept[topic] = payload
            names = frozenset(Node.from_mapping(item).name for item in unpack(payload)["nodes"])
            self._history.setdefault(topic.removeprefix(members_topic("")), []).append(names)
