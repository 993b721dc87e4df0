"""The compilers of discovery, balancer, cluster and service files.

Each takes a `Unit`, adds to its problems, and gives a `Product`, or None when there were problems.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from lighthouse.advertise import rules_of, wrong
from lighthouse.config.guarding import GUARD, guard_of
from lighthouse.config.plugins import BALANCERS, CHECKS, DISCOVERY
from lighthouse.config.schema import Schema, unknown_key
from lighthouse.config.selecting import SELECTING, selecting
from lighthouse.config.text import listed
from lighthouse.config.unit import Product, Unit, check_discovery, check_label, object_name
from lighthouse.errors import NodeError, PluginError
from lighthouse.identity import valid_host, valid_ip, valid_name
from lighthouse.options import Option

DEFAULT_TIMEOUT = 2.0

_Port = Annotated[int, Field(ge=1, le=65535)]

_NAME = {"name": Option(str, "name of the object, if not the base name of the file", default=None)}
_DISCOVERY = {"discovery": Option(str, "name a file of discovery/")}
_PLUGIN = {"plugin": Option(str, "the plugin, if not the base name of the file", default=None)}

_META = {"meta_cluster": Option(str, "name of the meta cluster that it is part of", default=None)}
_CLUSTER = {**_NAME, **_DISCOVERY, **_META, **SELECTING, **GUARD}
_CLUSTER_SCHEMA = Schema(_CLUSTER, open_ended=True)

_SERVICE_SCHEMA = Schema(
    {
        **_NAME,
        **_DISCOVERY,
        "port": Option(_Port, "the port", default=None),
        "ports": Option(list[_Port], "the ports", default=None),
        "host": Option(str, "where the checks connect", default="127.0.0.1"),
        "metadata": Option(dict[str, Any], "what is announced with each node", default={}),
        "weight": Option(int, "its share of the traffic, 0 to 256", default=None, minimum=0, maximum=256),
        "labels": Option(dict[str, str], "what consumers select by", default=None),
        "zone": Option(str, "where it stands, if not where lighthouse.yaml says", default=None),
        "advertise": Option(str | list[str], "where others reach it, if not as lighthouse.yaml says", default=None),
        "checks": Option(dict[str, Any], "give an 'interval' and one key per check"),
        "flap": Option(dict[str, Any] | None, "when a port that comes and goes is held down", default=None),
    }
)
_FLAP = {
    "changes": Option(int, "so many changes within `window` hold a port down", default=5, minimum=2, maximum=100),
    "window": Option(float, "seconds", default=300.0, minimum=0.01, maximum=86400),
    "calm": Option(float, "seconds without a change that end it", default=60.0, minimum=0.01, maximum=86400),
}
_FLAP_SCHEMA = Schema(_FLAP)
_CHECKS_SCHEMA = Schema(
    {"interval": Option(float, "seconds between two rounds of checks", minimum=0.001, maximum=86400)}, open_ended=True
)
_CHECK = {
    "rise": Option(int, "good results in a row that make it pass, at least 1", minimum=1, maximum=10_000),
    "fall": Option(int, "bad results in a row that make it fail, at least 1", minimum=1, maximum=10_000),
    "timeout": Option(float, "seconds for one check", default=None, minimum=0.001, maximum=3600),
    "interval": Option(float | None, "seconds between two runs", default=None, minimum=0.001, maximum=86400),
}


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
    chosen = selecting(unit, head or {})
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


def service_file(unit: Unit) -> Product | None:
    """``{"service": {"ports", "host", "metadata", "discovery"}, "interval": seconds, "checks": [...], "flap": rules or None}``."""
    data, problems = unit.document.data, unit.problems
    name = object_name(unit)
    head = _SERVICE_SCHEMA.read(data, problems)
    check_discovery(unit)
    checks = data.get("checks")
    interval, compiled = _checks(unit, checks) if isinstance(checks, dict) else (0.0, [])
    flap = _FLAP_SCHEMA.read(data["flap"], problems, ("flap",)) if isinstance(data.get("flap"), dict) else None
    _check_host(unit)
    _check_advertise(unit)
    ports = _ports(unit)
    metadata = _metadata(unit, head or {})
    if head is None or problems:
        return None
    service = {
        "ports": ports,
        "host": head["host"],
        "metadata": metadata,
        "discovery": head["discovery"],
        "advertise": rules_of(head["advertise"]),
    }
    compiled_file = {"service": service, "interval": interval, "checks": compiled, "flap": flap}
    return Product(name, compiled_file, unit.document.line(("name",)))


def _ports(unit: Unit) -> list[int]:
    data, problems = unit.document.data, unit.problems
    if "port" in data and "ports" in data:
        problems.key(("port",), "given beside 'ports': keep one of them, 'ports' if there are several")
    elif "port" not in data and "ports" not in data:
        problems.add((), "key 'port' is missing: give 'port', or 'ports' with a list")
    ports = [data["port"]] if "port" in data else data.get("ports")
    if not isinstance(ports, list):
        return []  # the schema tells of the type
    if "ports" in data and not ports:
        problems.value(("ports",), ports, "empty: list at least one port")
    for index, port in enumerate(ports):
        if port in ports[:index]:
            problems.value(("ports", index), port, "listed twice: remove one")
    return ports


def _metadata(unit: Unit, head: Mapping[str, Any]) -> dict[str, Any]:
    """What is announced: the free mapping, and the keys that have a meaning of their own."""
    own = {key: head[key] for key in ("weight", "labels", "zone") if head.get(key) is not None}
    free = head.get("metadata", {})
    for key in own.keys() & free.keys():
        unit.problems.key(("metadata", key), f"given beside '{key}': remove it here")
    labels = own.get("labels", {})
    for path, value in [(("zone",), own.get("zone")), *((("labels", key), text) for key, text in labels.items())]:
        if value is not None:
            check_label(unit, path, value)
    for key in labels:
        check_label(unit, ("labels", key), key)
    return {**free, **own}


def _check_host(unit: Unit) -> None:
    host = unit.document.data.get("host")
    if not isinstance(host, str):
        return
    try:
        valid_ip(host)
    except NodeError:
        try:
            valid_host(host)
        except NodeError:
            unit.problems.value(("host",), host, "neither a host name nor an address: correct it")


def _check_advertise(unit: Unit) -> None:
    advertise = unit.document.data.get("advertise")
    if isinstance(advertise, str) or (isinstance(advertise, list) and all(isinstance(item, str) for item in advertise)):
        for place, text in wrong(advertise):
            unit.problems.value(("advertise", *place), advertise[place[0]] if place else advertise, text)


def _checks(unit: Unit, data: dict[str, Any]) -> tuple[float, list[dict[str, Any]]]:
    """The interval, and the checks in the order of their names."""
    head = _CHECKS_SCHEMA.read(data, unit.problems, ("checks",))
    interval = head["interval"] if head else 0.0
    checks = [_check(unit, name, data[name], interval) for name in sorted(data) if name != "interval"]
    return interval, [check for check in checks if check is not None]


def _check(unit: Unit, name: str, data: Any, interval: float) -> dict[str, Any] | None:
    """One check. Without a `timeout` it gets 2 seconds, or the interval where that is shorter."""
    path = ("checks", name)
    plugin = unit.judge.find(CHECKS, name, unit.problems, path)
    if plugin is None:
        return None
    unit.validating()
    part = unit.judge.read(plugin, data, unit.problems, path, common=_CHECK)
    if part is None:
        return None
    ours, own = part
    interval = ours["interval"] or interval
    timeout = ours["timeout"] if ours["timeout"] is not None else min(DEFAULT_TIMEOUT, interval)
    return {
        "name": name,
        "plugin": plugin.reference,
        "config": own,
        "rise": ours["rise"],
        "fall": ours["fall"],
        "timeout": timeout,
        "interval": interval,
    }
