"""Discovery and balancer files that were deleted: they stay in force as long as something in force needs them.

Without its registry a host would lose its announcements and go on with members that nobody keeps right, and a deleted file is one
slip of a hand, or of a tool that takes things away in the wrong order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from lighthouse.config.tree import Kind, Source

Objects = Mapping[Kind, Mapping[str, Mapping[str, Any]]]
NEEDED = (Kind.DISCOVERY, Kind.BALANCER)
DELETED = "the file was deleted"
NAMED = 5  # files that a message names


def deleted(kind: Kind, known: Iterable[str], there: Iterable[Source]) -> list[str]:
    """Of the `known` files those that are no longer `there`; one that only got its other suffix is there."""
    stems = {source.stem for source in there}
    paths = [PurePosixPath(relative) for relative in sorted(known)] if kind in NEEDED else []
    return [str(path) for path in paths if path.parts[0] == kind.value and path.stem not in stems]


def users(kind: Kind, name: str, objects: Objects, gone: Collection[tuple[Kind, str]]) -> list[tuple[Kind, str]]:
    """Who needs an object that is `gone` as a file, by kind and name."""
    if kind is Kind.DISCOVERY:
        services = [key for key, item in objects[Kind.SERVICE].items() if item["service"]["discovery"] == name]
        clusters = [key for key, item in objects[Kind.CLUSTER].items() if item["discovery"] == name]
    else:
        keys = {name}
        plugin = objects[kind][name]["plugin"]
        others = [item["plugin"] for key, item in objects[kind].items() if (kind, key) not in gone]
        if plugin not in others:
            keys.add(plugin)
        services = []
        clusters = [key for key, item in objects[Kind.CLUSTER].items() if keys & item["options"].keys()]
    return [*((Kind.CLUSTER, key) for key in sorted(clusters)), *((Kind.SERVICE, key) for key in sorted(services))]


def still_used(relative: str, files: Sequence[str]) -> str:
    """Why a file stays in force, and what to do."""
    more = f" and {len(files) - NAMED} more" if len(files) > NAMED else ""
    who = ", ".join(files[:NAMED]) + more
    return f"{relative}: {DELETED}, and is still used by {who}: restore it, or remove or change those first"
