"""What a reconciliation found and did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lighthouse.haproxy.config import Desired
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.running import Processes, Running


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a reconciliation did and found; ``document`` is what is in force, ``pending`` why a reload waits."""

    desired: Desired
    document: Document
    running: Running
    processes: Processes | None
    commands: int
    reload: str | None
    notes: Sequence[str]
    quarantined: Mapping[str, str] = field(default_factory=dict)
    pending: str | None = None
    again: float | None = None
