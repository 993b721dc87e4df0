"""The line of a server whose host is a name, with the address that Lighthouse has found for it. Pure.

With ``init-addr`` HAProxy asks no resolver: neither when it judges the file nor when it loads it (2.6 to 3.4). The name stays in
the line, for people and for an operator's ``resolvers``. An address may be changed at run time, so it is no part of the skeleton.
"""

from __future__ import annotations

import re

NOWHERE = "none"  # in the place of an address: HAProxy holds the server in maintenance
_LINE = re.compile(r"(server (\S+) \2(?: maxconn \d+)?) init-addr (\S+)", re.ASCII)


def resolved(line: str, address: str | None) -> str:
    """A server line with an address, or none."""
    return f"{line} init-addr {address or NOWHERE}"


def unresolved(line: str) -> str:
    """The same without it; any other line as it is."""
    match = _LINE.fullmatch(line)
    return match[1] if match else line


def address_in(line: str) -> tuple[str, str | None] | None:
    """The name of the server and its address, of a line that `resolved` gave; None for any other."""
    match = _LINE.fullmatch(line)
    return (match[2], None if match[3] == NOWHERE else match[3]) if match else None
