"""What is wrong with a file, gathered so that all of it is told at once."""

from __future__ import annotations

from typing import Any

from lighthouse.config.document import Document, KeyPath
from lighthouse.config.text import displayed, dotted
from lighthouse.errors import LighthouseError
from lighthouse.identity import shown

MAX_TOLD = 20


class RefusedError(LighthouseError):
    """A version of a file cannot be used.

    `broken` means that only plugins failed (import, unexpected exception), which says nothing against the file: what was in force
    by it may stay in force as it was compiled then.
    """

    def __init__(self, message: str, *, broken: bool = False) -> None:
        super().__init__(message)
        self.broken = broken


class Problems:
    """The problems of one version of one file."""

    def __init__(self, relative: str, document: Document) -> None:
        self.relative = relative
        self.document = document
        self._found: list[tuple[int, str]] = []
        self._judged = False

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, path: KeyPath, text: str, *, broken: bool = False) -> None:
        """Note a problem at the line of `path`; `broken` as for `RefusedError`."""
        self._judged = self._judged or not broken
        problem = (self.document.line(path), text)
        if problem not in self._found[-MAX_TOLD:]:
            self._found.append(problem)

    def key(self, path: KeyPath, text: str, *, broken: bool = False) -> None:
        """Note a problem with a key; at the top level, with the file."""
        self.add(path, f"key {shown(dotted(path), 120)}: {text}" if path else text, broken=broken)

    def value(self, path: KeyPath, value: Any, text: str) -> None:
        """Note a problem with a value."""
        self.key(path, f"{displayed(path, value)}: {text}")

    def raise_any(self) -> None:
        """Raise `RefusedError` with all problems, one per line, in the order of the file."""
        if not self._found:
            return
        told = [f"{self.relative}:{line}: {text}" for line, text in sorted(self._found, key=lambda found: found[0])]
        more = len(told) - MAX_TOLD
        if more > 0:
            told = [*told[:MAX_TOLD], f"{self.relative}: and {more} more"]
        raise RefusedError("\n".join(told), broken=not self._judged)
