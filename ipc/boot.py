"""What a worker is born with.

The supervisor forks, so a new worker finds its configuration and the kept state in its own memory: nothing has to be sent, and a
replacement has caught up as soon as it has looked at them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

CONFIG_TOPIC = "config"
ANNOUNCE_TOPIC = "announce"
ACCEPT_TOPIC = "accept"
EXPLAIN_TOPIC = "explain"
PLAN_TOPIC = "plan"
EXIT_BUG = 70  # EX_SOFTWARE
EXIT_CONFIG = 78  # EX_CONFIG: only a changed configuration can help


@dataclass(frozen=True, slots=True)
class Boot:
    """The worker's identity, its configuration (a packed map), the kept snapshots by topic, and its deadlines in seconds.

    ``handover`` is what the generation before it left for it alone, e.g. a session; it may be a secret and is kept out of `repr`.
    """

    id: str
    kind: str
    generation: int
    config: bytes = field(repr=False)
    kept: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    handover: bytes = field(default=b"", repr=False)
    heartbeat: float = 1.0
    call_deadline: float = 8.0
    log_path: str | None = None
    log_max_bytes: int = 10 * 1024 * 1024
    log_backups: int = 3


def service_topic(service: str) -> str:
    """The state of one service's ports, from its checker."""
    return f"service/{service}"


def members_topic(cluster: str) -> str:
    """The members of one cluster, from its discovery."""
    return f"members/{cluster}"


def report_topic(worker: str) -> str:
    """What a worker tells of itself for `ctl status`."""
    return f"report/{worker}"


def explained_topic(worker: str) -> str:
    """What a balancer said when it was asked to explain a cluster."""
    return f"explained/{worker}"


def handover_topic(worker: str) -> str:
    """What a worker leaves for its own next generation."""
    return f"handover/{worker}"
