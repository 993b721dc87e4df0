"""The compiler of service files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from lighthouse.advertise import rules_of, wrong
from lighthouse.config.plugins import CHECKS
from lighthouse.config.schema import Schema
from lighthouse.config.unit import DISCOVERY_KEY, NAME, Product, Unit, check_discovery, check_label, object_name
from lighthouse.errors import NodeError
from lighthouse.identity import valid_host, valid_ip
from lighthouse.options import Option

DEFAULT_TIMEOUT = 2.0

_Port = Annotated[int, Field(ge=1, le=65535)]

_SERVICE_SCHEMA = Schema(
    {
        **NAME,
        **DISCOVERY_KEY,
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
    metadata = _metadata(unit, _SERVICE_SCHEMA.sound(data) if head is None else head)
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
