"""The whole configuration file as a value: to text and back, and its skeleton.

The *skeleton* is everything but the members, and the addresses that names have (`lighthouse.haproxy.upstreams`). HAProxy takes a
change of these at run time and needs a reload for anything else, so two documents with equal skeletons differ in nothing that needs
one. Its hash is written into the file as an environment variable, which the running HAProxy gives back (``show env``): so it is
known exactly what it runs, whatever became of the file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lighthouse.errors import ConfigError, NodeError
from lighthouse.haproxy.member import Member, keywords_of, member_named
from lighthouse.haproxy.mentions import servers_named
from lighthouse.haproxy.slots import slot_names
from lighthouse.haproxy.stanzas.section import DRAINED, MEMBERS, Section

VARIABLE = "LIGHTHOUSE_SKELETON"
_SETENV = f"\tsetenv {VARIABLE} "


@dataclass(frozen=True, slots=True)
class Document:
    """Comments at the head, then the sections, ``global`` first. What is derived from them is made once, when it is asked for."""

    comments: tuple[str, ...]
    sections: tuple[Section, ...]
    _skeleton: str = field(default="", init=False, repr=False, compare=False)
    _pieces: tuple[str, ...] = field(default=(), init=False, repr=False, compare=False)
    _text: str = field(default="", init=False, repr=False, compare=False)
    _index: Mapping[str, int] = field(default_factory=dict, init=False, repr=False, compare=False)
    _backends: Mapping[str, Section] = field(default_factory=dict, init=False, repr=False, compare=False)
    _named: Mapping[str, frozenset[str]] | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def skeleton(self) -> str:
        """The hash of all but the members and the addresses of names."""
        if not self._skeleton:
            object.__setattr__(self, "_skeleton", _hash(self))
        return self._skeleton

    @property
    def named(self) -> Mapping[str, frozenset[str]]:
        """The servers that lines name, by backend: no file without them is accepted. Few documents have any."""
        if self._named is None:
            object.__setattr__(self, "_named", servers_named(self.sections))
        return self._named or {}

    @property
    def question(self) -> str:
        """What HAProxy's judgement depends on: the skeleton, and which of the servers that lines name are not there."""
        absent = [
            f"{name}/{server}"
            for name, servers in sorted(self.named.items())
            if (section := self.backends().get(name)) is not None
            for server in sorted(servers - section.servers)
        ]
        return " ".join((self.skeleton, *absent))

    def text(self) -> str:
        """The file. Equal documents give equal bytes."""
        if not self._text:
            head = "\n".join((*self.comments, "", ""))
            object.__setattr__(self, "_text", head + "\n\n".join(self._rendered()) + "\n")
        return self._text

    def _rendered(self) -> list[str]:
        """The text of each section; those that another document had already are taken from there."""
        pieces = list(self._pieces) or [""] * len(self.sections)
        for index in [index for index, piece in enumerate(pieces) if not piece]:
            section = self.sections[index]
            more = f"\n{_SETENV}{self.skeleton}" if section.header == "global" else ""
            pieces[index] = section.rendered + more
        object.__setattr__(self, "_pieces", tuple(pieces))
        return pieces

    def section(self, header: str) -> Section | None:
        """The section with this header, the first of several."""
        index = self._positions().get(header)
        return None if index is None else self.sections[index]

    def backends(self) -> Mapping[str, Section]:
        """The sections that have members, by the name of the backend."""
        if not self._backends:
            found = {name: section for section in self.sections if (name := section.backend) is not None}
            object.__setattr__(self, "_backends", found)
        return self._backends

    def listening(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Name and lines of those that should take connections: all that listen, but what an operator's own line disables."""
        for section in self.sections:
            kind, _, name = section.header.partition(" ")
            if kind in {"frontend", "listen"} and "disabled" not in section.lines:
                yield name, section.lines

    def known(self, unknown: Collection[str]) -> Mapping[str, Section]:
        """The same without those whose members are `unknown`."""
        return {name: section for name, section in self.backends().items() if name not in unknown}

    def exchanged(self, backends: Mapping[str, Section]) -> Document:
        """The same with these backends, which have the shape of those that they take the place of: the skeleton is the same."""
        positions = self._positions()
        sections, pieces = list(self.sections), list(self._pieces)
        for section in backends.values():
            index = positions[section.header]
            sections[index] = section
            if pieces:
                pieces[index] = ""
        made = replace(self, sections=tuple(sections))
        object.__setattr__(made, "_pieces", tuple(pieces))
        object.__setattr__(made, "_skeleton", self.skeleton)
        object.__setattr__(made, "_index", positions)
        object.__setattr__(made, "_named", self.named)
        object.__setattr__(made, "_backends", {**self.backends(), **backends})
        return made

    def mapped(self, function: Callable[[Section], Section]) -> Document:
        """The same with other members and slots; itself if nothing differs, because what was derived from it is kept then."""
        sections = tuple(map(function, self.sections))
        if sections == self.sections:
            return self
        made = replace(self, sections=sections)
        object.__setattr__(made, "_named", self.named)
        return made

    def _positions(self) -> Mapping[str, int]:
        if not self._index:
            found = {section.header: index for index, section in reversed(list(enumerate(self.sections)))}
            object.__setattr__(self, "_index", found)
        return self._index

    def place(self, line: int) -> str:
        """Where a line of the text is, for people: ``line 12 (backend web)``."""
        header = self.header(line)
        return f"line {line} ({header})" if header else f"line {line}"

    def header(self, line: int) -> str:
        """The header of the section to which a line of the text belongs; empty for the comments at the head."""
        lines = self.text().split("\n")
        return next((text for text in reversed(lines[:line]) if text and text[0] not in "\t#"), "")


def loaded(documents: Iterable[Document], skeleton: str | None) -> Document | None:
    """The first of them that an HAProxy with this `skeleton` has loaded."""
    return next((item for item in documents if item.skeleton == skeleton), None)


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
    servers = {line.split()[1]: _member(empty, line) for line in block[index + 2 :]}
    made = empty.filled([member for member in servers.values() if member])
    return made.holding(name for name, member in servers.items() if member is None and name not in slots)


def _member(section: Section, line: str) -> Member | None:
    """The member of a server line; None for one without. Raises `ValueError` or `NodeError` for a line that is not ours."""
    _, server, address, *more = line.split()
    if section.gives_ids and more[:1] == ["id"] and more[1:]:  # a file of an earlier version has none
        line = line.replace(f" id {more[1]}", "", 1)
    if (server in section.slots or not section.slots) and line == section.free_line(server):
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
    outlines = (f"\n{section.outline}" for section in document.sections)
    return hashlib.sha256("\n".join((*document.comments, *outlines)).encode()).hexdigest()[:32]
