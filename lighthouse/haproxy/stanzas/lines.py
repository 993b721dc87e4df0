"""Single lines of HAProxy's configuration, read as HAProxy reads them. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from lighthouse.errors import ConfigError
from lighthouse.haproxy.keywords import keywords_in
from lighthouse.identity import shown

# A line that begins with one of these would open a section of its own and swallow what follows it.
SECTIONS = frozenset(
    (
        *("global", "defaults", "frontend", "backend", "listen", "peers", "resolvers", "mailers", "userlist", "cache"),
        *("program", "ring", "http-errors", "fcgi-app", "log-forward", "log-profile", "crt-store", "traces", "acme"),
    )
)


def one_line(text: str, key: Sequence[str | int] = ()) -> str:
    """`text`, if it is printable and therefore a single line. Raises `ConfigError`."""
    if not text.isprintable() and not text.replace("\t", " ").isprintable():
        raise ConfigError(
            f"{shown(text)} holds a line break or another control character; write one line per entry", key
        )
    return text


@lru_cache(maxsize=8192)
def has_id(template: str) -> bool:
    """Whether options of servers give an id."""
    return "id" in keywords_in(template)


@lru_cache(maxsize=8192)
def ids_in(lines: tuple[str, ...]) -> frozenset[int]:
    """The ids that the operator's own lines give to servers."""
    ends = (uncommented(line).split(None, 3)[3:] for line in lines if has((line,), "server"))
    ids = (keywords_in(end).value("id") for words in ends for end in words)
    return frozenset(int(number) for number in ids if number and number.isdecimal())


_WORDS = re.compile(r"""(?: [^\\"'#] | \\. | "(?:[^\\"] | \\.)*" | '[^']*' )*""", re.VERBOSE)


def uncommented(line: str) -> str:
    """The line without a comment at its end: what Lighthouse itself adds to a line would be part of it."""
    words = _WORDS.match(line)
    end = words.end() if words else 0
    return line[:end].rstrip() if line[end : end + 1] == "#" else line


def user_lines(lines: Sequence[str], key: Sequence[str | int] = ()) -> tuple[str, ...]:
    """The operator's lines, trimmed, without empty ones. Raises `ConfigError` for one that is no line of a section."""
    result = []
    for index, raw in enumerate(lines):
        line = one_line(raw, (*key, index)).strip()
        if keyword(line) in SECTIONS:
            raise ConfigError(
                f"{shown(line)} begins a section of its own; only lines within the section belong here", (*key, index)
            )
        if line:
            result.append(line)
    return tuple(result)


def keyword(line: str) -> str:
    """The first word of a line."""
    return line.split(None, 1)[0] if line.strip() else ""


def has(lines: Sequence[str], *words: str) -> bool:
    """Whether a line begins with these words."""
    return any(tuple(line.split(None, len(words))[: len(words)]) == words for line in lines)


def cookie_line(lines: Sequence[str], defaults: Sequence[str]) -> str | None:
    """The ``cookie`` line that counts for a backend with these lines under these ``defaults``."""
    own = [line for line in lines if has((line,), "cookie")]
    inherited = [] if has(lines, "no", "cookie") else [line for line in defaults if has((line,), "cookie")]
    return next(reversed(own or inherited), None)


def setting(lines: Sequence[str], word: str) -> str | None:
    """The argument of the last line that begins with `word`."""
    found = [line.split()[1] for line in lines if has((line,), word) and len(line.split()) > 1]
    return found[-1] if found else None


def defines(line: str, server: str) -> bool:
    """Whether a line of the operator defines this server."""
    match line.replace('"', "").replace("'", "").split():
        case ["server", name, *_]:
            return name == server
        case ["server-template", prefix, count, *_] if server.startswith(prefix):
            return _is_among(server.removeprefix(prefix), count)
    return False


def template_prefix(line: str) -> str | None:
    """What the names of all servers of a ``server-template`` line begin with; None for any other line."""
    match line.split():
        case ["server-template", prefix, *_]:
            return prefix
    return None


_COUNT = re.compile(r"(?:(\d{1,9})-)?(\d{1,9})", re.ASCII)


def _is_among(number: str, count: str) -> bool:
    """Whether a ``server-template`` of so many servers, ``3`` or ``2-5``, numbers one so. One whose count is not plain may."""
    if not re.fullmatch(r"\d{1,9}", number, re.ASCII):
        return False
    match = _COUNT.fullmatch(count)
    return match is None or int(match[1] or 1) <= int(number) <= int(match[2])
