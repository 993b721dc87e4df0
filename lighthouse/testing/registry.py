"""What the suite has to be told of a registry: how to look into it and change it behind the back of the plugin under test.

The suite names records by the node that they announce, ``host:port``, and services by their names; under which key a registry keeps
them is its own affair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, Flag, auto
from typing import Any, Protocol


class Feature(Flag):
    """What a discovery can do beyond what each of them owes. Tests of what it does not claim are skipped."""

    NONE = 0
    HANDOVER = auto()
    """The next generation of its worker takes over what an earlier one announced, and nobody sees a change."""
    RECONCILES = auto()
    """An announcement that somebody removed or altered is made good without being asked for."""
    DATA_CHANGES = auto()
    """A record that is replaced in place is seen."""
    STATUS = auto()
    """`maintain` reports: an outage in ``degraded`` or ``complete``, unusable records in ``refused`` and ``refused_total``."""
    OWNERSHIP = auto()
    """The registry knows who made a record: one of another host stays untouched even under the name of ours."""
    FAREWELL = auto()
    """What is withdrawn on purpose says so in its record first, see `lighthouse.discovery.Wanted`, and who reads that tells it."""
    ALL = HANDOVER | RECONCILES | DATA_CHANGES | STATUS | OWNERSHIP | FAREWELL


class Change(Enum):
    """What an observer saw happen to a record."""

    CAME = "came"
    CHANGED = "changed"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Event:
    """One change of one record. What only keeps an announcement alive is no event."""

    change: Change
    name: str


class Observer(Protocol):
    """Looks at one service with a client of its own, from when it was made until it is closed."""

    def events(self) -> Sequence[Event]:
        """All that happened so far, oldest first. One that is overlooked makes the suite worthless."""

    def close(self) -> None:
        """End its client."""


class Registry(Protocol):
    """A registry for one test, empty at first. Its methods work whatever `cut` did: they do not go where the plugin goes.

    ``plugin`` is the plugin as ``module:Class``. ``config`` is what its file in ``discovery/`` would hold; make the time short
    after which an announcement without owner is dead, because tests wait for it. ``outages`` are the ways in which the registry can
    be put out of the plugin's reach, each a word for `cut`. ``secrets`` are texts that nothing may show.
    """

    plugin: str
    config: Mapping[str, Any]
    features: Feature
    outages: Sequence[str]
    secrets: Sequence[str]

    def write(self, service: str, name: str, record: bytes) -> None:
        """Put a record in place as another host would, or replace one of anybody; it stays alive until the test ends."""

    def remove(self, service: str, name: str) -> None:
        """Take a record away, whosoever it is."""

    def read(self, service: str) -> Mapping[str, bytes]:
        """The records that stand now, by the name of the node."""

    def observe(self, service: str) -> Observer:
        """Begin to observe a service."""

    def cut(self, how: str) -> None:
        """Put the registry out of the plugin's reach in one of the ways of ``outages``; what it holds stays as it is."""

    def mend(self) -> None:
        """Undo `cut`."""
