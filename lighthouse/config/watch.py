"""Which directories tell of a change.

A symbolic link can be swapped anywhere on the way: ``/etc/lighthouse -> releases/42``, or the ``..data`` link of a Kubernetes
ConfigMap, which every file goes through. So each link met is followed by hand, and the directory that holds it is watched too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

MAX_LINKS = 40  # as the kernel's own limit


def directories(directory: Path, folders: Iterable[str], files: Iterable[Path]) -> tuple[str, ...]:
    """The real directories whose changes matter for the configuration directory, its `folders` and the `files` that are links.

    One whose name is not printable is left out, since it need not be UTF-8; the periodic reading sees to its changes.
    """
    found: set[str] = set()
    for path in (directory, *(directory / folder for folder in folders)):
        real = _follow(path, found)
        if os.path.isdir(real):  # noqa: PTH112 - plain text all through
            found.add(real)
    for path in files:
        if path.is_symlink():
            _follow(path, found)
    return tuple(sorted(path for path in found if path.isprintable()))


def _follow(path: Path, found: set[str]) -> str:
    """The real path; into `found` go the directory of each link on the way and the directory that it leads into."""
    todo = [part for part in reversed(os.path.join(os.getcwd(), path).split("/")) if part]  # noqa: PTH109, PTH118 - see below
    current, links = "/", 0
    while todo:
        part = todo.pop()
        step = os.path.normpath(os.path.join(current, part))  # noqa: PTH118 - plain text all through
        if not os.path.islink(step):  # noqa: PTH114
            current = step
            continue
        found.add(current)
        links += 1
        if links > MAX_LINKS:
            return step
        _add_end(step, found)
        target = os.readlink(step)  # noqa: PTH115
        if target.startswith("/"):
            current = "/"
        todo.extend(part for part in reversed(target.split("/")) if part)
    return current


def _add_end(link: str, found: set[str]) -> None:
    end = os.path.realpath(link)
    if os.path.isdir(end):  # noqa: PTH112
        found.add(end)
    elif os.path.isdir(os.path.dirname(end)):  # noqa: PTH112, PTH120
        found.add(os.path.dirname(end))  # noqa: PTH120
