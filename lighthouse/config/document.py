"""One YAML file as plain data, with the line and column of each key.

The data is built straight from the parser's events, one after another without recursion, and each collection is measured as it
closes. So neither deep nesting nor aliases that unfold to billions of nodes cost more than the refusal of the file.

Refused beside broken syntax: duplicate keys, tags beyond the core schema, merge keys (not in YAML 1.2), keys that are not text, a
second document, an empty file, a top level that is no mapping. Keys are always text, as written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml import events as ev

from lighthouse.config.scalars import resolve
from lighthouse.config.syntax import DocumentError, broken, unreadable
from lighthouse.identity import shown

MAX_NODES = 100_000
MAX_DEPTH = 64

KeyPath = tuple[str | int, ...]

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CORE = "tag:yaml.org,2002:"
_KINDS: Mapping[str, tuple[type, ...]] = {
    f"{_CORE}int": (int,),
    f"{_CORE}float": (float, int),
    f"{_CORE}bool": (bool,),
    f"{_CORE}null": (type(None),),
}


@dataclass(frozen=True, slots=True)
class Document:
    """The data of a file, and where each key and list item stands (line and column, from 1)."""

    data: dict[str, Any] = field(repr=False)
    marks: Mapping[KeyPath, tuple[int, int]] = field(repr=False)

    def line(self, path: KeyPath) -> int:
        """The line of a key; of the nearest key around it where it has none of its own (it is missing, or stands in an alias)."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.marks:
                return self.marks[path[:length]][0]
        return 1


@dataclass(frozen=True, slots=True)
class _Built:
    """A finished value, the number of nodes it unfolds to, and how deep its collections are nested."""

    value: Any
    size: int = 1
    height: int = 0


@dataclass(slots=True)
class _Frame:
    """A collection that is still open."""

    value: Any
    path: KeyPath
    anchor: str | None
    size: int = 1
    height: int = 1
    key: str | None = None


def parse(text: str) -> Document:
    """Read one document. Raises `DocumentError`."""
    builder = _Builder()
    try:
        events: Any = yaml.parse(text.removeprefix("\ufeff"), Loader=_LOADER)  # a generator, whatever its stub says
        with closing(events) as stream:
            builder.feed(stream)
    except yaml.MarkedYAMLError as error:
        raise broken(text, error) from None
    except yaml.reader.ReaderError as error:
        raise unreadable(text, error) from None
    if builder.root is None or builder.root.value is None:
        raise DocumentError("the file is empty: fill it or remove it")
    if not isinstance(builder.root.value, dict):
        kind = "a list" if isinstance(builder.root.value, list) else f"the value {shown(builder.root.value)}"
        raise DocumentError(f"expected 'key: value' lines at the top level, found {kind}", *builder.marks[()])
    return Document(builder.root.value, builder.marks)


class _Builder:
    """Turns events into plain data."""

    def __init__(self) -> None:
        self.root: _Built | None = None
        self.marks: dict[KeyPath, tuple[int, int]] = {}
        self._open: list[_Frame] = []
        self._anchors: dict[str, _Built] = {}

    def feed(self, stream: Iterable[Any]) -> None:
        for event in stream:
            if isinstance(event, ev.ScalarEvent):
                self._scalar(event)
            elif isinstance(event, ev.CollectionStartEvent):
                self._start(event)
            elif isinstance(event, ev.CollectionEndEvent):
                self._end(event)
            elif isinstance(event, ev.AliasEvent):
                self._alias(event)
            elif isinstance(event, ev.DocumentStartEvent) and self.root is not None:
                raise _at(event, "a second document starts here: keep one per file")

    def _scalar(self, event: Any) -> None:
        if event.style == '"' and any("\ud800" <= char <= "\udfff" for char in event.value):
            raise _at(event, "half of a surrogate pair is no character: write the character itself")
        if self._wants_key():
            self._key(event)
        else:
            self._place(_Built(_value(event)), event)

    def _key(self, event: Any) -> None:
        frame, key = self._open[-1], event.value
        if not event.style and event.tag is None:  # plain: '' from libyaml, None from PyYAML
            if key == "<<":
                raise _at(event, "merge key '<<' is not part of YAML 1.2: write the keys out")
            if not key:
                raise _at(event, "a key is missing before ':'")
        if key in frame.value:
            first = self.marks[(*frame.path, key)][0]
            raise _at(event, f"key {shown(key)} is given twice, first on line {first}: keep one")
        self.marks[(*frame.path, key)] = (event.start_mark.line + 1, event.start_mark.column + 1)
        frame.value[key] = None
        frame.key = key

    def _start(self, event: Any) -> None:
        if self._wants_key():
            raise _at(event, "a key must be text, not a collection: quote what begins with '{' or '['")
        is_map = isinstance(event, ev.MappingStartEvent)
        if event.tag not in (None, "!", f"{_CORE}{'map' if is_map else 'seq'}"):
            raise _at(event, f"tag {shown(event.tag)} is not understood: remove it")
        if len(self._open) >= MAX_DEPTH:
            raise _at(event, f"collections are nested more than {MAX_DEPTH} deep: flatten them")
        self._mark(event)
        self._open.append(_Frame({} if is_map else [], self._next_path(), event.anchor))

    def _end(self, event: Any) -> None:
        frame = self._open.pop()
        self._place(_Built(frame.value, frame.size, frame.height), event, frame.anchor)

    def _alias(self, event: Any) -> None:
        if self._wants_key():
            raise _at(event, "a key must be text, not an alias: write it out")
        if event.anchor not in self._anchors:
            raise _at(event, f"alias {shown('*' + event.anchor)} has no finished anchor before it: write the value out")
        self._place(self._anchors[event.anchor], event)

    def _place(self, built: _Built, event: Any, anchor: str | None = None) -> None:
        """Put a finished value where it belongs, and refuse what has grown too large by it."""
        anchor = anchor or (event.anchor if isinstance(event, ev.ScalarEvent) else None)
        if anchor is not None:
            self._anchors[anchor] = built
        if not isinstance(event, ev.CollectionEndEvent):
            self._mark(event)
        if not self._open:
            self.root = built
            return
        frame = self._open[-1]
        frame.size += built.size
        frame.height = max(frame.height, built.height + 1)
        if frame.size > MAX_NODES:
            raise _at(event, f"more than {MAX_NODES} values, aliases unfolded: split the file or drop aliases")
        if frame.height > MAX_DEPTH:
            raise _at(event, f"collections are nested more than {MAX_DEPTH} deep, aliases unfolded: flatten them")
        if isinstance(frame.value, list):
            frame.value.append(built.value)
        else:
            frame.value[frame.key] = built.value
            frame.key = None

    def _wants_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].value, dict) and self._open[-1].key is None

    def _next_path(self) -> KeyPath:
        if not self._open:
            return ()
        frame = self._open[-1]
        return (*frame.path, len(frame.value) if frame.key is None else frame.key)

    def _mark(self, event: Any) -> None:
        """A value in a mapping stands where its key does; list items and the document have a place of their own."""
        if not self._open or isinstance(self._open[-1].value, list):
            self.marks[self._next_path()] = (event.start_mark.line + 1, event.start_mark.column + 1)


def _value(event: Any) -> Any:
    """The value of a scalar, by its tag if it has one."""
    tag = event.tag
    if tag is None:
        return event.value if event.style else resolve(event.value)
    if tag in ("!", f"{_CORE}str"):
        return event.value
    if tag not in _KINDS:
        raise _at(event, f"tag {shown(tag)} is not understood: remove it")
    value = resolve(event.value)
    if not isinstance(value, _KINDS[tag]) or (isinstance(value, bool) and tag != f"{_CORE}bool"):
        raise _at(event, f"{shown(event.value)} is not of the kind that its tag says: remove the tag")
    return float(value) if tag == f"{_CORE}float" and isinstance(value, int) else value


def _at(event: Any, message: str) -> DocumentError:
    return DocumentError(message, event.start_mark.line + 1, event.start_mark.column + 1)
