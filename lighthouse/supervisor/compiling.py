"""Running the one-shot configuration worker: the thin side of `compilation`."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from lighthouse.ipc.boot import PLAN_TOPIC, Boot
from lighthouse.ipc.channel import Channel
from lighthouse.ipc.errors import ProtocolError
from lighthouse.ipc.frames import Frame, Kind
from lighthouse.ipc.messages import Condition, Progress, pack, unpack
from lighthouse.plan import Plan
from lighthouse.supervisor import process
from lighthouse.supervisor.compilation import Compilation

WORKER = "config"
MAX_BLOBS = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Order:
    """What to compile: the directory, the role's name, and where the last good files are kept."""

    directory: Path
    role: str
    good: Path


@dataclass(slots=True)
class Running:
    """A compilation under way: its process, and what it has answered so far."""

    child: process.Child
    channel: Channel
    blobs: dict[str, bytes] = field(default_factory=dict)
    size: int = 0
    dumped: bool = False
    deaf: bool = False


def start(
    main: process.WorkerMain, order: Order, state: Compilation, boot: Boot, *, now: float, owner: object
) -> Running:
    """Fork the worker; `boot` gives log file and deadlines. Raises `OSError`."""
    forced = state.start(now)
    config = {
        "directory": str(order.directory),
        "role": order.role,
        "good": str(order.good),
        "poisoned": state.poisoned,
        "memory": state.memory,
        "fingerprint": "" if forced else state.fingerprint,
    }
    born = Boot(
        WORKER,
        WORKER,
        state.generation,
        pack(config),
        log_path=boot.log_path,
        log_max_bytes=boot.log_max_bytes,
        log_backups=boot.log_backups,
    )
    child = process.fork(main, born, owner)
    return Running(child, Channel(child.sock, state.generation))


def receive(running: Running, state: Compilation, frames: Iterable[Frame]) -> Plan | None:
    """Take what the worker says; the plan, once it is complete. Raises `ProtocolError`, also for what `frames` raises."""
    plan = None
    for frame in frames:
        if frame.kind is Kind.PROGRESS:
            progress = Progress.read(frame)
            state.progress(progress.path, progress.digest, time.monotonic())
        elif frame.kind is Kind.CONDITION:
            state.failed(Condition.read(frame).degraded or "no reason given")
        elif frame.kind is Kind.SNAPSHOT and frame.topic == PLAN_TOPIC:
            plan = _plan(frame.payload, running.blobs)
            state.answered(plan.fingerprint)
        elif frame.kind is Kind.SNAPSHOT:
            running.blobs[frame.topic] = frame.payload
            running.size += len(frame.payload)
            if running.size > MAX_BLOBS:
                raise ProtocolError(f"the workers' configurations are larger than {MAX_BLOBS} bytes together")
        else:
            raise ProtocolError(f"{frame.kind.name} is not for the configuration worker to say")
    return plan


def push(running: Running) -> None:
    """It is past its deadline: have it write its stacks, and end it the next time."""
    if running.dumped:
        process.kill(running.child)
    else:
        running.dumped = True
        process.send_signal(running.child, signal.SIGUSR1)


def _plan(payload: bytes, blobs: dict[str, bytes]) -> Plan:
    try:
        plan = Plan.from_mapping(unpack(payload))
    except ValueError as error:
        raise ProtocolError(str(error)) from error
    if missing := plan.workers.keys() - blobs.keys():
        raise ProtocolError(f"the plan lacks the configuration of {', '.join(sorted(missing))}")
    return plan
