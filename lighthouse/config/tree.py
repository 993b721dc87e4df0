"""The files of a configuration directory: which there are, what they hold, and a cheap identity of the whole."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from lighthouse.errors import ConfigError, LighthouseError

MAX_FILE = 1024 * 1024
SUFFIXES = (".yaml", ".yml")


class Kind(Enum):
    """The kinds of files: two in the directory itself, the others in a subdirectory of that name."""

    LOGGING = "logging"
    SETTINGS = "lighthouse"
    DISCOVERY = "discovery"
    BALANCER = "balancers"
    CLUSTER = "clusters"
    SERVICE = "services"


AT_ROOT = (Kind.LOGGING, Kind.SETTINGS)
IN_FOLDERS = (Kind.DISCOVERY, Kind.BALANCER, Kind.CLUSTER, Kind.SERVICE)


class UnreadableError(LighthouseError):
    """A file is there and cannot be read; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file that counts: its name for people (printable, relative), its base name without suffix, and its path."""

    relative: str
    stem: str
    path: Path


def root_files(directory: Path) -> list[Source]:
    """The YAML files of the directory itself. Raises `ConfigError` when it cannot be listed."""
    try:
        return _sources(directory, "")
    except OSError as error:
        raise ConfigError(f"{directory}: the configuration directory cannot be read: {error.strerror}") from None


def folder_files(directory: Path, kind: Kind) -> list[Source]:
    """The YAML files of a subdirectory. Raises `UnreadableError` when it is missing or cannot be listed."""
    folder = kind.value
    try:
        return _sources(directory / folder, f"{folder}/")
    except FileNotFoundError:
        text = f"directory {folder}/ is missing: restore it, or create it empty to remove what was in it"
        raise UnreadableError(text) from None
    except OSError as error:
        raise UnreadableError(f"directory {folder}/ cannot be read: {error.strerror}: correct it") from None


def read(path: Path) -> bytes | None:
    """The content of a file, None when it is gone. Raises `UnreadableError`. Never waits, not even for a FIFO."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise UnreadableError("not a regular file: put a file in its place")
            content = file.read(MAX_FILE + 1)
    except OSError as error:
        if error.errno == errno.ENOENT and not path.is_symlink():
            return None
        if error.errno in (errno.ENOENT, errno.ELOOP):
            raise UnreadableError("a symbolic link that leads nowhere: correct or remove it") from None
        if error.errno == errno.EISDIR:
            raise UnreadableError("not a regular file: put a file in its place") from None
        raise UnreadableError(f"cannot be read: {error.strerror}: correct its owner or permissions") from None
    if len(content) > MAX_FILE:
        raise UnreadableError(f"larger than {MAX_FILE} bytes: split it")
    return content


def fingerprint(directory: Path) -> str:
    """An identity of the tree from names and `stat` alone: equal means that a compilation would give the same result."""
    digest = hashlib.sha256()
    for folder in (directory, *(directory / kind.value for kind in IN_FOLDERS)):
        digest.update(f"{os.path.realpath(folder)}\0".encode(errors="surrogateescape"))
        try:
            sources = _sources(folder, "")
        except OSError as error:
            digest.update(f"errno {error.errno}\0".encode())
            continue
        for source in sources:
            for part in _identity(source.path):
                digest.update(f"{part}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _identity(path: Path) -> Iterator[str]:
    yield path.name
    if path.is_symlink():
        yield os.path.realpath(path)
    try:
        found = path.stat()
    except OSError as error:
        yield f"errno {error.errno}"
    else:
        identity = (found.st_dev, found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        yield f"{identity} {found.st_uid} {found.st_gid}"


def _sources(folder: Path, prefix: str) -> list[Source]:
    """Sorted by name; editors' and ConfigMaps' litter is left out. Raises `OSError`."""
    names = sorted(name for name in os.listdir(folder) if _counts(name))  # noqa: PTH208 - names are all that is needed
    return [Source(prefix + _printable(name), Path(name).stem, folder / name) for name in names]


def _counts(name: str) -> bool:
    return name.endswith(SUFFIXES) and not name.startswith(".")  # a name that ends with '~' has another suffix


def _printable(name: str) -> str:
    if name.isprintable():
        return name
    return name.encode("unicode_escape", "surrogatepass").decode("ascii")
