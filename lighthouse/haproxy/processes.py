"""What HAProxy's master says about its processes, parsed. Pure.

``show proc`` has the same parts in all versions from 2.2 to 3.4; 2.2 has one column more, and counts no failed reloads.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lighthouse.errors import BalancerError

_COLUMN = re.compile(r"<(.+?)>")
_FAILED = re.compile(r"\[failed: (\d+)\]")
_UPTIME = re.compile(r"(\d+)d(\d+)h(\d+)m(\d+)s")


@dataclass(frozen=True, slots=True)
class Processes:
    """``show proc``: the master with its counters, its current worker, and how many old workers still serve connections.

    ``failed`` counts the reloads since the last one that worked; ``uptime`` is the master's, in seconds. Since 3.1 the current
    worker may be one that still loads, see `lighthouse.haproxy.sockets.Sockets.is_loading`.
    """

    master: int
    worker: int | None
    reloads: int
    failed: int
    uptime: int
    old_workers: int


def parse_proc(text: str) -> Processes:
    """``show proc`` of the master socket. Raises `BalancerError` if it is not of that format."""
    part = ""
    rows: dict[str, list[list[str]]] = {}
    for line in text.split("\n"):
        if line.startswith("#"):
            part = line.strip("# ").split("  ")[0].strip()
        elif line.strip():
            rows.setdefault(part, []).append(line.split())
    masters = [row for row in rows.get("<PID>", ()) if row[1:2] == ["master"]]
    columns = _COLUMN.findall(text.partition("\n")[0])
    if not masters or "reloads" not in columns:
        raise BalancerError("HAProxy's answer to `show proc` cannot be read: it names no master process or no reloads")
    failed, uptime = _FAILED.search(text), _UPTIME.search(text)
    workers, old = (
        [row for row in rows.get(kind, ()) if row[1:2] == ["worker"]] for kind in ("workers", "old workers")
    )
    failures = int(failed[1]) if failed else int(not workers)  # 2.2 does not count them
    if failures and not workers:  # 2.2 and 3.2 list the worker that a failed reload leaves at work among the old ones
        workers = sorted(old, key=lambda row: int(row[-3]))[:1]
        old = [row for row in old if row not in workers]
    days, hours, minutes, seconds = map(int, uptime.groups()) if uptime else (0, 0, 0, 0)
    return Processes(
        master=int(masters[0][0]),
        worker=int(workers[0][0]) if workers else None,
        reloads=int(masters[0][columns.index("reloads")]),
        failed=failures,
        uptime=((days * 24 + hours) * 60 + minutes) * 60 + seconds,
        old_workers=len(old),
    )
