"""What people are told of a text that is no usable YAML: where, what, the remedy. A line that may hold a secret is not shown."""

from __future__ import annotations

import re

import yaml

from lighthouse.config.text import SECRET
from lighthouse.errors import LighthouseError
from lighthouse.identity import shown

_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_TABS = "indent by spaces, never tabs, and quote values that begin with a special character"
_REMEDIES = (
    ("tab character", _TABS),
    ("cannot start any token", _TABS),
    ("mapping values are not allowed", "indent it like the keys beside it, and quote a value that contains ': '"),
    ("could not find expected ':'", "write 'key: value'"),
    ("unexpected end of stream", "close the quote or bracket that is open"),
)


class DocumentError(LighthouseError):
    """A text is not a usable YAML document; `line` and `column` count from 1."""

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


def broken(text: str, error: yaml.MarkedYAMLError) -> DocumentError:
    """What the parser says of broken syntax, with the line that it means and a remedy."""
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    problem = error.problem or error.context or "syntax error"
    remedy = next(
        (remedy for part, remedy in _REMEDIES if part in problem), "check indentation, quotes and brackets here"
    )
    return DocumentError(f"{problem}: {_snippet(text, line)}; {remedy}", line, column)


def unreadable(text: str, error: yaml.reader.ReaderError) -> DocumentError:
    """What it says of a character that may not be there.

    Libyaml counts bytes, PyYAML characters; the difference moves the column at most by the non-ASCII text before it.
    """
    position = error.position if isinstance(error.position, int) else 0
    before = _BREAK.split(text.encode("utf-8")[:position].decode("utf-8", "ignore"))
    message = f"{error.reason}: {_snippet(text, len(before))}; remove the character"
    return DocumentError(message, len(before), len(before[-1]) + 1)


def _snippet(text: str, line: int) -> str:
    lines = _BREAK.split(text)
    content = lines[line - 1].strip() if line <= len(lines) else ""
    return "(line not shown)" if SECRET.search(content) else f"in the line {shown(content, 80)}"
