"""Text for people: what came from outside made safe for a terminal, ages and sizes in the units that people use."""

from __future__ import annotations

MINUTE, HOUR, DAY = 60, 3600, 86400


def safe(value: object) -> str:
    """The text with everything that could steer a terminal (control, format and surrogate characters) escaped."""
    text = value if isinstance(value, str) else str(value)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else escaped(char) for char in text)


def escaped(char: str) -> str:
    """One character in the spelling of a Python string."""
    return char.encode("unicode_escape").decode("ascii")


def safe_lines(text: str) -> list[str]:
    """The lines of a text of several, each made safe; those after the first are set in."""
    first, *rest = text.split("\n")
    return [safe(first), *("    " + safe(line) for line in rest)]


def safe_line(line: str) -> str:
    """Like `safe`, for a line of a log: tabs stay."""
    return "\t".join(safe(part) for part in line.split("\t"))


def cut(text: str, limit: int) -> str:
    """The text, shortened where it is longer than `limit` characters."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def age(seconds: object) -> str:
    """A duration in its two largest units, or "-" where there is none."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds != seconds:  # noqa: PLR0124  (NaN)
        return "-"
    value = int(min(max(seconds, 0), 1e12))
    if value < MINUTE:
        return f"{value}s"
    if value < HOUR:
        return f"{value // MINUTE}m {value % MINUTE:02}s"
    if value < DAY:
        return f"{value // HOUR}h {value % HOUR // MINUTE:02}m"
    return f"{value // DAY}d {value % DAY // HOUR:02}h"


def size(count: object) -> str:
    """A number of bytes in MiB, or "-" where there is none."""
    if isinstance(count, bool) or not isinstance(count, int | float):
        return "-"
    return f"{count / 1048576:.1f} MiB"


def number(value: object) -> float | None:
    """The value if it is a number."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def clock(document: object) -> float | None:
    """The supervisor's unix time when it gave its status, so that ages need no second clock."""
    supervisor = document.get("supervisor") if isinstance(document, dict) else None
    if not isinstance(supervisor, dict):
        return None
    started, uptime = number(supervisor.get("started")), number(supervisor.get("uptime"))
    return None if started is None or uptime is None else started + uptime


def user(uid: object) -> str:
    """The user with this number, with the name that this host knows for it."""
    import pwd

    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})" if isinstance(uid, int) else "somebody"
    except (KeyError, OverflowError):
        return f"uid {uid}"
