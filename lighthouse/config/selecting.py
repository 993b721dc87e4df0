"""What a cluster's file says of its members: which of them are used, and who stands in while none is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lighthouse.config.schema import Schema
from lighthouse.config.unit import Unit, check_label
from lighthouse.errors import NodeError
from lighthouse.identity import shown
from lighthouse.node import Node
from lighthouse.options import Option
from lighthouse.selection import Selection

_Member = str | dict[str, Any]

SELECTING = {
    "filter": Option(
        dict[str, str | list[str]], "labels that a member must have, with the values allowed", default=None
    ),
    "zone": Option(dict[str, Any], "which zones are preferred", default=None),
    "default_nodes": Option(list[_Member], "the members while none is known", default=None),
}
_ZONE = {
    "prefer": Option(str | list[str], "zones, the nearest first", default=None),
    "minimum": Option(int, "members that they must have", default=1, minimum=1, maximum=100_000),
}
_ZONE_SCHEMA = Schema(_ZONE)


def selecting(unit: Unit, head: Mapping[str, Any]) -> dict[str, Any]:
    """``{"selection": ..., "default_nodes": [...]}``, each where the file says something of it.

    A selection has ``zones`` None where the file prefers a zone and leaves it to ``lighthouse.yaml`` which.
    """
    found: dict[str, Any] = {}
    labels = _labels(unit, head.get("filter"))
    zone = _zone(unit, head.get("zone"))
    if labels or zone:
        found["selection"] = {**Selection(labels).to_mapping(), **(zone or {})}
    if head.get("default_nodes") is not None:
        found["default_nodes"] = _default_nodes(unit, head["default_nodes"])
    return found


def completed(selection: Mapping[str, Any], own_zone: str | None) -> dict[str, Any]:
    """A selection with the zone of this host where the file names none."""
    own = [] if own_zone is None else [own_zone]
    return {**selection, "zones": own if selection["zones"] is None else selection["zones"]}


def _labels(unit: Unit, data: Mapping[str, Any] | None) -> dict[str, list[str]]:
    found = {}
    for key, values in (data or {}).items():
        found[key] = [values] if isinstance(values, str) else list(values)
        for text in (key, *found[key]):
            check_label(unit, ("filter", key), text)
        if not found[key]:
            unit.problems.value(("filter", key), values, "empty, which no member fits: list at least one value")
    return found


def _zone(unit: Unit, data: Any) -> dict[str, Any] | None:
    if data is None:
        return None
    part = _ZONE_SCHEMA.read(data, unit.problems, ("zone",))
    given = (_ZONE_SCHEMA.sound(data) if part is None else part).get("prefer")
    prefer = [given] if isinstance(given, str) else given
    for text in prefer or ():
        check_label(unit, ("zone", "prefer"), text)
    return part and {"zones": prefer, "minimum": part["minimum"]}


def _default_nodes(unit: Unit, items: list[Any]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for index, item in enumerate(items):
        path = ("default_nodes", index)
        try:
            node = Node.from_mapping(_member(item) if isinstance(item, str) else item)
        except NodeError as error:
            unit.problems.key(
                path, f"{error}: write 192.0.2.17:8080, or a mapping with 'ip', 'port' and, if wanted, 'host'"
            )
            continue
        if node.name in found:
            unit.problems.key(path, f"{shown(node.name)} is listed twice: remove one")
        found[node.name] = node.to_mapping()
    if not items:
        unit.problems.key(("default_nodes",), "empty: list at least one member, or remove the key")
    return list(found.values())


def _member(text: str) -> dict[str, Any]:
    ip, _, port = text.rpartition(":")
    return {
        "ip": ip.removeprefix("[").removesuffix("]"),
        "port": int(port) if port.isdecimal() and len(port) <= 5 else port,
    }
