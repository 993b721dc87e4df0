"""The whole configuration file as a value: to text and back, and its skeleton.

The *skeleton* is everything but the members. HAProxy takes a change of members at run time and needs a reload for anything else, so
two documents with equal skeletons differ in nothing that needs one. Its hash is written into the file as an environment variable,
which the running HAProxy gives back (``show env``): so it is known exactly what it runs, whatever became of the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from lighthouse.errors import ConfigError, NodeError
from lighthouse.haproxy.member import Member, member_named
from lighthouse.haproxy.stanzas.section import MEMBERS, Section

VARIABLE = "LIGHTHOUSE_SKELETON"
_SETENV = f"\tsetenv {VARIABLE} "


@dataclass(frozen=True, slots=True)
class Document:
    """Comments at the head, then the sections, ``global`` first. ``skeleton`` is the hash of all but the members."""

    comments: tuple[str, ...]
    sections: tuple[Section, ...]
    skeleton: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "skeleton", _hash(self))

    def text(self) -> str:
        """The file. Equal documents give equal bytes."""
        return "\n".join((*self._lines(), ""))

    def _lines(self) -> Iterator[str]:
        yield from self.comments
        for section in self.sections:
            yield ""
            yield from section.text()
            if section.header == "global":
                yield _SETENV + self.skeleton

    def section(self, header: str) -> Section | None:
        """The section with this header."""
        return next((item for item in self.sections if item.header == header), None)

    def backends(self) -> dict[str, Section]:
        """The sections that have members, by the name of the backend."""
        return {name: section for section in self.sections if (name := section.backend) is not None}

    def with_members(self, members: Callable[[Section], Sequence[Member]]) -> Document:
        """The same skeleton with other members."""
        return replace(self, sections=tuple(_refilled(section, members) for section in self.sections))

    def place(self, line: int) -> str:
        """Where a line of the text is, for people: ``line 12 (backend web)``."""
        lines = self.text().split("\n")
        headers = [text for text in lines[:line] if text and text[0] not in "\t#"]
        return f"line {line} ({headers[-1]})" if headers else f"line {line}"


def parse(text: str) -> Document | None:
    """Read back what `Document.text` gave; None for a file that is not ours."""
    lines = text.split("\n")
    if not any(line.startswith(_SETENV) for line in lines):
        return None
    blocks: list[list[str]] = [[]]
    for line in lines:
        if line and not line.startswith(("\t", "#")):
            blocks.append([])
        if line and not line.startswith(_SETENV):
            blocks[-1].append(line)
    try:
        return Document(tuple(blocks[0]), tuple(_section(block) for block in blocks[1:]))
    except (ConfigError, NodeError, ValueError):
        return None


def _refilled(section: Section, members: Callable[[Section], Sequence[Member]]) -> Section:
    if section.template is None:
        return section
    return replace(section, members=tuple(item for item in members(section) if not section.is_pinned(item.name)))


def _section(block: Sequence[str]) -> Section:
    lines = [line.removeprefix("\t") for line in block[1:]]
    marks = [index for index, line in enumerate(lines) if line.startswith(MEMBERS)]
    if not marks or not block[0].startswith("backend "):
        return Section(block[0], tuple(lines))
    template = lines[marks[-1]].removeprefix(MEMBERS).strip()
    return Section(block[0], tuple(lines[: marks[-1]]), template, tuple(map(_member, lines[marks[-1] + 1 :])))


def _member(line: str) -> Member:
    _, name, address, *_ = line.split()
    ip, _, port = address.rpartition(":")
    return member_named(name, ip.strip("[]"), int(port))


def _hash(document: Document) -> str:
    lines: Iterable[str] = (line for section in document.sections for line in ("", *section.shape()))
    return hashlib.sha256("\n".join((*document.comments, *lines)).encode()).hexdigest()[:32]
