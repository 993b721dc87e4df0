"""What HAProxy can do by its version. Pure.

Servers are added and deleted at run time since 2.4, but up to 2.5 only in experimental mode (runtime API reference, "add server");
so an older one gets slots in every backend (`lighthouse.haproxy.slots`).
"""

from __future__ import annotations

OLDEST = (2, 4)
DYNAMIC = (2, 6)


def parsed(version: str) -> tuple[int, ...]:
    """The numbers of a version; empty if it is none, which is taken for a new one."""
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def takes_servers(version: str) -> bool:
    """Whether this HAProxy takes servers at run time that are not in its file."""
    return (parsed(version) or DYNAMIC) >= DYNAMIC


def limits(version: str) -> list[str]:
    """What this version cannot do, one sentence each."""
    numbers = parsed(version) or DYNAMIC
    found = []
    if numbers < DYNAMIC:
        found.append(
            f"HAProxy {version} takes no new servers at run time (2.6 does): each backend has declared slots, "
            "and a reload makes more"
        )
    return [*found, *too_old(version)]


def too_old(version: str) -> list[str]:
    """The one of them that is trouble and not only a limit."""
    if (parsed(version) or DYNAMIC) >= OLDEST:
        return []
    return [f"HAProxy {version} is older than 2.4, the oldest that Lighthouse supports: upgrade it"]
