"""The key ``guard`` of a cluster's file: how it departs from ``mass_loss`` in ``lighthouse.yaml``."""

from __future__ import annotations

from typing import Any, Literal

from lighthouse.config.rootfiles import declared
from lighthouse.config.schema import Schema
from lighthouse.config.unit import Unit
from lighthouse.options import Option
from lighthouse.settings import MassLoss

GUARD = {"guard": Option(Literal["off"] | dict[str, Any], "how it is guarded against mass loss, or off", default={})}

_SCHEMA = Schema(declared(MassLoss))


def guard_of(unit: Unit) -> dict[str, Any] | None:
    """What the file says of `lighthouse.settings.MassLoss`; None for a cluster that is not guarded."""
    given = unit.document.data.get("guard", {})
    if not isinstance(given, dict):
        return None  # the schema tells of anything but "off"
    values = _SCHEMA.read(given, unit.problems, ("guard",)) or {}
    return {key: values[key] for key in given if key in values}
