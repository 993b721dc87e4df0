"""Which members of a cluster this host uses: by labels, and by zone. Pure.

A node tells its labels and its zone in its metadata, under ``labels`` and ``zone``; what is not of that shape counts as absent,
because nothing that came from a registry is trusted.

A zone is a preference and never takes the last members away: if the preferred zones have too few, the next of the list is taken in,
and at last all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lighthouse.identity import shown
from lighthouse.node import Node


@dataclass(frozen=True, slots=True)
class Selection:
    """What a cluster's file asks for. ``labels``: the values that each label may have; ``zones``: the nearest first."""

    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    zones: Sequence[str] = ()
    minimum: int = 1

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> Selection:
        """Read what `to_mapping` gave."""
        return cls(
            {key: tuple(values) for key, values in data["labels"].items()}, tuple(data["zones"]), data["minimum"]
        )

    def to_mapping(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "labels": {key: list(values) for key, values in self.labels.items()},
            "zones": list(self.zones),
            "minimum": self.minimum,
        }


@dataclass(frozen=True, slots=True)
class Selected:
    """The members that are used, and by name why others are not."""

    nodes: Sequence[Node]
    left_out: Mapping[str, str] = field(default_factory=dict)


def select(nodes: Sequence[Node], selection: Selection) -> Selected:
    """The members that this host uses, in their order."""
    left_out: dict[str, str] = {}
    fit = []
    for node in nodes:
        wrong = _mismatch(node, selection.labels)
        if wrong is None:
            fit.append(node)
        else:
            left_out[node.name] = wrong
    zones = _zones(fit, selection)
    if zones is None:
        return Selected(fit, left_out)
    near = [node for node in fit if zone_of(node) in zones]
    elsewhere = f"not in zone {' or '.join(zones)}, which has enough members"
    left_out |= {
        node.name: elsewhere + _wrong("zone", node.metadata.get("zone")) for node in fit if zone_of(node) not in zones
    }
    return Selected(near, left_out)


def labels_of(node: Node) -> Mapping[str, str]:
    """The labels that a node tells of itself."""
    labels = node.metadata.get("labels")
    if not isinstance(labels, Mapping):
        return {}
    return {key: value for key, value in labels.items() if isinstance(key, str) and isinstance(value, str)}


def zone_of(node: Node) -> str | None:
    """The zone that a node tells of itself."""
    zone = node.metadata.get("zone")
    return zone if isinstance(zone, str) else None


def _mismatch(node: Node, wanted: Mapping[str, Sequence[str]]) -> str | None:
    if not wanted:
        return None
    labels = labels_of(node)
    return next(
        (
            f"label {key} is not {' or '.join(values)}{_wrong_label(node, key)}"
            for key, values in wanted.items()
            if labels.get(key) not in values
        ),
        None,
    )


def _wrong_label(node: Node, key: str) -> str:
    """What else is to be said of a label that counts as absent, because its node announces something of another shape."""
    labels = node.metadata.get("labels")
    if labels is None or isinstance(labels, Mapping):
        return _wrong(f"label {key}", (labels or {}).get(key))
    return f"; its record has labels {shown(labels)}, which must be a mapping from names to text"


def _wrong(what: str, value: Any) -> str:
    if value is None or isinstance(value, str):
        return ""
    return f"; its record has {what} {shown(value)}, which must be text"


def _zones(nodes: Sequence[Node], selection: Selection) -> Sequence[str] | None:
    """The shortest beginning of the preferred zones that has enough members; None if not even all of them have."""
    for count in range(1, len(selection.zones) + 1):
        zones = selection.zones[:count]
        if sum(zone_of(node) in zones for node in nodes) >= max(1, selection.minimum):
            return zones
    return None
