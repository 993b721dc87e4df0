"""What a balancer would change, as a value, and the rule that nothing secret is told of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

HIDDEN = "(hidden)"

# What follows these, up to a quote that ends the line it stands in.
_SECRET = re.compile(
    r"\b((?:(?:stats\s+auth|password|insecure-password|dynamic-cookie-key)\s+"
    r"|(?:password|authorization|secret|token)\s*[:=]\s*))[^'\"`\n]+",
    re.IGNORECASE,
)


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
    """The text without what follows a word that announces a secret. Whoever refuses a line may have quoted it."""
    return _SECRET.sub(lambda match: match[1] + HIDDEN, text)
