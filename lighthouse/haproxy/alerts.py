"""HAProxy's complaints about a configuration, shortened to a reason that an operator can use. Pure."""

from __future__ import annotations

import re

from lighthouse.haproxy.document import Document

_ALERT = re.compile(r"^\[ALERT\]\s*(?:\(\d+\)\s*)?:\s*(?:config\s*:\s*)?(.*)$")
_SUMMARY = re.compile(r"Fatal errors found|Error\(s\) found|Some protocols failed")
_LIMIT = 3  # reasons that are shown; the first is nearly always the cause of the others


def reason(stderr: str, path: str, document: Document) -> str:
    """One line from what HAProxy printed about `document` at `path`: each place is named by line and section, never by `path`."""
    alerts: list[str] = []
    for line in stderr.splitlines():
        match = _ALERT.match(line)
        if match and not _SUMMARY.search(match[1]):
            text = _placed(match[1], path, document)
            if text not in alerts:
                alerts.append(text)
    shown = "; ".join(alerts[:_LIMIT]) or "it gave no reason"
    return shown if len(alerts) <= _LIMIT else f"{shown}; and {len(alerts) - _LIMIT} more"


def _placed(alert: str, path: str, document: Document) -> str:
    place = re.compile(rf"(?:[Pp]arsing )?\[{re.escape(path)}:(\d+)\]|{re.escape(path)}:(\d+)")
    text = place.sub(lambda match: document.place(int(match[1] or match[2])), alert)
    text = text.replace(path, "the file").replace(") : ", "): ").strip().rstrip(".")
    return "".join(char if char.isprintable() else "?" for char in text)[:300]
