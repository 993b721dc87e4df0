"""Paths of znodes: pure text. A path begins with ``/`` and does not end with one; the root of a registry may be empty."""

from __future__ import annotations

from lighthouse.identity import shown

MAX_PATH = 1000  # characters of a configured path; ZooKeeper itself has no such limit


def checked(path: str) -> str:
    """A path as ZooKeeper takes it, without a ``/`` at its end. Raises `ValueError`."""
    path = path.rstrip("/")
    parts = path.split("/")[1:]
    if (path and not path.startswith("/")) or len(path) > MAX_PATH:
        raise ValueError(f"{shown(path)} must begin with '/' and have {MAX_PATH} characters at most")
    if any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"{shown(path)} must not have empty parts, '.' or '..'")
    if not all(character.isprintable() for character in path):
        raise ValueError(f"{shown(path)} must not hold control characters")
    if parts and parts[0] == "zookeeper":
        raise ValueError(f"{shown(path)} is a place of ZooKeeper's own: choose another")
    return path


def parent(path: str) -> str:
    """The path above; empty for the root."""
    return path.rpartition("/")[0]


def split(path: str) -> tuple[str, str]:
    """The path above, and the last part."""
    above, _, name = path.rpartition("/")
    return above, name
