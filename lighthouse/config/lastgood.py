"""The last version of each file that was in force, kept across restarts.

Configuration may hold secrets, so the file is readable by its owner only from the moment it exists. A version is kept as text
and as what it was compiled to: the text is what counts, the compiled form stands in when a plugin is too broken to judge it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import msgpack

from lighthouse.config.tree import SUFFIXES

_MAGIC = b"lighthouse last good 1\n"
_DIGEST = hashlib.sha256().digest_size
_COMPILED = 1  # the shape of the compiled forms; those of another are dropped, the texts kept


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a file: its text, the name of the object it describes, and its compiled form, if that is known."""

    text: str = field(repr=False)
    name: str = ""
    compiled: dict[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class LastGood:
    """The last good version of each file, by relative path."""

    versions: Mapping[str, Version] = field(default_factory=dict)

    def text(self, relative: str) -> str | None:
        """The text of a file's last version that was in force."""
        version = self.versions.get(relative)
        return version.text if version else None

    def version(self, relative: str, there: Collection[str]) -> Version | None:
        """A file's last version, be it under its other suffix if no such file is `there`: a rename does not make it unknown."""
        path = PurePosixPath(relative)
        others = {str(path.with_suffix(suffix)) for suffix in SUFFIXES} - {relative, *there}
        return next((self.versions[name] for name in (relative, *others) if name in self.versions), None)

    @classmethod
    def load(cls, path: Path, *, set_aside: bool = True) -> tuple[LastGood, str | None]:
        """Read what `save` wrote, and a warning if it cannot be used; a damaged file is set aside as ``<name>.damaged``."""
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            return cls(), None
        except OSError as error:
            return cls(), f"{path}: the last good configuration cannot be read ({error.strerror}): starting without it"
        try:
            return cls(_decoded(raw)), None
        except (ValueError, TypeError, KeyError, msgpack.UnpackException) as error:
            if set_aside:
                with contextlib.suppress(OSError):
                    path.replace(path.with_name(path.name + ".damaged"))
            return cls(), f"{path}: the last good configuration is damaged ({error}): set aside, starting without it"

    def save(self, path: Path) -> None:
        """Write atomically: whoever reads finds the old or the new content, whole. Raises `OSError`."""
        payload = msgpack.packb(
            {
                "compiled": _COMPILED,
                "versions": {key: [item.text, item.name, item.compiled] for key, item in self.versions.items()},
            }
        )
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # created with mode 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(_MAGIC + hashlib.sha256(payload).digest() + payload)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise


def _decoded(raw: bytes) -> dict[str, Version]:
    head, digest, payload = raw[: len(_MAGIC)], raw[len(_MAGIC) :][:_DIGEST], raw[len(_MAGIC) + _DIGEST :]
    if head != _MAGIC:
        raise ValueError("not a file of this kind")
    if hashlib.sha256(payload).digest() != digest:
        raise ValueError("its checksum is wrong")
    data = msgpack.unpackb(payload)
    usable = data["compiled"] == _COMPILED
    return {
        str(key): Version(str(text), str(name), compiled if usable else None)
        for key, (text, name, compiled) in data["versions"].items()
    }
