"""The kept state on disk, so that a new supervisor takes up where its predecessor was killed.

One private file per topic: a checksum, then the payload, replaced atomically. That in the runtime directory usually lies in memory
(``/run``), and nothing is synced there; what must survive a reboot is copied by `archive`.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, unquote

_MAGIC = b"LHST1"


class Keeper:
    """A directory of kept state."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory
        self._pulse = directory / ".alive"

    def touch(self) -> None:
        """Note that the supervisor lives, so that a successor knows how old the kept state is."""
        self._pulse.touch(mode=0o600)

    def downtime(self, wall: float) -> float | None:
        """How long ago (seconds) a supervisor last touched the directory; None when none ever did."""
        try:
            return max(0.0, wall - self._pulse.stat().st_mtime)
        except OSError:
            return None

    def load(self) -> tuple[dict[str, bytes], list[str]]:
        """The snapshots by topic, and what was damaged, in words. A damaged file is set aside."""
        snapshots, damaged = {}, []
        for path in sorted(self._directory.iterdir()):
            if path == self._pulse or path.name.endswith((".new", ".damaged")):
                continue
            try:
                snapshots[unquote(path.name)] = _open(path.read_bytes())
            except ValueError as error:
                aside = path.with_name(path.name + ".damaged")
                with suppress(OSError):
                    path.replace(aside)
                damaged.append(f"{path}: {error}; set aside as {aside.name}")
            except OSError as error:
                damaged.append(f"{path}: {error.strerror}")
        return snapshots, damaged

    def moment(self, topic: str) -> float | None:
        """When a topic was last written (unix time)."""
        try:
            return self._path(topic).stat().st_mtime
        except OSError:
            return None

    def save(self, topics: Iterable[str], snapshots: Mapping[str, bytes], *, sync: bool = False) -> dict[str, OSError]:
        """Write these topics as they now stand; one that is no longer kept is removed. Returns those that fail; the others go on.

        With `sync` it blocks until all of it is on the disk, so that a power failure leaves the old or the new, whole; then it
        raises `OSError` if the directory cannot be synced.
        """
        failed = {}
        for topic in topics:
            try:
                self._write(topic, snapshots.get(topic), sync=sync)
            except OSError as error:
                failed[topic] = error
        if sync:
            fd = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
        return failed

    def _write(self, topic: str, payload: bytes | None, *, sync: bool) -> None:
        if payload is None:
            self._path(topic).unlink(missing_ok=True)
        else:
            _replace(self._path(topic), _seal(payload), sync=sync)

    def _path(self, topic: str) -> Path:
        return self._directory / quote(topic, safe="")


def _seal(payload: bytes) -> bytes:
    return _MAGIC + zlib.crc32(payload).to_bytes(4, "big") + payload


def _open(data: bytes) -> bytes:
    head = len(_MAGIC) + 4
    if len(data) < head or not data.startswith(_MAGIC):
        raise ValueError("not a file of kept state")
    payload = data[head:]
    if zlib.crc32(payload).to_bytes(4, "big") != data[len(_MAGIC) : head]:
        raise ValueError("the checksum does not match")
    return payload


def _replace(path: Path, data: bytes, *, sync: bool) -> None:
    new = path.with_name(path.name + ".new")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        if sync:
            file.flush()
            os.fsync(fd)
    new.replace(path)
