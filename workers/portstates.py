"""The states of a service's ports as the checker tells them, from what its probes have found."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lighthouse.health import Flap, FlapRules, State, combined, recent
from lighthouse.workers.probe import Probe

TELL_EVERY = 10.0  # seconds between two tellings of results that change nothing

log = logging.getLogger(__name__)


@dataclass(slots=True)
class PortState:
    """The state of a port as last told, since when (unix time), and its flapping."""

    state: State = State.UNKNOWN
    since: float = 0.0
    flap: Flap = field(default_factory=Flap)

    @classmethod
    def kept(cls, document: Mapping[str, Any], now: float) -> PortState:
        """Take up what was told of this port, by this generation or the one before."""
        flap = document.get("flap") or {}
        times = tuple(when for when in flap.get("times", ()) if when <= now)  # a later one is of an earlier boot
        return cls(
            State(document.get("state", "unknown")),
            float(document.get("since", 0.0)),
            Flap(State(document.get("verdict", "unknown")), times, bool(flap.get("held", False))),
        )


class PortStates:
    """All ports of a service; ``document`` is what is to be told, as `lighthouse.supervisor.store.read_service` reads it."""

    def __init__(
        self,
        service: str = "",
        ports: Iterable[int] = (),
        probes: Sequence[Probe] = (),
        *,
        rules: FlapRules | None = None,
        kept: Mapping[str, Any] | None = None,
        now: float = 0.0,
    ) -> None:
        """`kept` is an earlier `document`: what it knows of the same ports and checks goes on. `now` is CLOCK_MONOTONIC."""
        kept = kept or {}
        self.document: dict[str, Any] = {}
        self._service = service
        self._rules = rules
        self._ports = {port: PortState.kept(kept.get(str(port), {}), now) for port in ports}
        self._probes = {port: [probe for probe in probes if probe.port == port] for port in self._ports}
        self._news: dict[int, Any] = {}
        self._told = now
        for probe in probes:
            probe.restore(kept.get(str(probe.port), {}).get("checks", {}).get(probe.name, {}))
        for port in self._ports:
            self.update(port, now)

    def update(self, port: int, now: float) -> bool:
        """Take into account what the probes of a port found; tells whether the document is to be told now.

        A result that changes nothing waits for company, up to `TELL_EVERY`, unless it is of another kind than the one before it.
        """
        part = self.document[str(port)] = self._part(port, now)
        news = {
            **part,
            "checks": {
                name: {**check, "results": [result["passed"] for result in check["results"][-1:]]}
                for name, check in part["checks"].items()
            },
        }
        if news == self._news.get(port) and now - self._told < TELL_EVERY:
            return False
        self._news[port], self._told = news, now
        return True

    def _part(self, port: int, now: float) -> dict[str, Any]:
        known, probes = self._ports[port], self._probes[port]
        held = known.flap.held
        # A check that is new or between verdicts is unknown and changes nothing.
        known.flap = known.flap.after(combined(probe.health.state for probe in probes), now, self._rules)
        if known.flap.held is not held:
            log.warning("port %d of %s %s", port, self._service, "is calm again" if held else "flaps: held down")
        state = known.flap.state
        if state is not known.state:
            log.info("port %d of %s is %s", port, self._service, state.value)
        if state is not known.state or not known.since:
            known.state, known.since = state, time.time()
        return {
            "state": state.value,
            "since": known.since,
            "verdict": known.flap.verdict.value,
            "flap": self._flapping(known.flap, now),
            "checks": {probe.name: probe.document() for probe in probes},
        }

    def _flapping(self, flap: Flap, now: float) -> dict[str, Any] | None:
        if self._rules is None:
            return None
        count = recent(flap.changes, now, self._rules.window)
        return {"held": flap.held, "changes": count, "times": list(flap.changes)}
