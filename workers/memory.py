"""How much memory a process costs, as the kernel counts it."""

from __future__ import annotations


def footprint(pid: int | str = "self") -> tuple[int, int]:
    """(USS, PSS) in bytes: what is private to the process, and that plus its share of what it shares. (0, 0) when unreadable.

    Source: /proc/PID/smaps_rollup, see proc(5).
    """
    sizes = {"Private_Clean": 0, "Private_Dirty": 0, "Pss": 0}
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:  # noqa: PTH123 - on the hot path of a heartbeat
            for line in file:
                name, _, rest = line.partition(":")
                if name in sizes:
                    sizes[name] = int(rest.split()[0]) * 1024
    except OSError:
        return 0, 0
    return sizes["Private_Clean"] + sizes["Private_Dirty"], sizes["Pss"]
