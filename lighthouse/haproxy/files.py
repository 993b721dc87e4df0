"""The configuration file on disk: replaced as a whole, never changed in place.

All files are 0600 from their creation, because the operator's lines may hold passwords; HAProxy starts as the user that writes
them. What is written is on the disk before it takes the place of what was there, so that neither a full disk nor a power failure
leaves half a file.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lighthouse.haproxy.document import Document, parse
from lighthouse.haproxy.errors import UnwrittenError

_REMEDIES = {
    errno.ENOSPC: "make room on the file system of {directory}",
    errno.EDQUOT: "make room in {directory}, or raise the quota of the user of Lighthouse",
    errno.EROFS: "make the file system of {directory} writable",
    errno.EACCES: "let the user of Lighthouse (uid {uid}) write in {directory}",
    errno.EPERM: "let the user of Lighthouse (uid {uid}) write in {directory}",
    errno.ENOENT: "make the directory {directory}",
    errno.EISDIR: "remove the directory that is in its place",
}


Stamp = tuple[int, int, int, int]
"""See `stamp`."""


@dataclass(frozen=True, slots=True)
class Alteration:
    """What somebody did to the file, and whether more than its members differs for who has read it since."""

    what: str
    reshaped: bool


class ConfigFile:
    """``config_file``, its candidate, and the last good version that a reload may have to come back to.

    ``unjudged`` tells that ``haproxy -c`` has not seen the file as it is.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.candidate = path + ".candidate"
        self.good = path + ".good"
        self.unjudged = False
        self._parsed: dict[str, tuple[str, Document | None]] = {}
        self._left: tuple[Stamp | None, str | None] | None = None

    def holds(self, document: Document) -> bool:
        """Whether the file says what `document` does."""
        text = self.text()
        if text != document.text():
            return False
        if self._left is None:
            self._left = stamp(self.path), text
        return True

    def is_touched(self) -> bool:
        """Whether somebody may have changed the file since it was left. Costs one look at it, and reads nothing."""
        return self._left is not None and stamp(self.path) != self._left[0]

    def altered(self) -> Alteration | None:
        """What somebody did to the file since it was left, told once: what it says now is taken for left."""
        if self._left is None or not self.is_touched():
            return None
        now, text, before = stamp(self.path), self.text(), self._left[1]
        self._left = now, text
        if text == before:
            return None
        how = "deleted" if now is None else "replaced" if text is None else "edited"
        return Alteration(f"{self.path} was {how}", reshaped=text is not None and _skeleton(text) != _skeleton(before))

    def text(self) -> str | None:
        """What is on disk now, or None."""
        return _read(self.path)

    def documents(self) -> list[Document]:
        """The documents on disk: the file's and the last good one, those that there are."""
        return [document for path in (self.path, self.good) if (document := self._document(path))]

    def document(self) -> Document | None:
        """The document in the file, or None."""
        return self._document(self.path)

    def _document(self, path: str) -> Document | None:
        """What is at `path`; parsed again only when it changed, because thousands of lines take a while."""
        text = _read(path)
        if text is None:
            return None
        known = self._parsed.get(path)
        if known is None or known[0] != text:
            known = self._parsed[path] = text, parse(text)
        return known[1]

    def propose(self, text: str) -> str:
        """Write the candidate and give its path. Raises `UnwrittenError`."""
        _write(self.candidate, text)
        return self.candidate

    def proposed(self) -> str | None:
        """What the candidate says, or None if there is none."""
        return _read(self.candidate)

    def commit(self, document: Document) -> None:
        """Make the candidate, which holds `document`, the file, in one step. Raises `UnwrittenError`."""
        _move(self.candidate, self.path)
        text = document.text()
        self._parsed[self.path] = text, document
        self._left = stamp(self.path), text
        self.unjudged = False

    def write(self, document: Document, *, judged: bool = True) -> None:
        """Make this the file; `judged` tells whether ``haproxy -c`` has accepted it. Raises `UnwrittenError`."""
        self.propose(document.text())
        self.commit(document)
        self.unjudged = not judged

    def discard(self) -> None:
        """Remove a candidate that was refused."""
        _remove(self.candidate)

    def keep_good(self, document: Document) -> None:
        """Keep what works, before a file with another skeleton takes its place. Raises `UnwrittenError`."""
        new = self.good + ".candidate"
        _write(new, document.text())
        _move(new, self.good)

    def drop_good(self) -> None:
        """The file itself is good."""
        _remove(self.good)

    def take_good(self) -> Document | None:
        """Put the last good version in the place of the file, as it was kept, which needs no room; None if there is none."""
        document = self._document(self.good)
        if document is not None:
            _move(self.good, self.path)
            self._left = stamp(self.path), self.text()
            self.unjudged = False
        return document


def stamp(path: str) -> Stamp | None:
    """By what a file is recognised as unchanged, in content and in who may read it; None if there is none to be seen.

    The change time is there because nobody can set it back.
    """
    try:
        found = os.stat(path)  # noqa: PTH116  as `os.replace` below
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _skeleton(text: str | None) -> str | None:
    document = None if text is None else parse(text)
    return document.skeleton if document else None


def _read(path: str) -> str | None:
    try:
        return Path(path).read_bytes().decode()
    except (OSError, UnicodeDecodeError):
        return None  # one that we may not read is as good as lost, and is written anew


def _write(path: str, text: str) -> None:
    """Write what is not in place yet; nothing of it is left behind if that fails."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123  a descriptor, opened with its mode, is no path
            os.fchmod(descriptor, 0o600)
            file.write(text.encode())
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        _remove(path)
        raise _unwritten(path, error) from None


def _move(source: str, target: str) -> None:
    try:
        os.replace(source, target)  # noqa: PTH105  paths are text here, as HAProxy gets them
    except OSError as error:
        raise _unwritten(target, error) from None


def _remove(path: str) -> None:
    """One that stays does no harm: a candidate is overwritten, and a last good version comes after the file."""
    with suppress(OSError):
        Path(path).unlink(missing_ok=True)


def _unwritten(path: str, error: OSError) -> UnwrittenError:
    remedy = _REMEDIES.get(error.errno or 0, "see that {directory} can be written")
    told = remedy.format(directory=Path(path).parent, uid=os.geteuid())
    return UnwrittenError(f"cannot write {path}: {error.strerror}; {told}")
