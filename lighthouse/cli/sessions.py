"""Who is still connected to local ports: the kernel's own tables, read without any rights.

Counted are established TCP connections whose local end is one of the ports, over IPv4 and IPv6, in the network namespace of the
process that asks: clients from anywhere, health checks and a local load balancer included. See proc(5), ``/proc/net/tcp``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path

TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_ESTABLISHED = "01"


def established(ports: Collection[int], tables: Iterable[Path] = TABLES) -> dict[int, int]:
    """How many connections each of these local ports has; 0 included. A table that cannot be read counts as empty."""
    counts: Counter[int] = Counter()
    for table in tables:
        try:
            text = table.read_text(encoding="ascii")
        except (OSError, ValueError):
            continue
        counts.update(_local_ports(text))
    return {port: counts[port] for port in sorted(ports)}


def _local_ports(text: str) -> Iterable[int]:
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 3 and fields[3] == _ESTABLISHED:
            yield int(fields[1].rpartition(":")[2], 16)
