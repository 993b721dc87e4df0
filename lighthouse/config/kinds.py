"""The compilers of discovery, balancer and cluster files.

Each takes a `Unit`, adds to its problems, and gives a `Product`, or None when there were problems.
"""

from __future__ import annotations

from typing import Any

from lighthouse.config.guarding import GUARD, guard_of
from lighthouse.config.plugins import BALANCERS, DISCOVERY
from lighthouse.config.schema import Schema, unknown_key
from lighthouse.config.selecting import SELECTING, selecting
from lighthouse.config.text import listed
from lighthouse.config.unit import DISCOVERY_KEY, NAME, Product, Unit, check_discovery, object_name
from lighthouse.errors import NodeError, PluginError
from lighthouse.identity import valid_name
from lighthouse.options import Option

_PLUGIN = {"plugin": Option(str, "the plugin, if not the base name of the file", default=None)}

_META = {"meta_cluster": Option(str, "name of the meta cluster that it is part of", default=None)}
_CLUSTER = {**NAME, **DISCOVERY_KEY, **_META, **SELECTING, **GUARD}
_CLUSTER_SCHEMA = Schema(_CLUSTER, open_ended=True)


def discovery_file(unit: Unit) -> Product | None:
    """``{"plugin": installed name, "reference": "module:Class", "config": {...}}``."""
    return _plugin_file(unit, DISCOVERY)


def balancer_file(unit: Unit) -> Product | None:
    """The same shape as for a discovery."""
    return _plugin_file(unit, BALANCERS)


def _plugin_file(unit: Unit, group: str) -> Product | None:
    data, problems = unit.document.data, unit.problems
    name = _stem_name(unit)
    named = data.get("plugin", unit.stem)
    if not isinstance(named, str):
        problems.value(("plugin",), named, "expected text: name an installed plugin, or remove the key")
        return None
    plugin = unit.judge.find(group, named, problems, ("plugin",) if "plugin" in data else ())
    if plugin is None:
        return None
    unit.validating()
    part = unit.judge.read(plugin, data, problems, (), common=_PLUGIN)
    if part is None or problems:
        return None
    return Product(name, {"plugin": named, "reference": plugin.reference, "config": part[1]})


def _stem_name(unit: Unit) -> str:
    """An instance is always named after its file: a plugin may have a key ``name`` of its own."""
    try:
        return valid_name(unit.stem)
    except NodeError as error:
        unit.problems.add((), f"{error}: rename the file")
        return ""


def cluster_file(unit: Unit) -> Product | None:
    """``{"discovery": ..., "options": {balancer or plugin: {...}}, "guard": ...}``, ``"meta_cluster"``, if any, and `selecting`."""
    data, problems = unit.document.data, unit.problems
    name = object_name(unit)
    head = _CLUSTER_SCHEMA.read(data, problems)
    check_discovery(unit)
    addressed = [key for key in data if key not in _CLUSTER]
    options = {}
    for key in addressed:
        part = _balancer_part(unit, key)
        if part is not None:
            options[key] = part
    chosen = selecting(unit, _CLUSTER_SCHEMA.sound(data) if head is None else head)
    if not addressed:
        problems.add((), f"no balancer is configured: add one of the keys {listed(_balancers(unit))}")
    guard = guard_of(unit)
    if head is None or problems:
        return None
    compiled = {"discovery": head["discovery"], "options": options, "guard": guard, **chosen}
    if head["meta_cluster"] is not None:
        compiled["meta_cluster"] = head["meta_cluster"]
    return Product(name, compiled, unit.document.line(("name",)))


def _balancer_part(unit: Unit, key: str) -> dict[str, Any] | None:
    """What the cluster says to a balancer. A held version leaves out what is addressed to one that is gone."""
    instances = unit.references.balancers
    if key not in _balancers(unit):
        if unit.strict:
            unknown_key(unit.problems, (key,), {*_balancers(unit), *_CLUSTER})
        return None
    named = instances.get(key, key)
    if named is None:
        if unit.strict:
            unit.problems.key((key,), f"balancers/{key}.yaml is refused: correct that file first")
        return None
    plugin = unit.judge.find(BALANCERS, named, unit.problems, (key,))
    if plugin is None:
        return None
    unit.validating()
    part = unit.judge.read(
        plugin,
        unit.document.data[key],
        unit.problems,
        (key,),
        common={},
        options="cluster_options",
        validate="validate_cluster_config",
    )
    return None if part is None else part[1]


def _balancers(unit: Unit) -> set[str]:
    """What a cluster may address: configured balancers, and installed plugins."""
    try:
        installed = unit.judge.plugins.names(BALANCERS)
    except PluginError as error:
        unit.problems.add((), str(error), broken=True)
        installed = set()
    return {*installed, *unit.references.balancers}
