"""Where the rooms are put together: the supervisor on one side, what its children run on the other."""

from __future__ import annotations

import faulthandler
import fcntl
import logging
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from setproctitle import setproctitle

from lighthouse import preload
from lighthouse.errors import LighthouseError
from lighthouse.ipc.boot import EXIT_BUG, Boot
from lighthouse.ipc.errors import ProtocolError
from lighthouse.ipc.messages import pack, unpack
from lighthouse.log.rotation import LogFile
from lighthouse.paths import SOCKET, default_state_dir, runtime_dir
from lighthouse.role import Role
from lighthouse.settings import Logs, Settings
from lighthouse.supervisor import control, logs, process
from lighthouse.supervisor.core import Core
from lighthouse.supervisor.keeper import Keeper
from lighthouse.supervisor.lives import Lives
from lighthouse.supervisor.loop import Supervisor
from lighthouse.supervisor.notify import Notifier
from lighthouse.supervisor.place import Place
from lighthouse.supervisor.store import DURABLE
from lighthouse.version import __version__
from lighthouse.workers import bootstrap
from lighthouse.workers.main import main as worker_main

EXIT_USAGE = 2
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
BOOTSTRAP = 10.0  # seconds for the first look into lighthouse.yaml

log = logging.getLogger("lighthouse.supervisor")


def run(config_dir: Path, role: Role, runtime: Path | None, log_dir: Path | None, state_dir: Path | None) -> int:
    """Be the supervisor of a configuration directory until told to end; returns the exit code.

    Directories that are not given come from lighthouse.yaml, then from the defaults of `lighthouse.paths`.
    """
    try:
        config_dir = Path(os.path.abspath(config_dir))  # noqa: PTH100 - resolve() would follow the symlink that is to be watched
        if not config_dir.is_dir():
            raise LighthouseError(f"{config_dir} is not a directory: give the configuration directory")
        settings = _first_settings(config_dir)
        place = _place(
            config_dir,
            role,
            runtime or settings.runtime_dir,
            log_dir or settings.log_dir,
            state_dir or settings.state_dir or default_state_dir(role),
        )
        with ExitStack() as locks:
            for directory in {place.runtime_dir: None, place.state_dir: None}:
                locks.enter_context(_only_one(directory))
            return _supervise(place, settings)
    except LighthouseError as error:
        sys.stderr.write(f"lighthouse: {error}\n")
        return EXIT_USAGE


def _supervise(place: Place, settings: Settings) -> int:
    setproctitle("lighthouse: supervisor")
    logs.configure(_log_file(place, settings.logs))
    log.info("supervisor %s, pid %d, role %s, configuration %s", __version__, os.getpid(), place.role, place.config_dir)
    # Inherited by the workers, whose stderr is their log. It works even while C code holds the GIL: the handler writes by itself.
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=True, chain=False)
    preload.preload()
    core = Core(Lives(settings))
    try:
        keeper = Keeper(place.runtime_dir / "state")
        _take_up(core, keeper, place.archive)
    except OSError as error:
        raise LighthouseError(
            f"the kept state is out of reach: {error}; choose another --runtime-dir or --state-dir"
        ) from error
    socket_path = place.runtime_dir / SOCKET
    try:
        listener = control.listen(socket_path)
    except OSError as error:
        raise LighthouseError(str(error)) from error
    with listener, _signals() as signals:
        try:
            code = Supervisor(place, worker_main, core, keeper, Notifier.from_environment()).run(listener, signals)
        except Exception:
            # The workers end with this process, HAProxy goes on, and a successor takes up the kept state.
            log.exception("bug in the supervisor")
            return EXIT_BUG
        socket_path.unlink(missing_ok=True)
    log.info("stopped")
    return code


def _take_up(core: Core, keeper: Keeper, archive: Path | None) -> None:
    """Begin with what the predecessor kept; what the runtime directory has lost, by a reboot as a rule, comes from the archive."""
    downtime = keeper.downtime(time.time())
    snapshots, moments = _loaded(keeper)
    durable, durable_moments = _loaded(Keeper(archive)) if archive else ({}, {})
    lost = {
        topic: payload for topic, payload in durable.items() if topic not in snapshots and topic.startswith(DURABLE)
    }
    with suppress(OSError):  # without it an order until the next boot ends with the next start
        core.store.orders.boot = BOOT_ID.read_text().strip()
    aged = downtime is None or downtime > core.settings.hold
    for text in core.store.load({**lost, **snapshots}, aged=aged):
        log.error("%s", text)
    offset = time.monotonic() - time.time()
    core.store.times |= {topic: when + offset for topic, when in {**durable_moments, **moments}.items()}
    core.store.dirty |= lost.keys()
    core.store.uncopied |= {topic for topic in snapshots if topic.startswith(DURABLE) and topic not in durable}
    core.store.uncopied |= {topic for topic in durable.keys() & snapshots if durable[topic] != snapshots[topic]}
    if snapshots:
        log.info("took up the state of %d topics, %.1f s old", len(snapshots), downtime or 0.0)
    if lost:
        log.info("took up the state of %d topics from %s", len(lost), archive)


def _loaded(keeper: Keeper) -> tuple[dict[str, bytes], dict[str, float]]:
    """The snapshots, and when each was written (unix time)."""
    snapshots, damaged = keeper.load()
    for text in damaged:
        log.error("%s", text)
    return snapshots, {topic: when for topic in snapshots if (when := keeper.moment(topic)) is not None}


def _place(
    config_dir: Path, role: Role, runtime: Path | str | None, log_dir: Path | str | None, state_dir: Path | str | None
) -> Place:
    runtime = Path(runtime or runtime_dir(role)).absolute()
    log_dir = Path(log_dir or runtime / "logs").absolute()
    state_dir = Path(state_dir or runtime).absolute()
    for path in (runtime, log_dir, state_dir):
        _make(path)
    return Place(config_dir, runtime, log_dir, state_dir, role.value)


def _make(path: Path) -> None:
    """Make a private directory, parents included; one that exists keeps its mode."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o750, exist_ok=True)
    except OSError as error:
        raise LighthouseError(f"{path} cannot be made: {error.strerror}; choose another directory") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise LighthouseError(f"{path} is not writable for uid {os.getuid()}; choose another directory")


def _first_settings(config_dir: Path) -> Settings:
    """What lighthouse.yaml says, read in a process of its own; the defaults where that fails."""
    try:
        child = process.fork(
            bootstrap.run, Boot("bootstrap", "bootstrap", 0, pack({"directory": str(config_dir)})), None
        )
    except OSError as error:
        raise LighthouseError(f"no process can be started: {error}") from error
    answer = b""
    deadline = time.monotonic() + BOOTSTRAP
    with child.sock:
        while select.select([child.sock], [], [], max(0.0, deadline - time.monotonic()))[0]:
            data = child.sock.recv(65536)
            if not data:
                break
            answer += data
    process.kill(child)
    process.reap(child)
    try:
        return Settings.from_mapping(unpack(answer))
    except (AttributeError, ProtocolError, TypeError, ValueError):
        return Settings()


@contextmanager
def _only_one(directory: Path) -> Iterator[None]:
    """Hold the runtime directory's lock, so that what lies in it belongs to this process alone."""
    path = directory / "supervisor.lock"
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LighthouseError(f"{path} cannot be opened: {error.strerror}") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise LighthouseError(
            f"another supervisor uses {directory}: stop it, or choose another --runtime-dir or --state-dir"
        ) from None
    try:
        yield
    finally:
        os.close(fd)


@contextmanager
def _signals() -> Iterator[socket.socket]:
    """A socket on which the numbers of arriving signals can be read. The handlers do nothing: a handler may run anywhere."""
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
    with reader, writer:
        before = {number: signal.signal(number, lambda *_: None) for number in numbers}
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        try:
            yield reader
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)


def _log_file(place: Place, rules: Logs) -> LogFile | None:
    path = place.log_path("supervisor")
    try:
        return LogFile(path, rules.max_bytes, rules.backups)
    except OSError as error:
        sys.stderr.write(f"lighthouse: {path} cannot be written: {error.strerror}; logging to stderr only\n")
        return None
