"""How values and foreign texts are shown to an operator: short, on one line, safe for a terminal, and without secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from lighthouse.identity import shown

SECRET = re.compile(r"pass|secret|token|credential|auth|private|api_?key", re.IGNORECASE)
"""What the name of a key contains when its value must not be shown."""

MAX_FOREIGN = 500


def dotted(path: Iterable[str | int]) -> str:
    """``('checks', 'http', 0)`` as ``checks.http[0]``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def displayed(path: Iterable[str | int], value: Any) -> str:
    """A value for a message. Collections are named only: they may hold a secret further down."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "no value"
    if any(isinstance(part, str) and SECRET.search(part) for part in path):
        return "(hidden)"
    return str(value).lower() if isinstance(value, bool) else shown(value)


def foreign(text: object, limit: int = MAX_FOREIGN) -> str:
    """A text that a plugin or the system gave, on one line and without control characters."""
    try:
        raw = str(text)
    except Exception:  # noqa: BLE001 - a plugin's own exception may fail to print; its type is told beside it
        return "(no text)"
    clean = " ".join("".join(char if char.isprintable() else " " for char in raw[: limit * 2]).split())
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def failure(error: BaseException) -> str:
    """An exception as ``Type: text``."""
    text = foreign(error)
    return f"{foreign(type(error).__name__, 80)}: {text}" if text else foreign(type(error).__name__, 80)


def listed(names: Iterable[str]) -> str:
    """Names in order, or ``none``."""
    return ", ".join(sorted(names)) or "none"
