"""What the core wants done. The loop does it, in order."""

from __future__ import annotations

from dataclasses import dataclass, field

from lighthouse.ipc.frames import Frame


@dataclass(frozen=True, slots=True)
class Fork:
    """Start a process for this generation of a worker."""

    worker: str


@dataclass(frozen=True, slots=True)
class Send:
    """Queue a frame for a worker."""

    worker: str
    frame: Frame = field(repr=False)


@dataclass(frozen=True, slots=True)
class DumpStacks:
    """Ask a worker's process to write its stacks into its log."""

    worker: str


@dataclass(frozen=True, slots=True)
class Kill:
    """End a worker's process and its whole group at once."""

    worker: str


@dataclass(frozen=True, slots=True)
class Log:
    """Write a line into the supervisor's log; `level` as in `logging`."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Finish:
    """Everything has stopped: leave the loop."""


Action = Fork | Send | DumpStacks | Kill | Log | Finish
