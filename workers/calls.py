"""The calls into a discovery's plugin, each made on its lane under a deadline: whatever they return is the plugin's word."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from lighthouse.discovery import Announcement, Discovery, Report
from lighthouse.ipc.messages import pack
from lighthouse.workers.plugins import load

SHORTEST_PERIOD = 0.05  # seconds between two calls of `maintain` that nothing asked for

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Maintained:
    """What one `maintain` left, gathered on the lane: all of it is the plugin's word."""

    report: Report
    told: bytes
    handover: bytes
    fd: int | None
    period: float


def build(config: Mapping[str, Any], existing: Discovery | None, secret: bytes) -> Discovery:
    """A plugin object with the configuration; on a lane.

    A running one that cannot adapt to it is parted from only once the new one has accepted it.
    """
    if existing is not None and existing.adapt(dict(config["config"])):
        return existing
    discovery: Discovery = load(config["plugin"])()
    discovery.apply_config(dict(config["config"]))
    if existing is not None:
        secret = _parted(existing)
    if secret:
        try:
            discovery.resume(secret)
        except Exception:
            # Another version may have left it; without it the plugin begins anew, which is what it is for.
            log.exception("what the earlier generation left cannot be used")
    return discovery


def _parted(existing: Discovery) -> bytes:
    """Disconnect a plugin object that another one replaces; returns what it hands over. Nothing goes back from here."""
    secret = b""
    try:
        secret = existing.handover()
        existing.disconnect()
    except Exception:
        log.exception("the plugin could not part from the registry before it was replaced")
    return secret


def connect(discovery: Discovery) -> bytes:
    """Connect; returns what the plugin then hands over. The next generation is to have it before anything is announced."""
    discovery.connect()
    return bytes(discovery.handover())


def announce(discovery: Discovery, wanted: list[Announcement]) -> bytes:
    """Make the announcements; returns what the plugin now hands over. Raises whatever the plugin raises."""
    discovery.announce(wanted)
    return bytes(discovery.handover())


def maintain(
    discovery: Discovery, about: Mapping[str, Any], unread_since: Callable[[Collection[str]], Mapping[str, Any]]
) -> Maintained:
    """Maintain, and the report: what the plugin tells, and what the worker itself has to tell `about`."""
    report = discovery.maintain()
    degraded = None if report.degraded is None else str(report.degraded)
    unread = unread_since(frozenset(map(str, report.unread)))
    told = {"complete": bool(report.complete), "degraded": degraded, "details": report.details, "unread": unread}
    return Maintained(
        Report(bool(report.complete), degraded, unread=tuple(unread)),
        pack({**told, **about}),
        bytes(discovery.handover()),
        discovery.watch_fd(),
        max(SHORTEST_PERIOD, float(discovery.period)),
    )
