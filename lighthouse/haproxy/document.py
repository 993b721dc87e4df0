"""The whole configuration file as a value: to text and back, and its skeleton.

The *skeleton* is everything but the members. HAProxy takes a change of members at run time and needs a reload for anything else, so
two documents with equal skeletons differ in nothing that needs one. Its hash is written into the file as an environment variable,
which the running HAProxy gives back (``show env``): so it is known exactly what it runs, whatever became of the file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from lighthouse.errors import ConfigError, NodeError
from lighthouse.haproxy.member import Member, keywords_of, member_named
from lighthouse.haproxy.slots import slot_names
from lighthouse.haproxy.stanzas.section import DRAINED, MEMBERS, Section

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
        header = self.header(line)
        return f"line {line} ({header})" if header else f"line {line}"

    def header(self, line: int) -> str:
        """The header of the section to which a line of the text belongs; empty for the comments at the head."""
        lines = self.text().split("\n")
        return next((text for text in reversed(lines[:line]) if text and text[0] not in "\t#"), "")


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


_MARK = re.compile(re.escape(MEMBERS) + r"(?: in (\d{1,5}) slots)?:(?: (.*))?")


def _section(block: Sequence[str]) -> Section:
    lines = [line.removeprefix("\t") for line in block[1:]]
    marks = [(index, match) for index, line in enumerate(lines) if (match := _MARK.fullmatch(line))]
    if not marks or not block[0].startswith("backend "):
        return Section(block[0], tuple(lines))
    index, mark = marks[-1]
    own = tuple(lines[:index])
    slots = slot_names(own, int(mark[1])) if mark[1] else ()
    empty = Section(block[0], own, mark[2] or "", (), slots)
    members = (_member(empty, line) for line in block[index + 2 :])
    return replace(empty, members=tuple(member for member in members if member))


def _member(section: Section, line: str) -> Member | None:
    """The member of a server line; None for a free slot. Raises `ValueError` or `NodeError` for a line that is not ours."""
    _, server, address, *_ = line.split()
    if server in section.slots and line == section.free_line(server):
        return None
    drained = bool(section.slots) and line.endswith(DRAINED)
    before = section.opening(server, address, disabled=drained)
    if not line.startswith(before):
        raise ValueError(f"{line!r} is no line of a member")
    words, _, name = line[len(before) :].partition("# ")
    ip, _, port = address.rpartition(":")
    name = name.removesuffix(DRAINED) if section.slots else server
    member = keywords_of(member_named(name, ip.strip("[]"), int(port)), words.split())
    if drained:
        member = replace(member, weight=0)
    return replace(member, slot=server) if section.slots else member


def _hash(document: Document) -> str:
    lines: Iterable[str] = (line for section in document.sections for line in ("", *section.shape()))
    return hashlib.sha256("\n".join((*document.comments, *lines)).encode()).hexdigest()[:32]
