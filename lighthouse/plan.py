"""The plan: what the configuration worker hands to the supervisor.

The supervisor reads this much and no more; each worker's own configuration travels beside it as opaque bytes. ``from_mapping``
refuses anything that is not exactly of this shape, because plugin code ran in the process that sent it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from lighthouse.identity import valid_name
from lighthouse.settings import Settings

KINDS = ("balancer", "discovery", "checker")
"""The kinds of worker, in the order in which they start: against the way of the data."""


class FileState(Enum):
    """What became of a file: in force; refused, its last good version in force; refused, nothing in force."""

    OK = "ok"
    HELD = "held"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class File:
    """One file of the configuration directory; ``error`` names line, key, value and remedy."""

    state: FileState
    error: str | None = None


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """A worker that should run. ``digest`` changes with its configuration; a `fatal` one waits for such a change."""

    id: str
    kind: str
    digest: str


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """A provided service: the discovery that announces it, and its ports."""

    discovery: str
    ports: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that should run, and what became of each file.

    ``clusters`` maps each consumed cluster to its discovery, ``watch`` lists the directories whose changes matter,
    ``fingerprint`` identifies the directory's content, ``settings`` is the mapping of `lighthouse.settings.Settings`.
    """

    workers: Mapping[str, WorkerSpec] = field(default_factory=dict)
    clusters: Mapping[str, str] = field(default_factory=dict)
    services: Mapping[str, ServicePlan] = field(default_factory=dict)
    files: Mapping[str, File] = field(default_factory=dict)
    watch: tuple[str, ...] = ()
    fingerprint: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)

    def to_mapping(self) -> dict[str, Any]:
        """Plain data for the wire."""
        return {
            "workers": {spec.id: [spec.kind, spec.digest] for spec in self.workers.values()},
            "clusters": dict(self.clusters),
            "services": {name: [service.discovery, list(service.ports)] for name, service in self.services.items()},
            "files": {path: [file.state.value, file.error] for path, file in self.files.items()},
            "watch": list(self.watch),
            "fingerprint": self.fingerprint,
            "settings": dict(self.settings),
        }

    @classmethod
    def from_mapping(cls, data: Any) -> Plan:
        """Read what `to_mapping` gave. Raises `ValueError` for any other shape."""
        try:
            return cls(
                workers={
                    _worker(key): WorkerSpec(key, _kind(kind), _text(digest))
                    for key, (kind, digest) in data["workers"].items()
                },
                clusters={valid_name(name): _text(discovery) for name, discovery in data["clusters"].items()},
                services={
                    valid_name(name): ServicePlan(_text(discovery), tuple(_port(port) for port in ports))
                    for name, (discovery, ports) in data["services"].items()
                },
                files={
                    _text(path): File(FileState(state), None if error is None else _text(error))
                    for path, (state, error) in data["files"].items()
                },
                watch=tuple(_text(path) for path in data["watch"]),
                fingerprint=_text(data["fingerprint"]),
                settings=Settings.from_mapping(data["settings"]).to_mapping(),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"not a plan: {type(error).__name__}: {error}") from error


def _worker(value: Any) -> str:
    kind, _, name = _text(value).partition("/")
    return f"{_kind(kind)}/{valid_name(name)}"


def _kind(value: Any) -> str:
    if value not in KINDS:
        raise ValueError(f"{value!r} is not a kind of worker")
    return str(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} where text belongs")
    return value


def _port(value: Any) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{type(value).__name__} where a port belongs")
    return value
