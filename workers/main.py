"""Where a forked process becomes a worker."""

from __future__ import annotations

import io
import logging
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from setproctitle import setproctitle

from lighthouse.ipc.boot import EXIT_BUG, Boot
from lighthouse.ipc.channel import Channel
from lighthouse.ipc.messages import unpack
from lighthouse.log.rotation import LogFile
from lighthouse.log.setup import configure
from lighthouse.workers import compiler
from lighthouse.workers.balancer import BalancerJob
from lighthouse.workers.checker import Checker
from lighthouse.workers.discovery import DiscoveryJob
from lighthouse.workers.runtime import Job, Runtime

JOBS: dict[str, Callable[[Runtime], Job]] = {"checker": Checker, "discovery": DiscoveryJob, "balancer": BalancerJob}

log = logging.getLogger(__name__)


def main(boot: Boot, sock: socket.socket) -> int:
    """Run the worker that `boot` describes until its end; returns the exit code."""
    setproctitle(f"lighthouse: {boot.id}")
    log_file = _open_log(boot)
    config = unpack(boot.config)
    configure(boot.id, config.get("logging") if isinstance(config, dict) else None)
    try:
        return _work(boot, sock, log_file)
    except BaseException:
        log.exception("bug in worker %s", boot.id)
        return EXIT_BUG


def _work(boot: Boot, sock: socket.socket, log_file: LogFile | None) -> int:
    if boot.kind == "config":
        if log_file:
            log_file.rotate_if_needed()
        return compiler.run(boot, sock)
    log.info("worker %s, generation %d", boot.id, boot.generation)
    runtime = Runtime(boot, Channel(sock, boot.generation), log_file)
    return runtime.run(JOBS[boot.kind](runtime))


def _open_log(boot: Boot) -> LogFile | None:
    """Make the worker's log file its stdout and stderr. Without one (a full disk, say) it goes on with the supervisor's."""
    if boot.log_path is None:
        return None
    try:
        log_file = LogFile(Path(boot.log_path), boot.log_max_bytes, boot.log_backups)
        log_file.attach()
    except OSError:
        return None
    if isinstance(
        sys.stdout, io.TextIOWrapper
    ):  # a worker may end at any moment: what a plugin printed must be out by then
        sys.stdout.reconfigure(line_buffering=True)
    return log_file
