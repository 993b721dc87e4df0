"""A section of HAProxy's configuration, and the guard that nothing in it can become a second line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lighthouse.errors import ConfigError
from lighthouse.haproxy.member import Member
from lighthouse.identity import shown

MEMBERS = "# members:"  # begins the line that says how member lines are made; only member lines follow it
COOKIE = "cookie <name>"  # stands in that line for a cookie with the server's own name

# A line that begins with one of these would open a section of its own and swallow what follows it.
SECTIONS = frozenset(
    (
        *("global", "defaults", "frontend", "backend", "listen", "peers", "resolvers", "mailers", "userlist", "cache"),
        *("program", "ring", "http-errors", "fcgi-app", "log-forward", "log-profile", "crt-store", "traces", "acme"),
    )
)


@dataclass(frozen=True, slots=True)
class Section:
    """A header and its lines. ``template`` is None where no members belong, else what follows the address in a member's line."""

    header: str
    lines: tuple[str, ...] = ()
    template: str | None = None
    members: tuple[Member, ...] = ()

    def __post_init__(self) -> None:
        for line in (self.header, *self.lines, self.template or ""):
            one_line(line)

    @property
    def backend(self) -> str | None:
        """The backend's name, if this is one that has members."""
        return None if self.template is None else self.header.removeprefix("backend ")

    def shape(self) -> Iterator[str]:
        """Its lines without the members."""
        yield self.header
        for line in self.lines:
            yield f"\t{line}"
        if self.template is not None:
            yield f"\t{MEMBERS} {self.template}".rstrip()

    def text(self) -> Iterator[str]:
        """Its lines."""
        yield from self.shape()
        if self.template is None or not self.members:
            return
        before, after = "\tserver ", f" {self.template}" if self.template else ""
        if not self.template.startswith(COOKIE):
            for member in self.members:
                yield f"{before}{member.name} {member.address}{after}"
            return
        after = self.template.removeprefix(COOKIE)
        for member in self.members:
            yield f"{before}{member.name} {member.address} cookie {member.name}{after}"

    def is_pinned(self, server: str) -> bool:
        """Whether the operator's own lines define this server, so that it is none of ours."""
        return any(_defines(line, server) for line in self.lines if line.startswith("server"))


def one_line(text: str, key: Sequence[str | int] = ()) -> str:
    """`text`, if it is printable and therefore a single line. Raises `ConfigError`."""
    if not text.isprintable() and not text.replace("\t", " ").isprintable():
        raise ConfigError(
            f"{shown(text)} holds a line break or another control character; write one line per entry", key
        )
    return text


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


def _defines(line: str, server: str) -> bool:
    match line.split():
        case ["server", name, *_]:
            return name == server
        case ["server-template", prefix, *_]:
            return re.fullmatch(re.escape(prefix) + r"\d+", server, re.ASCII) is not None
    return False
