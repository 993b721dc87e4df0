"""The settings of the supervisor itself: ``lighthouse.yaml``, each with a default.

This is the one place that names them. The configuration worker derives its validation from these declarations and
``docs/configuration.md`` lists them (a test holds the two together). All durations are seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, asdict, dataclass, field, fields
from math import inf
from types import NoneType
from typing import Any, get_type_hints

from lighthouse import advertise
from lighthouse.errors import NodeError
from lighthouse.identity import valid_host, valid_label


def setting(default: Any, help: str, *, minimum: float | None = None, maximum: float | None = None) -> Any:  # noqa: A002
    """Declare one setting: its default, one sentence of help, and the bounds of a number (both ends included)."""
    return field(default=default, metadata={"help": help, "minimum": minimum, "maximum": maximum})


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """How a worker's main loop shows that it turns."""

    interval: float = setting(1.0, "time between two heartbeats of a worker", minimum=0.05, maximum=60)
    deadline: float = setting(5.0, "silence after which a worker counts as hung", minimum=0.2, maximum=600)


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long each thing may take."""

    hello: float = setting(8.0, "from the fork to a worker's first sign of life", minimum=0.2, maximum=600)
    call: float = setting(
        8.0, "one call into a discovery or balancer plugin, its import included", minimum=0.2, maximum=600
    )
    grace: float = setting(1.0, "from an overdue call to the judgement that it hangs", minimum=0.05, maximum=60)
    dump: float = setting(0.2, "for a hung worker to write its stacks before it is killed", minimum=0.01, maximum=10)
    stop: float = setting(5.0, "for a worker to stop when asked", minimum=0.1, maximum=600)
    hurry: float = setting(2.0, "the same, after a second SIGTERM", minimum=0.1, maximum=60)


@dataclass(frozen=True, slots=True)
class Restart:
    """When a worker that died is started again. The first time at once, then with growing, jittered delays."""

    base: float = setting(0.5, "the first delay; it doubles each time", minimum=0.001, maximum=600)
    cap: float = setting(60.0, "the longest delay", minimum=0.001, maximum=3600)
    stable: float = setting(60.0, "a life of this length clears the record", minimum=0.01, maximum=3600)
    burst: int = setting(10, "this many deaths within `window` mean that it is failing", minimum=1, maximum=100000)
    window: float = setting(600.0, "see `burst`", minimum=1, maximum=86400)
    failing: float = setting(
        300.0, "the delay, give or take a fifth, while it is failing", minimum=0.001, maximum=86400
    )
    discovery: float = setting(3.0, "the longest delay of a discovery, which keeps announcements alive", minimum=0.001)


@dataclass(frozen=True, slots=True)
class Logs:
    """The log files: one per worker and one of the supervisor."""

    max_bytes: int = setting(10 * 1024 * 1024, "size at which a log file is rotated", minimum=4096)
    backups: int = setting(3, "rotated files that are kept", minimum=1, maximum=99)


@dataclass(frozen=True, slots=True)
class Compilation:
    """The one-shot worker that reads the configuration directory."""

    deadline: float = setting(10.0, "for one compilation, plugin validation included", minimum=0.2, maximum=600)
    memory: int = setting(256, "memory it may use beyond what it starts with, MiB", minimum=32, maximum=65536)
    settle: float = setting(0.1, "quiet time after a change before the directory is read", minimum=0.0, maximum=60)
    resync: float = setting(
        30.0, "time between two readings that correct what inotify missed", minimum=0.5, maximum=86400
    )


@dataclass(frozen=True, slots=True)
class Registration:
    """How fast this host may change what it announces, for each registry."""

    rate: float = setting(10.0, "announcements made, changed or withdrawn per second", minimum=0.1, maximum=10_000)
    burst: int = setting(100, "how many may come at once", minimum=1, maximum=100_000)
    farewell: float = setting(
        1.0, "for what goes on purpose to say so in its record before it is gone", minimum=0, maximum=60
    )


@dataclass(frozen=True, slots=True)
class MassLoss:
    """When members that vanish from a registry are held, see `lighthouse.guard`."""

    share: float = setting(
        0.5, "more than this share of a cluster's members must vanish; 1 switches the guard off", minimum=0, maximum=1
    )
    minimum: int = setting(2, "fewer that vanish are never held", minimum=1, maximum=100000)
    window: float = setting(60.0, "losses within this time count together", minimum=0.1, maximum=86400)
    hold: float = setting(
        300.0,
        "the registry must keep saying so for this time before held members are let go",
        minimum=0,
        maximum=604800,
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that ``lighthouse.yaml`` may say."""

    runtime_dir: str | None = setting(None, "directory of the control socket and the kept state (see the README)")
    log_dir: str | None = setting(None, "directory of the log files (default: `logs` in the runtime directory)")
    state_dir: str | None = setting(
        None, "directory of what survives a reboot (default: `$STATE_DIRECTORY`, or the runtime directory)"
    )
    hostname: str | None = setting(None, "name under which this host announces (default: its fully qualified name)")
    advertise: str | tuple[str, ...] | None = setting(
        None, "address under which this host announces, or rules to choose it (default: that of its name)"
    )
    zone: str | None = setting(None, "where this host stands, e.g. a data centre or an availability zone")
    hold: float = setting(
        30.0, "how long a service's last state is shown while its checker is away", minimum=0, maximum=86400
    )
    on_stop: str = setting("keep", "what becomes of this host's announcements when Lighthouse stops: keep or withdraw")
    initial_wait: float = setting(
        2.0, "how long a first sync waits for clusters that are not known yet", minimum=0, maximum=600
    )
    registration: Registration = field(default_factory=Registration)
    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    deadlines: Deadlines = field(default_factory=Deadlines)
    restart: Restart = field(default_factory=Restart)
    mass_loss: MassLoss = field(default_factory=MassLoss)
    logs: Logs = field(default_factory=Logs)
    config: Compilation = field(default_factory=Compilation)

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> Settings:
        """Build from plain data; what is absent keeps its default. Raises `TypeError` for a value of the wrong kind."""
        settings: Settings = _build(cls, data)
        return settings

    def to_mapping(self) -> dict[str, Any]:
        """Plain data, whole."""
        return asdict(self)


def _build(kind: type, data: Mapping[str, Any]) -> Any:
    hints = get_type_hints(kind)
    return kind(
        **{item.name: _value(item, hints[item.name], data[item.name]) for item in fields(kind) if item.name in data}
    )


def _value(item: Field[Any], hint: Any, value: Any) -> Any:
    """A value of the declared kind. Raises `TypeError`: settings come from a process in which plugins ran."""
    if hint in SECTIONS:
        if not isinstance(value, Mapping):
            raise TypeError(f"setting {item.name!r} is not a section")
        return _build(hint, value)
    if isinstance(value, list | tuple) and hint == _TEXTS:
        if not all(isinstance(text, str) for text in value):
            raise TypeError(f"setting {item.name!r} lists something else than text")
        return tuple(value)
    wanted = {float: (int, float), int: (int,)}.get(hint, (str, NoneType))
    if isinstance(value, bool) or not isinstance(value, wanted):
        raise TypeError(f"setting {item.name!r} is {type(value).__name__}")
    low, high = item.metadata["minimum"], item.metadata["maximum"]
    if isinstance(value, (int, float)) and not (-inf if low is None else low) <= value <= (
        inf if high is None else high
    ):
        raise TypeError(f"setting {item.name!r} is out of bounds")
    return value


def contradictions(settings: Settings) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What is wrong although each value is of its kind and within its bounds: the key, and the remedy."""
    for name in ("runtime_dir", "log_dir", "state_dir"):
        path = getattr(settings, name)
        if path is not None and not path.startswith("/"):
            yield (name,), "not an absolute path: start it with a slash"
    if settings.on_stop not in ("keep", "withdraw"):
        yield ("on_stop",), "neither 'keep' nor 'withdraw': choose one of them"
    if settings.hostname is not None and not _accepts(valid_host, settings.hostname):
        yield ("hostname",), "not a host name"
    for place, text in advertise.wrong(settings.advertise):
        yield ("advertise", *place), text
    if settings.zone is not None and not _accepts(valid_label, settings.zone):
        yield ("zone",), "not a name of a zone: use letters, digits and . _ - / :"
    if settings.heartbeat.deadline < 2 * settings.heartbeat.interval:
        yield (
            ("heartbeat", "deadline"),
            "less than two heartbeat intervals, which one late heartbeat would miss: make it longer",
        )
    if settings.restart.cap < settings.restart.base:
        yield ("restart", "cap"), "less than 'base': make it longer"
    if settings.registration.farewell >= settings.deadlines.stop:
        text = "not less than deadlines.stop, {:g}, within which a stop must withdraw: make it shorter, or deadlines.stop longer"
        yield ("registration", "farewell"), text.format(settings.deadlines.stop)


def _accepts(judge: Callable[[str], str], value: str) -> bool:
    try:
        judge(value)
    except NodeError:
        return False
    return True


_TEXTS = str | tuple[str, ...] | None

SECTIONS: tuple[type, ...] = (Registration, Heartbeat, Deadlines, Restart, MassLoss, Logs, Compilation)
