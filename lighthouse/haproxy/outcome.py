"""What a reconciliation found and did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lighthouse.haproxy.config import Desired
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.running import Processes, Running


@dataclass(slots=True)
class Account:
    """What has been done and found so far: ``reload`` tells why one was made, ``pending`` why one waits.

    ``waiting``: what members get with the next reload only, by backend and member; see `lighthouse.haproxy.planner`.
    """

    processes: Processes | None = None
    commands: int = 0
    reload: str | None = None
    pending: str | None = None
    again: float | None = None
    notes: list[str] = field(default_factory=list)
    quarantined: Mapping[str, str] = field(default_factory=dict)
    waiting: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def look_again(self, seconds: float) -> None:
        """Ask for another reconciliation after `seconds`, or sooner if someone asked for that."""
        self.again = seconds if self.again is None else min(self.again, seconds)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a reconciliation; ``document`` is what is in force."""

    desired: Desired
    document: Document
    running: Running
    account: Account
