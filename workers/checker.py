"""The checker: runs the health checks of all ports of one service and tells each port's state.

Each check of each port has a lane of its own, so that they run side by side and one that hangs delays no other. A result is counted
by rise and fall; a hang is not a result: it is a fault of the worker, which the supervisor replaces while the last state stands.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lighthouse.check import Check
from lighthouse.health import Health, State, combined
from lighthouse.ipc.boot import service_topic
from lighthouse.ipc.messages import pack, unpack
from lighthouse.workers.lanes import Outcome
from lighthouse.workers.plugins import load, why
from lighthouse.workers.runtime import Runtime

SETUP = "setup"
"""The lane on which checks are built; it ends with that, and its thread with it."""
MARGIN = 1.0  # seconds that a check may take beyond its own timeout before it counts as overdue

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rules:
    """How often a check runs and how its results count; seconds, and numbers of results."""

    interval: float
    timeout: float
    rise: int
    fall: int


@dataclass(slots=True, eq=False)
class Probe:
    """One check of one port: the plugin's object, its rules, and what is known so far."""

    name: str
    port: int
    check: Check
    rules: Rules
    health: Health = field(default_factory=Health)
    reason: str = ""
    due: float = 0.0

    @property
    def lane(self) -> str:
        """The lane of this probe's calls, unique within the worker."""
        return f"{self.name}:{self.port}"

    def perform(self) -> tuple[bool, str]:
        """Run the check; on a lane."""
        passed = bool(self.check.perform())
        return passed, "" if passed else str(getattr(self.check, "reason", "") or "check failed")[:200]

    def count(self, outcome: Outcome) -> None:
        """Take one result into account. An exception is a failed check, as in lighthouse 1.0."""
        passed, reason = outcome.value if outcome.error is None else (False, why(outcome.error)[:200])
        if outcome.error is not None and reason != self.reason:  # once, not with each round
            log.error("check %s of port %d raised", self.name, self.port, exc_info=outcome.error)
        self.health = self.health.after(passed, self.rules.rise, self.rules.fall)
        self.reason = reason

    def next_due(self, now: float) -> float:
        """The next time on a schedule that does not drift; rounds that were missed are skipped."""
        interval = self.rules.interval
        self.due += interval * max(1, 1 + (now - self.due) // interval)
        return self.due


@dataclass(slots=True)
class PortState:
    """The state of a port as last told, and since when (unix time)."""

    state: State = State.UNKNOWN
    since: float = 0.0


class Checker:
    """The job of ``checker/SERVICE``."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._service = ""
        self._probes: list[Probe] = []
        self._ports: dict[int, PortState] = {}
        self._told = b""
        self._epoch = 0
        self._stopping = False

    def configure(self, config: dict[str, Any]) -> None:
        """Build the checks anew; what is known of a port and check of the same name is kept."""
        self._epoch += 1
        epoch = self._epoch
        self._runtime.call(
            "set up checks", lambda: _build(config), lambda outcome: self._adopt(outcome, config, epoch), lane=SETUP
        )

    def receive(self, topic: str, payload: bytes) -> None:
        """Nothing but the configuration reaches a checker while it runs."""

    def stop(self) -> None:
        """A check leaves nothing half done."""
        self._stopping = True
        self._runtime.leave(0)

    def _adopt(self, outcome: Outcome, config: Mapping[str, Any], epoch: int) -> None:
        if epoch != self._epoch:
            return
        if outcome.error is not None:
            if not self._service:
                self._runtime.give_up(why(outcome.error))
            else:
                self._runtime.condition(
                    f"goes on with its last configuration, because of the new one: {why(outcome.error)}"
                )
            return
        self._runtime.condition(None)
        name = config["service"]["name"]
        kept = self._known() if self._service else _kept(self._runtime.boot.kept.get(service_topic(name)))
        retired = {SETUP, *(probe.lane for probe in self._probes)}
        self._service, self._probes = name, outcome.value
        self._runtime.lanes.retire(retired)
        self._restore(kept, config["service"]["ports"])
        self._tell()
        self._runtime.ready()
        now = time.monotonic()
        for probe in self._probes:
            # Probes are spread over their first interval, unless nothing is known yet and waiting would only delay the service.
            known = probe.health.state is not State.UNKNOWN
            probe.due = now + (random.uniform(0, probe.rules.interval) if known else 0.0)  # noqa: S311 - not a secret
            self._schedule(probe, probe.due - now)

    def _known(self) -> dict[str, Any]:
        document: dict[str, Any] = unpack(self._told)
        return document

    def _restore(self, kept: Mapping[str, Any], ports: list[int]) -> None:
        self._ports = {}
        for port in ports:
            document = kept.get(str(port), {})
            self._ports[port] = PortState(_state(document), float(document.get("since", 0.0)))
        for probe in self._probes:
            document = kept.get(str(probe.port), {}).get("checks", {}).get(probe.name, {})
            probe.health = Health(_state(document), int(document.get("streak", 0)))
            probe.reason = str(document.get("reason", ""))

    def _schedule(self, probe: Probe, delay: float) -> None:
        self._runtime.after(max(0.0, delay), lambda: self._start(probe))

    def _start(self, probe: Probe) -> None:
        if probe not in self._probes:
            return
        self._runtime.call(
            f"check {probe.name} of port {probe.port}",
            probe.perform,
            lambda outcome: self._finish(probe, outcome),
            lane=probe.lane,
            allowed=probe.rules.timeout + MARGIN,
        )

    def _finish(self, probe: Probe, outcome: Outcome) -> None:
        if probe not in self._probes:
            return  # its configuration changed meanwhile
        before = probe.health.state
        probe.count(outcome)
        if probe.health.state is not before:
            log.info("check %s of port %d is %s %s", probe.name, probe.port, probe.health.state.value, probe.reason)
        now = time.monotonic()
        self._runtime.fresh = now
        self._tell()
        self._schedule(probe, probe.next_due(now) - now)

    def _tell(self) -> None:
        document = {str(port): self._port(port, known) for port, known in self._ports.items()}
        payload = pack(document)
        if payload != self._told:
            self._told = payload
            self._runtime.publish(service_topic(self._service), payload)

    def _port(self, port: int, known: PortState) -> dict[str, Any]:
        probes = [probe for probe in self._probes if probe.port == port]
        state = combined(probe.health.state for probe in probes)
        if state is State.UNKNOWN:
            state = known.state  # a check that is new or between verdicts changes nothing
        if state is not known.state or not known.since:
            if state is not known.state:
                log.info("port %d of %s is %s", port, self._service, state.value)
            known.state, known.since = state, time.time()
        return {
            "state": known.state.value,
            "since": known.since,
            "checks": {
                probe.name: {"state": probe.health.state.value, "streak": probe.health.streak, "reason": probe.reason}
                for probe in probes
            },
        }


def _build(config: Mapping[str, Any]) -> list[Probe]:
    """Load the plugins and make a check object per port; on a lane."""
    service = config["service"]
    probes = []
    for item in config["checks"]:
        cls = load(item["plugin"])
        rules = Rules(config["interval"], item["timeout"], item["rise"], item["fall"])
        for port in service["ports"]:
            check: Check = cls()
            check.host, check.port, check.timeout = service["host"], port, rules.timeout
            check.apply_config(dict(item["config"]))
            probes.append(Probe(item["name"], port, check, rules))
    return probes


def _kept(payload: bytes | None) -> Mapping[str, Any]:
    """The state that the generation before told last; the supervisor judged its shape."""
    return unpack(payload) if payload else {}


def _state(document: Mapping[str, Any]) -> State:
    return State(document.get("state", "unknown"))
