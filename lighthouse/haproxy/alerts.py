"""HAProxy's complaints about a configuration, shortened to a reason that an operator can use. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from lighthouse.haproxy.document import Document
from lighthouse.identity import escaped
from lighthouse.preview import masked

_ALERT = re.compile(r"^\[ALERT\]\s*(?:\d+/\d+\s*)?(?:\(\d+\)\s*)?:\s*(?:config\s*:\s*)?(.*)$")
_SUMMARY = re.compile(r"Fatal errors found|Error\(s\) found|Some protocols failed")
_LIMIT = 3  # reasons that are shown; the first is nearly always the cause of the others


_NAMED = re.compile(r"(?:[Pp]roxy|backend|frontend|server) '([^'/\s]+)")


def reason(stderr: str, path: str, document: Document) -> str:
    """One line from what HAProxy printed about `document` at `path`: each place is named by line and section, never by `path`."""
    alerts = list(dict.fromkeys(_placed(alert, path, document) for alert in _alerts(stderr)))
    shown = "; ".join(alerts[:_LIMIT]) or last_words(stderr)
    return shown if len(alerts) <= _LIMIT else f"{shown}; and {len(alerts) - _LIMIT} more"


def is_judgement(stderr: str) -> bool:
    """Whether it was HAProxy that ended with an error, and not something that kept it from its work."""
    return any(line.startswith("[ALERT]") for line in stderr.splitlines())


def last_words(stderr: str) -> str:
    """The end of what a program printed that is no notice of HAProxy's."""
    lines = [line for line in stderr.splitlines() if line.strip() and not line.startswith("[")]
    return masked(escaped(lines[-1].strip(), 200)) if lines else "it gave no reason"


def places(stderr: str, path: str, document: Document) -> dict[str, str]:
    """The first complaint about each section, by its header, with the line that it is about."""
    lines = document.text().split("\n")
    found: dict[str, str] = {}
    for alert in _alerts(stderr):
        text = _placed(alert, path, document)
        number = _place(path).search(alert)
        if number:
            index = int(number[1] or number[2])
            line = lines[index - 1].strip() if index <= len(lines) else ""
            found.setdefault(document.header(index), f"{text}: `{masked(line[:200])}`")
        elif named := _NAMED.search(alert):
            found.setdefault(f"backend {named[1]}", text)
    found.pop("", None)
    return found


def outside(stderr: str, path: str, base: Sequence[str]) -> str | None:
    """The file of `base` that keeps HAProxy from judging the one at `path`: all complaints are about others."""
    alerts = list(_alerts(stderr))
    if any(path in alert for alert in alerts):
        return None
    return next((file for file in base if any(file in alert for alert in alerts)), None)


def _alerts(stderr: str) -> Iterator[str]:
    for line in stderr.splitlines():
        match = _ALERT.match(line)
        if match and not _SUMMARY.search(match[1]):
            yield match[1]


def _place(path: str) -> re.Pattern[str]:
    return re.compile(rf"(?:[Pp]arsing )?\[{re.escape(path)}:(\d+)\]|{re.escape(path)}:(\d+)")


def _placed(alert: str, path: str, document: Document) -> str:
    text = _place(path).sub(lambda match: document.place(int(match[1] or match[2])), alert)
    text = text.replace(path, "the file").replace(") : ", "): ").strip().rstrip(".")
    return masked("".join(char if char.isprintable() else "?" for char in text)[:300])
