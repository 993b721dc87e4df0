"""The files themselves. Every function blocks on the file system for as long as that takes.

Whoever may write into the directory may put anything there, so nothing is followed, nothing is opened that is not a regular file,
and sizes are bounded before anything is read. Names that start with "." are not announcements.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from lighthouse.directory.freshness import Mark
from lighthouse.directory.members import Entry, Stamp
from lighthouse.errors import NodeError, RegistryError
from lighthouse.node import MAX_RECORD, Node

MAX_FILES = 10_000  # announcements of one service; beyond it a directory is not read, so that memory stays bounded
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_RECORD = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Store:
    """The directory ``path`` with one directory per service and one file per announced node in each."""

    def __init__(self, path: str) -> None:
        self.path = path

    def create(self) -> None:
        """Make the directory itself. Raises `RegistryError`."""
        try:
            Path(self.path).mkdir(mode=0o755, parents=True, exist_ok=True)
        except OSError as error:
            raise RegistryError(f"directory {self.path} cannot be made: {error.strerror}") from error

    @contextlib.contextmanager
    def root(self) -> Iterator[int]:
        """A descriptor of the directory. Raises `RegistryError` when it cannot be read: then nothing is known."""
        try:
            root = os.open(self.path, _FOLDER)
        except FileNotFoundError as error:
            raise RegistryError(f"directory {self.path} is not there: mount it or make it again") from error
        except OSError as error:
            raise RegistryError(f"directory {self.path} cannot be read: {error.strerror}") from error
        try:
            yield root
        finally:
            os.close(root)

    def scan(self, root: int, service: str, known: Mapping[str, Entry]) -> dict[str, Entry]:
        """All announcements of a service, complete; none when it has no directory.

        What is in `known` under an unchanged stamp is not read again. Raises `OSError` when the directory cannot be read.
        """
        try:
            folder = os.open(service, _FOLDER | os.O_NOFOLLOW, dir_fd=root)
        except FileNotFoundError:
            return {}
        try:
            return _scan(folder, known)
        finally:
            os.close(folder)

    def sweep(self, root: int, service: str, name: str, mark: Mark) -> bool:
        """Remove a file unless its mark changed meanwhile; returns whether it is gone. One that may not be removed stays."""
        with contextlib.suppress(OSError), _opened(root, service) as folder:
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if _stamp(status).mark == mark:
                os.unlink(name, dir_fd=folder)
                return True
        return False

    def content(self, service: str, name: str) -> bytes | None:
        """What an own file holds: None when there is none, and nothing when it is no file of ours. Raises `OSError`.

        Like all calls for an own file it raises `RegistryError` when the whole directory is out of reach.
        """
        try:
            with self._service(service) as folder:
                return _read(folder, name)[1]
        except FileNotFoundError:
            return None
        except _Refused:
            return b""

    def write(self, service: str, name: str, content: bytes) -> None:
        """Put a whole file in place, atomically. Raises `OSError`.

        It is not forced to disk: after a power failure its owner writes it anew.
        """
        with self._service(service, create=True) as folder:
            temporary = f".{name}.tmp"
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=folder)
            try:
                _fill(os.open(temporary, _NEW, 0o644, dir_fd=folder), content)
                os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            except OSError:
                with contextlib.suppress(OSError):
                    os.unlink(temporary, dir_fd=folder)
                raise

    def touch(self, service: str, name: str) -> None:
        """Give an own file the file system's present time. Raises `OSError`."""
        with self._service(service) as folder:
            os.utime(name, dir_fd=folder, follow_symlinks=False)

    def remove(self, service: str, name: str) -> None:
        """Take an own file away; it may be gone already. Raises `OSError`."""
        with contextlib.suppress(FileNotFoundError), self._service(service) as folder:
            os.unlink(name, dir_fd=folder)

    @contextlib.contextmanager
    def _service(self, service: str, *, create: bool = False) -> Iterator[int]:
        """Only a service's directory is made here, never the root: an unmounted share must not look like an empty registry."""
        with self.root() as root:
            if create:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(service, 0o755, dir_fd=root)
            with _opened(root, service) as folder:
                yield folder


class _Refused(Exception):  # noqa: N818 - it never leaves this file
    """A file that cannot be an announcement."""


@contextlib.contextmanager
def _opened(root: int, service: str) -> Iterator[int]:
    folder = os.open(service, _FOLDER | os.O_NOFOLLOW, dir_fd=root)
    try:
        yield folder
    finally:
        os.close(folder)


def _scan(folder: int, known: Mapping[str, Entry]) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    with os.scandir(folder) as found:
        for item in found:
            if item.name.startswith("."):
                continue
            if len(entries) >= MAX_FILES:
                raise OSError(errno.EOVERFLOW, f"more than {MAX_FILES} files")
            with contextlib.suppress(FileNotFoundError):  # gone since it was listed
                stamp = _stamp(item.stat(follow_symlinks=False))
                before = known.get(item.name)
                entries[item.name] = before if before and before.stamp == stamp else _entry(folder, item.name, stamp)
    return entries


def _entry(folder: int, name: str, stamp: Stamp) -> Entry:
    try:
        stamp, content = _read(folder, name)
        return Entry(stamp, Node.deserialize(content))
    except (_Refused, NodeError) as error:
        return Entry(stamp, None, str(error)[:200])
    except PermissionError:
        return Entry(stamp, None, "permission denied")


def _read(folder: int, name: str) -> tuple[Stamp, bytes]:
    """The file's stamp and content. Raises `_Refused`, and `OSError` for what is not the file's own fault."""
    if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        raise _Refused("not a regular file")  # before it is opened: opening a device can have effects
    try:
        fd = os.open(name, _RECORD, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise _Refused("not a regular file") from error
        raise
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise _Refused("not a regular file")
        if status.st_size > MAX_RECORD:
            raise _Refused(f"{status.st_size} bytes are more than {MAX_RECORD}")
        return _stamp(status), os.read(fd, MAX_RECORD + 1)
    finally:
        os.close(fd)


def _fill(fd: int, content: bytes) -> None:
    try:
        os.fchmod(fd, 0o644)  # readable for every reader, whatever the umask
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(fd, rest) :]
    finally:
        os.close(fd)


def _stamp(status: os.stat_result) -> Stamp:
    return Stamp(status.st_mtime_ns, status.st_ino, status.st_size, status.st_ctime_ns)
