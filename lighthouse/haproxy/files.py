"""The configuration file on disk: replaced as a whole, never changed in place.

All files are 0600 from their creation, because the operator's lines may hold passwords; HAProxy starts as the user that writes
them. A crash of the host may lose the last change, not the file: the next sync writes it again, so nothing waits for the disk.
"""

from __future__ import annotations

import os
from pathlib import Path

from lighthouse.errors import BalancerError
from lighthouse.haproxy.document import Document, parse


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

    def text(self) -> str | None:
        """What is on disk now, or None."""
        return _read(self.path)

    def documents(self) -> list[Document]:
        """The documents on disk: the file's and the last good one, those that there are."""
        return [document for path in (self.path, self.good) if (document := self._document(path))]

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
        """Write the candidate and give its path. Raises `BalancerError`."""
        _write(self.candidate, text)
        return self.candidate

    def commit(self, document: Document) -> None:
        """Make the candidate, which holds `document`, the file, in one step. Raises `BalancerError`."""
        try:
            os.replace(self.candidate, self.path)  # noqa: PTH105  paths are text here, as HAProxy gets them
        except OSError as error:
            raise BalancerError(f"cannot write {self.path}: {error.strerror}") from None
        self._parsed[self.path] = document.text(), document
        self.unjudged = False

    def write(self, document: Document, *, judged: bool = True) -> None:
        """Make this the file; `judged` tells whether ``haproxy -c`` has accepted it. Raises `BalancerError`."""
        self.propose(document.text())
        self.commit(document)
        self.unjudged = not judged

    def discard(self) -> None:
        """Remove a candidate that was refused."""
        Path(self.candidate).unlink(missing_ok=True)

    def keep_good(self, document: Document) -> None:
        """Keep what works, before a file with another skeleton takes its place. Raises `BalancerError`."""
        _write(self.good, document.text())

    def drop_good(self) -> None:
        """The file itself is good."""
        Path(self.good).unlink(missing_ok=True)


def _read(path: str) -> str | None:
    try:
        return Path(path).read_bytes().decode()
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    except OSError as error:
        raise BalancerError(f"cannot read {path}: {error.strerror}") from None


def _write(path: str, text: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123  a descriptor, opened with its mode, is no path
            os.fchmod(descriptor, 0o600)
            file.write(text.encode())
    except OSError as error:
        raise BalancerError(
            f"cannot write {path}: {error.strerror}; the directory must exist and be writable"
        ) from None
