"""What the lines of a section name elsewhere in the file: proxies, peers and servers. Pure.

HAProxy refuses a file in which something is named that is not there, so none of these may go before the lines that name it. The
words are those of its configuration manual, chapters 4 and 7. What is only said when a request comes, such as ``use_backend
%[path]``, is not looked up beforehand, and counts for nothing here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from lighthouse.haproxy.stanzas.lines import uncommented
from lighthouse.haproxy.stanzas.section import Section

_LEADS = re.compile(r"^(?:use_backend|default_backend)\s+(\S+)")
_TABLE = re.compile(r"\stable\s+(\S+)")
_PEERS = re.compile(r"\speers\s+(\S+)")
_CALL = re.compile(r"(\w+)\(([^()]*)\)")  # a sample fetch or a converter with its arguments
_USES = re.compile(r"^use-server\s+(\S+)")
_TRACKS = re.compile(r"(?:^|\s)track\s+(\S+)")
_NAMER = re.compile(r"_backend\s|\stable\s|\speers\s|\(|^use-server\s|(?:^|\s)track\s")


@dataclass(frozen=True, slots=True)
class Mentions:
    """The names in one line; those of servers as proxy and server, the proxy empty if it is the line's own."""

    proxies: frozenset[str] = frozenset()
    peers: frozenset[str] = frozenset()
    servers: frozenset[tuple[str, str]] = frozenset()


_NONE = Mentions()


def lines_of(section: Section) -> Iterator[str]:
    """All lines of a section that may name something: its own, and the options of its servers."""
    yield from section.lines
    if section.template:
        yield section.template


def servers_named(sections: Iterable[Section]) -> dict[str, frozenset[str]]:
    """The servers that `sections` name, by backend, but those that the operator's own lines define."""
    found: dict[str, set[str]] = {}
    backends: dict[str, Section] = {}
    for section in sections:
        if section.backend is not None:
            backends[section.backend] = section
        for backend, server in _servers_in(section.header, section.lines, section.template):
            found.setdefault(backend, set()).add(server)
    named = {
        name: frozenset(server for server in servers if not backends[name].is_pinned(server))
        for name, servers in found.items()
        if name in backends
    }
    return {name: servers for name, servers in named.items() if servers}


def mentions(line: str) -> Mentions:
    """What a line names. Of the arguments of a sample fetch each may be a name: who asks knows what there is."""
    return _read(line) if _NAMER.search(line) else _NONE


@lru_cache(maxsize=8192)
def _servers_in(header: str, lines: tuple[str, ...], template: str | None) -> tuple[tuple[str, str], ...]:
    own = header.partition(" ")[2]
    found = (place for line in (*lines, template or "") for place in mentions(line).servers)
    return tuple((backend or own, server) for backend, server in found)


@lru_cache(maxsize=4096)  # asked for every line at every whole comparison, and the lines hardly change
def _read(text: str) -> Mentions:
    line = uncommented(text)
    calls = [(call[1], argument) for call in _CALL.finditer(line) for argument in call[2].split(",")]
    servers = [found[1] for found in (_USES.match(line), *_TRACKS.finditer(line)) if found]
    servers += [argument for word, argument in calls if word.startswith("srv_")]
    places = [_place(name) for name in servers]
    proxies = [found[1] for found in (_LEADS.match(line), *_TABLE.finditer(line)) if found]
    proxies += [argument for _, argument in calls if "/" not in argument]
    return Mentions(
        frozenset(filter(None, (*map(_bare, proxies), *(proxy for proxy, _ in places)))),
        frozenset(_bare(found[1]) for found in _PEERS.finditer(line)),
        frozenset(places),
    )


def _place(name: str) -> tuple[str, str]:
    proxy, _, server = _bare(name).rpartition("/")
    return proxy, server


def _bare(word: str) -> str:
    return word.strip().replace('"', "").replace("'", "")
