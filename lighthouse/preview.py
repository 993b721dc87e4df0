"""What a balancer would change, as a value, and the rule that nothing secret is told of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

HIDDEN = "(hidden)"

_SECRET = re.compile(
    r"\b(?:(?:stats\s+auth|password|insecure-password|dynamic-cookie-key)\s+"
    r"|(?:set|add)-header\s+[\w-]*(?:auth|cookie|key|pass|secret|token)[\w-]*\s+"
    r"|(?:password|authorization|secret|token)\s*[:=]\s*)",
    re.IGNORECASE,
)
_QUOTES = "'\"`"


class Way(Enum):
    """How a change would come about; REFUSED ones would not."""

    RUNTIME = "runtime"
    RELOAD = "reload"
    START = "start"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Effect:
    """One line of a plan: ``where``, such as ``backend web``, and ``what``, the reason included."""

    way: Way
    where: str
    what: str


@dataclass(frozen=True, slots=True)
class Preview:
    """Everything that would change, and ``notes``: what one should know about it that changes nothing."""

    effects: tuple[Effect, ...] = ()
    notes: tuple[str, ...] = ()


def masked(text: str) -> str:
    """The text without what follows a word that announces a secret. Whoever refuses a line may have quoted it.

    It is hidden to the end of the line, or to that of the quotation in which the word stands.
    """
    parts, at = [], 0
    while match := _SECRET.search(text, at):
        parts += [text[at : match.end()], HIDDEN]
        at = _end_of_quotation(text, match.start(), match.end())
    return "".join([*parts, text[at:]])


def _end_of_quotation(text: str, word: int, secret: int) -> int:
    """Where what is quoted around `word` ends, looked for from `secret` on."""
    line = text.rfind("\n", 0, word) + 1
    quote = next((char for char in reversed(text[line:word]) if char in _QUOTES), "")
    for index in range(secret, len(text)):
        if text[index] == "\n" or (text[index] == quote and text[index - 1] != "\\"):
            return index
    return len(text)
