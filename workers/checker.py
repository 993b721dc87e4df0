"""The checker: runs the health checks of all ports of one service and tells each port's state.

Each check of each port has a lane of its own, so that they run side by side and one that hangs delays no other. A call that is not
back by its deadline is a bad result; it is left behind, and the next slot begins a new one with a new object, up to a small number.
The supervisor ends the process, and so the calls that were left behind, once its life has been long enough to be replaced at once.

A result for which this process was late itself counts for nothing, see `lighthouse.schedule`. To know of that, the main loop takes
its own pulse while calls are under way.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from lighthouse.health import FlapRules, State
from lighthouse.ipc.boot import service_topic
from lighthouse.ipc.messages import pack, unpack
from lighthouse.schedule import first_slots, next_slot, starved, tolerance
from lighthouse.workers.lanes import Outcome
from lighthouse.workers.plugins import why
from lighthouse.workers.portstates import PortStates
from lighthouse.workers.probe import MAX_ABANDONED, MAX_TEXT, Attempt, Finding, Probe, build
from lighthouse.workers.runtime import Runtime

SETUP = "setup"
"""The lane on which checks are built; it ends with that, and its thread with it."""
PULSE = "pulse"
MARGIN = 0.5  # seconds that a call may take beyond the check's own timeout before it is left behind
PATIENCE = 60.0  # seconds that such a call may go on, unless the configuration says otherwise

log = logging.getLogger(__name__)


class Checker:
    """The job of ``checker/SERVICE``."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._service = ""
        self._probes: list[Probe] = []
        self._ports = PortStates()
        self._patience = PATIENCE
        self._pulse: float | None = None
        self._refusal = ""
        self._epoch = 0

    def configure(self, config: dict[str, Any]) -> None:
        """Build the checks anew; what is known of a port and check of the same name is kept."""
        self._epoch += 1
        epoch = self._epoch
        self._runtime.call(
            "set up checks", lambda: build(config), lambda outcome: self._adopt(outcome, config, epoch), lane=SETUP
        )

    def receive(self, topic: str, payload: bytes) -> None:
        """Nothing but the configuration reaches a checker while it runs."""

    def stop(self) -> None:
        """A check leaves nothing half done."""
        self._runtime.leave(0)

    # Configuration

    def _adopt(self, outcome: Outcome, config: Mapping[str, Any], epoch: int) -> None:
        if epoch != self._epoch:
            return
        if outcome.error is not None:
            if not self._service:
                self._runtime.give_up(why(outcome.error))
            else:
                self._refusal = f"goes on with its last configuration, because of the new one: {why(outcome.error)}"
                self._complain()
            return
        self._refusal = ""
        name = config["service"]["name"]
        kept = self._ports.document if self._service else _kept(self._runtime.boot.kept.get(service_topic(name)))
        retired = {SETUP, *(probe.lane for probe in self._probes)}
        self._service, self._probes = name, outcome.value
        self._patience = config.get("patience", PATIENCE)
        self._runtime.lanes.retire(retired)
        rules = FlapRules(**config["flap"]) if config.get("flap") else None
        now = time.monotonic()
        self._ports = PortStates(name, config["service"]["ports"], self._probes, rules=rules, kept=kept, now=now)
        if not self._probes:
            log.warning("no check is configured for %s: its ports count as up, whatever they do", name)
        self._complain()
        self._tell()
        self._runtime.ready()
        for probe in self._probes:
            known = probe.health.state is not State.UNKNOWN
            slot, probe.anchor = first_slots(now, probe.rules.interval, known, random.random())  # noqa: S311 - no secret
            self._schedule(probe, slot)

    # Running checks

    def _schedule(self, probe: Probe, slot: float) -> None:
        self._runtime.after(max(0.0, slot - time.monotonic()), lambda: self._start(probe, slot))

    def _start(self, probe: Probe, slot: float) -> None:
        if probe not in self._probes:
            return
        now = time.monotonic()
        attempt = probe.attempt = Attempt(slot, now, now - slot)
        if probe.abandoned >= MAX_ABANDONED:
            self._finish(probe, attempt, _hang(probe, now, now))
            return
        self._runtime.call(
            f"check {probe.name} of port {probe.port}",
            partial(probe.call, attempt),
            partial(self._back, probe, attempt),
            lane=probe.lane,
            allowed=probe.rules.timeout + MARGIN + self._patience,
        )
        self._feel(now)

    def _back(self, probe: Probe, attempt: Attempt, outcome: Outcome) -> None:
        """A call is back, perhaps long after it was left behind."""
        if probe.attempt is not attempt:
            probe.abandoned -= 1
            return
        now = time.monotonic()
        if outcome.error is None:
            probe.check, finding = outcome.value
        else:  # the object could not be made
            finding = Finding(False, why(outcome.error)[:MAX_TEXT], attempt.ordered, now, outcome.error)
        pulse = 0.0 if self._pulse is None else now - self._pulse
        attempt.lag = max(attempt.lag, finding.began - attempt.ordered, now - finding.ended, pulse)
        self._finish(probe, attempt, finding)

    def _finish(self, probe: Probe, attempt: Attempt, finding: Finding) -> None:
        probe.attempt = None
        if probe not in self._probes:
            return  # its configuration changed meanwhile
        before = probe.health.state
        probe.count(finding, attempt)
        if probe.health.state is not before:
            log.info("check %s of port %d is %s %s", probe.name, probe.port, probe.health.state.value, probe.reason)
        now = time.monotonic()
        self._runtime.fresh = now
        self._complain()
        if self._ports.update(probe.port, now):
            self._tell()
        self._schedule(probe, next_slot(probe.anchor, probe.rules.interval, max(now, attempt.slot)))
        if not any(other.attempt for other in self._probes):
            self._pulse = None
            self._runtime.cancel(PULSE)

    def _feel(self, now: float) -> None:
        """Set the next pulse: often enough to notice a delay that matters to any call, and at the first deadline."""
        calls = [(probe.rules, probe.attempt) for probe in self._probes if probe.attempt]
        if calls:
            # One that is set already and earlier stays: if it is overdue, that is what it is there to tell.
            often = min(tolerance(rules.timeout) for rules, _ in calls) / 2
            deadline = min(attempt.ordered + rules.timeout + MARGIN for rules, attempt in calls)
            pulse = max(now, min(now + often, deadline))
            if self._pulse is None or pulse < self._pulse:
                self._pulse = pulse
                self._runtime.after(pulse - now, self._beat, name=PULSE)

    def _beat(self) -> None:
        """Note how late the pulse is for every call, and leave behind those that are past their deadline."""
        now = time.monotonic()
        lag = 0.0 if self._pulse is None else now - self._pulse
        self._pulse = None
        for probe in self._probes:
            attempt = probe.attempt
            if attempt is None:
                continue
            attempt.lag = max(attempt.lag, lag)
            if starved(lag, probe.rules.timeout):
                attempt.ordered = now  # it had no time; what comes of it is void, and its deadline begins anew
            elif now >= attempt.ordered + probe.rules.timeout + MARGIN:
                self._abandon(probe, attempt, now)
        self._feel(now)

    def _abandon(self, probe: Probe, attempt: Attempt, now: float) -> None:
        """A hanging call cannot be ended: let it be, and make room for the next."""
        log.error("check %s of port %d hangs", probe.name, probe.port)
        self._runtime.lanes.retire([probe.lane])
        probe.abandoned += 1
        probe.check = None
        self._finish(probe, attempt, _hang(probe, attempt.ordered, now))

    # Telling

    def _complain(self) -> None:
        """Say what keeps this worker from its job, if anything does."""
        obstacles = [f"check {p.name} of port {p.port}: {p.obstacle}" for p in self._probes if p.obstacle]
        frozen = f"no result counts for {'; '.join(obstacles)}" if obstacles else ""
        self._runtime.condition("; ".join(filter(None, [self._refusal, frozen])) or None)

    def _tell(self) -> None:
        self._runtime.publish(service_topic(self._service), pack(self._ports.document))


def _hang(probe: Probe, began: float, now: float) -> Finding:
    return Finding(False, f"no result within {probe.rules.timeout:g} s: the check itself hangs", began, now)


def _kept(payload: bytes | None) -> Mapping[str, Any]:
    """The state that the generation before told last; the supervisor judged its shape."""
    return unpack(payload) if payload else {}
