"""What the plugin tells of itself."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from lighthouse.discovery import Report
from lighthouse.zookeeper.connection import Connection
from lighthouse.zookeeper.settings import Settings

SHOWN = 20  # refused records that are named


def report(connection: Connection, settings: Settings, now: float) -> Report:
    """How it stands. No number of a session and no password is in it."""
    session, watcher, announcer = connection.session, connection.watcher, connection.announcer
    away = connection.problem(settings, now)
    fresh = connection.fresh(now)
    troubles = {name: picture.trouble for name, picture in watcher.pictures.items() if picture.trouble}
    degraded = [*filter(None, (away, connection.recovering(now))), *troubles.values(), *announcer.problems]
    refused = (
        (f"{service}/{ascii(name)[1:-1]}", reason)
        for service, picture in sorted(watcher.pictures.items())
        for name, reason in picture.refused.items()
    )
    details = {
        "state": "connected" if session.connected else "connecting",
        "server": session.server if session.connected else None,
        "session_since": int(session.since) or None,
        "session_timeout": connection.timeout,
        "reads": watcher.reads,
        "full_reads": connection.audits,
        "missed": watcher.missed,
        "connections": session.connections,
        "expired_sessions": session.expired,
        "takeovers": announcer.takeovers,
        "announced": announcer.standing,
        "refused": dict(islice(refused, SHOWN)),
        "refused_total": sum(len(picture.refused) for picture in watcher.pictures.values()),
    }
    told = problems_told(degraded) if degraded else None
    return Report(fresh, told, details, unread=watcher.unread(now) if fresh else tuple(troubles))


def problems_told(problems: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
    return "; ".join(problems[:3]) + more
