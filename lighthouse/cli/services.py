"""The commands of `lighthouse ctl` about provided services: taking them out of service, and back."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Mapping
from typing import Any

import click

from lighthouse.cli.client import Client
from lighthouse.cli.group import Target, command, print_json
from lighthouse.cli.text import age, safe
from lighthouse.identity import shown

POLL = 0.1  # seconds
COUNT_EVERY = 0.5  # seconds; the kernel's tables are long on a busy host
_UNITS = (86400, 3600, 60, 1)  # seconds of each part of a duration
_DURATION = re.compile(r"(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?", re.ASCII)


def duration(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    """The seconds of a duration such as ``90s``, ``30m`` or ``1h30m``. Raises `click.BadParameter` with the remedy."""
    if value is None:
        return None
    match = _DURATION.fullmatch(value)
    seconds = sum(int(part or 0) * unit for part, unit in zip(match.groups(), _UNITS, strict=True)) if match else 0
    if not seconds:
        raise click.BadParameter(f"{shown(value)} is no duration: write for example 90s, 30m, 1h30m or 2d")
    return float(seconds)


_reason = click.option("--reason", default="", help="Why, for those who look at the status.")


@command
@click.argument("service")
@click.argument("state", type=click.Choice(["on", "off"]))
@_reason
@click.option(
    "--for", "seconds", callback=duration, metavar="DURATION", help="End it by itself after this time, e.g. 30m."
)
def maintenance(target: Target, service: str, state: str, reason: str, seconds: float | None) -> None:
    """Withdraw SERVICE at once whatever its checks say, or end that. It is kept over restarts and reboots."""
    if state == "off" and (reason or seconds):
        raise click.UsageError("--reason and --for belong to `on`")
    asked = {"service": service, "on": state == "on", "reason": reason, "for": seconds}
    target.client().call("maintenance", **asked)
    if target.json:
        print_json({"service": service, "maintenance": state == "on"})
        return
    end = f" for {age(seconds)}" if seconds else ""
    click.echo(safe(f"{service}: in maintenance{end}" if state == "on" else f"{service}: no longer in maintenance"))


@command
@click.argument("service", required=False)
@click.option("--all", "everything", is_flag=True, help="All services of this host.")
@click.option("--off", is_flag=True, help="End it: the services are announced again as their checks say.")
@click.option(
    "--wait", is_flag=True, help="Wait until the registry no longer has them; exit with 1 if that takes too long."
)
@click.option(
    "--timeout", callback=duration, metavar="DURATION", default="60s", show_default=True, help="How long to wait."
)
@click.option(
    "--wait-sessions",
    "ending",
    callback=duration,
    metavar="DURATION",
    help="After --wait, wait until no session remains, for so long at most; exit with 1 if some do.",
)
@click.option("--until-boot", is_flag=True, help="End it with the next boot of this host.")
@_reason
def drain(
    target: Target,
    service: str | None,
    everything: bool,
    *,
    off: bool,
    wait: bool,
    timeout: float,
    ending: float | None,
    **order: Any,
) -> None:
    """Withdraw SERVICE, so that no new clients come, until `--off`; and tell whether sessions remain.

    It is kept over restarts and reboots. What is counted are established TCP connections to the service's ports on this host.
    """
    if (service is None) is not everything:
        raise click.UsageError("give either a SERVICE or --all")
    if off and (wait or ending or order["until_boot"] or order["reason"]):
        raise click.UsageError("--off goes with no other option but --all")
    if ending and not wait:
        raise click.UsageError("--wait-sessions needs --wait: while a service is announced, new sessions come")
    client = target.client()
    asked = {"all": True} if everything else {"service": service}
    services = client.call("drain", on=not off, **asked, **order).get("services")
    names = [str(name) for name in services] if isinstance(services, list) else []
    if off:
        _print(target, {name: {"withdrawn": False, "sessions": None} for name in names}, "no longer draining")
        return
    found = _withdrawn(client, names, timeout if wait else 0.0)
    ended = ending is None or _ended(found, ending)
    _print(target, found, "withdrawn", "not withdrawn yet" + (" (see `lighthouse ctl status`)" if wait else ""))
    sys.exit(1 if wait and not (ended and _all_withdrawn(found)) else 0)


def _withdrawn(client: Client, names: list[str], patience: float) -> dict[str, dict[str, Any]]:
    """Of each service whether all its announcements are gone, and the sessions of its ports; waits for the former."""
    from lighthouse.cli.document import document

    deadline = time.monotonic() + patience
    while True:
        known = document(client.call("status"))["services"]
        gone = {name: all(_gone(part) for part in known.get(name, {}).get("ports", {}).values()) for name in names}
        if all(gone.values()) or time.monotonic() >= deadline:
            break
        time.sleep(POLL)
    ports = {name: known.get(name, {}).get("ports", {}) for name in names}
    found = {name: {"withdrawn": gone[name], "sessions": dict.fromkeys(ports[name], 0)} for name in names}
    _count(found)
    return found


def _ended(found: Mapping[str, dict[str, Any]], patience: float) -> bool:
    """Wait until nobody is connected any more, and count anew; returns whether that came true.

    What is not withdrawn is not waited for: it gets new sessions all the time.
    """
    deadline = time.monotonic() + patience
    while _connected(found) and _all_withdrawn(found) and time.monotonic() < deadline:
        time.sleep(COUNT_EVERY)
        _count(found)
    return not _connected(found)


def _count(found: Mapping[str, dict[str, Any]]) -> None:
    """Put the sessions of the moment in."""
    from lighthouse.cli.sessions import established

    counts = established({int(port) for item in found.values() for port in item["sessions"]})
    for item in found.values():
        item["sessions"] = {port: counts[int(port)] for port in item["sessions"]}


def _connected(found: Mapping[str, Mapping[str, Any]]) -> bool:
    return any(count for item in found.values() for count in item["sessions"].values())


def _all_withdrawn(found: Mapping[str, Mapping[str, Any]]) -> bool:
    return all(item["withdrawn"] for item in found.values())


def _gone(part: Any) -> bool:
    return isinstance(part, dict) and part.get("announced") == "withdrawn"


def _print(target: Target, found: Mapping[str, Mapping[str, Any]], done: str, undone: str = "") -> None:
    if target.json:
        print_json({"services": found})
        return
    if not found:
        click.echo("there are no services")
    for name, item in found.items():
        remaining = {port: count for port, count in (item["sessions"] or {}).items() if count}
        rest = ", ".join(f"{count} on port {port}" for port, count in remaining.items()) or "none"
        sessions = "" if item["sessions"] is None else f"; sessions that remain: {rest}"
        click.echo(safe(f"{name}: {done if item['withdrawn'] or not undone else undone}{sessions}"))
