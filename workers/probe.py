"""One check of one port, as the checker runs it: each attempt, what was found, and what it counts for."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lighthouse.check import Check
from lighthouse.errors import ResourceError
from lighthouse.health import Health, State
from lighthouse.schedule import starved, tolerance
from lighthouse.workers.plugins import load, why

MAX_TEXT = 200  # characters that are kept of what a check says
MAX_RESULTS = 5  # that are told
MAX_ABANDONED = 3  # hanging calls of one check that are left behind before no new one is begun

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rules:
    """How often a check runs and how its results count; seconds, and numbers of results."""

    interval: float
    timeout: float
    rise: int
    fall: int


@dataclass(frozen=True, slots=True)
class Finding:
    """What one call of a check came to; ``passed`` is None where the check could not be made at all.

    ``began`` and ``ended`` are CLOCK_MONOTONIC seconds on the lane's thread.
    """

    passed: bool | None
    text: str
    began: float
    ended: float
    error: BaseException | None = None


@dataclass(slots=True, eq=False)
class Attempt:
    """A call under way: the slot it belongs to, when it was ordered, and the most that the checker was late for it so far."""

    slot: float
    ordered: float
    lag: float

    def finding(self, check: Check) -> Finding:
        """Make the call; on a lane. A plugin may raise anything: it is a bad result, as in lighthouse 1.0."""
        began = time.monotonic()
        try:
            passed = bool(check.perform())
            text = str(getattr(check, "reason", "") or ("" if passed else "check failed"))[:MAX_TEXT]
        except ResourceError as error:
            return Finding(None, str(error)[:MAX_TEXT], began, time.monotonic())
        except BaseException as error:  # noqa: BLE001 - see above; SystemExit must not end the lane either
            return Finding(False, why(error)[:MAX_TEXT], began, time.monotonic(), error)
        return Finding(passed, text, began, time.monotonic())


@dataclass(slots=True, eq=False)
class Probe:
    """One check of one port: how its object is made, its rules, and what is known so far.

    ``check`` is None until a lane has made it, and again after its call was left behind. ``anchor`` is that of its slots.
    """

    name: str
    port: int
    rules: Rules
    make: Callable[[], Check]
    check: Check | None = None
    health: Health = field(default_factory=Health)
    reason: str = ""
    results: deque[Mapping[str, Any]] = field(default_factory=lambda: deque(maxlen=MAX_RESULTS))
    anchor: float = 0.0
    attempt: Attempt | None = None
    abandoned: int = 0
    obstacle: str = ""

    @property
    def lane(self) -> str:
        """The lane of this probe's calls, unique within the worker."""
        return f"{self.name}:{self.port}"

    def call(self, attempt: Attempt) -> tuple[Check, Finding]:
        """Make the object if need be, and the call; on a lane."""
        check = self.check or self.make()
        return check, attempt.finding(check)

    def count(self, finding: Finding, attempt: Attempt) -> None:
        """Take a finding into account, unless the checker was too late for it or the check could not be made."""
        void = starved(attempt.lag, self.rules.timeout)
        passed = None if void else finding.passed
        if void:
            self.obstacle = f"starved: this process was late itself, by more than {tolerance(self.rules.timeout):g} s"
        else:
            self.obstacle = finding.text if passed is None else ""
        if finding.error is not None and finding.text != self.reason:  # once, not with each round
            log.error("check %s of port %d raised", self.name, self.port, exc_info=finding.error)
        self.results.append(
            {
                "at": time.time() - (time.monotonic() - finding.began),
                "passed": passed,
                "duration": finding.ended - finding.began,
                "late": attempt.lag,
                "text": finding.text,
            }
        )
        if passed is not None:
            self.health = self.health.after(passed, self.rules.rise, self.rules.fall)
            self.reason = "" if passed else finding.text

    def restore(self, document: Mapping[str, Any]) -> None:
        """Take up what was told of this check, by this generation or the one before."""
        self.health = Health(State(document.get("state", "unknown")), int(document.get("streak", 0)))
        self.reason = str(document.get("reason", ""))
        self.results.extend(document.get("results", ()))

    def document(self) -> dict[str, Any]:
        """What is told of it, as `lighthouse.supervisor.services.read_service` reads it."""
        return {
            "state": self.health.state.value,
            "streak": self.health.streak,
            "reason": self.reason,
            "results": list(self.results),
        }


def build(config: Mapping[str, Any]) -> list[Probe]:
    """Load the plugins and make a check object per port; on a lane."""
    service = config["service"]
    probes = []
    for item in config["checks"]:
        cls = load(item["plugin"])
        rules = Rules(item.get("interval") or config["interval"], item["timeout"], item["rise"], item["fall"])
        for port in service["ports"]:
            make = _maker(cls, service, port, rules.timeout, item["config"])
            probes.append(Probe(item["name"], port, rules, make, make()))
    return probes


def _maker(
    cls: type[Check], service: Mapping[str, Any], port: int, timeout: float, config: Mapping[str, Any]
) -> Callable[[], Check]:
    def make() -> Check:
        check = cls()
        check.service, check.host, check.port, check.timeout = service["name"], service["host"], port, timeout
        check.apply_config(dict(config))
        return check

    return make
