"""The one-shot configuration worker: reads the directory, imports and asks the plugins, answers with the plan, and ends.

It runs under a deadline, which the supervisor keeps, and under a memory limit, which it sets itself. Before each file it says which
one it takes in hand, so that a file that ends it is known and left out the next time.
"""

from __future__ import annotations

import logging
import os
import resource
import socket
from pathlib import Path
from typing import Any

from lighthouse.config.tree import fingerprint
from lighthouse.errors import ConfigError
from lighthouse.ipc.boot import PLAN_TOPIC, Boot
from lighthouse.ipc.frames import Frame, Kind, encode
from lighthouse.ipc.messages import Condition, Message, Progress, pack, unpack
from lighthouse.role import Role

log = logging.getLogger(__name__)


def run(boot: Boot, sock: socket.socket) -> int:
    """Compile once; returns the exit code. The answer is a snapshot per worker, then the plan, which completes it."""
    order = unpack(boot.config)
    _limit_memory(order["memory"])
    sock.setblocking(True)
    sequence = 0

    def send(frame: Frame) -> None:
        nonlocal sequence
        sequence += 1
        try:
            sock.sendall(encode(Frame(frame.kind, frame.payload, frame.topic, boot.generation, sequence)))
        except ConnectionError:
            os._exit(0)  # the supervisor is gone: its successor will have the directory read anew

    def tell(message: Message) -> None:
        send(message.frame())

    try:
        _compile(order, send, tell)
    except ConfigError as error:
        tell(Condition(str(error)))
    return 0


def _compile(order: dict[str, Any], send: Any, tell: Any) -> None:
    directory, good_path = Path(order["directory"]), Path(order["good"])
    if order["fingerprint"] and fingerprint(directory) == order["fingerprint"]:
        return  # nothing changed: an answer without a plan
    # pydantic and the plugins are imported here, in a process that ends, so that no other carries them.
    from lighthouse.config.compiler import compile_directory
    from lighthouse.config.lastgood import LastGood

    good, warning = LastGood.load(good_path)
    if warning:
        log.warning("%s", warning)
    compiled = compile_directory(
        directory,
        Role(order["role"]),
        good=good,
        poisoned=order["poisoned"],
        progress=lambda path, digest: tell(Progress(path, digest)),
    )
    tell(Progress("", ""))  # no file is in hand any more
    for worker, blob in compiled.blobs.items():
        send(Frame(Kind.SNAPSHOT, pack(blob), worker))
    send(Frame(Kind.SNAPSHOT, pack(compiled.plan.to_mapping()), PLAN_TOPIC))
    if compiled.good != good:
        try:
            compiled.good.save(good_path)
        except OSError as error:
            log.error("the last good files cannot be kept: %s; a restart now would begin without them", error)


def _limit_memory(allowed: int) -> None:
    """Allow `allowed` MiB of address space beyond what is used now, so that a huge document ends this process alone."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + allowed * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
