"""The base of all stanzas."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from lighthouse.haproxy import judge
from lighthouse.haproxy.stanzas.section import Section


class Stanza:
    """A header and lines, which may change. ``section_name`` is HAProxy's word for it, ``global`` or ``backend`` for instance."""

    def __init__(self, section_name: str, name: str = "", lines: Sequence[str] = ()) -> None:
        self.section_name = section_name
        self.header = f"{section_name} {name}".rstrip()
        self.lines = list(lines)

    def section(self) -> Section:
        """The value that goes into the file. Raises `ConfigError` for a line that is none."""
        return Section(self.header, tuple(self.lines))

    def is_valid_line(self, line: str) -> bool:
        """Whether the installed HAProxy knows such a line in this section, or there is none to ask. Blocks for 1 s at most."""
        return not judge.complaints(self.section_name, [line], total=inf)

    def __str__(self) -> str:
        return "\n".join(self.section().text())


def bind(address: str, port: int) -> str:
    """The line ``bind``. ``localhost`` becomes 127.0.0.1, which needs no resolver and is the same everywhere."""
    if address in ("", "*"):
        return f"bind *:{port}"
    if address == "localhost":
        return f"bind 127.0.0.1:{port}"
    return f"bind [{address}]:{port}" if ":" in address else f"bind {address}:{port}"
