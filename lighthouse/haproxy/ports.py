"""Whether a new configuration can listen where it wants to: on ports, and at the paths of UNIX sockets.

``haproxy -c`` binds nothing, so what cannot be bound would show only at the reload, and that hurts: a new HAProxy that cannot bind
asks the old one to let go of *all* its ports and tries for two seconds before it gives up (measured on 2.6.12: every connection is
refused meanwhile). At a start it would not even show where the other program is a HAProxy too: both bind with SO_REUSEPORT and
share the connections. So it is tried beforehand.

What cannot be tried, a host name for instance, may still fail at the reload. Then the listeners that may be the cause are
remembered by their lines (`Ports.suspects`), so that they wait and nothing else does.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from itertools import chain

from lighthouse.haproxy.addresses import ALL_6, reach
from lighthouse.haproxy.binds import Place, bind_lines, is_clear, places_of
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.stanzas.section import Section

_CAUSES = {
    errno.EADDRINUSE: "another program has it",
    errno.EACCES: "only root may listen there",
    errno.EADDRNOTAVAIL: "this host has no such address",
    errno.EAFNOSUPPORT: "this host has no addresses of that kind",
}

Failed = Callable[[str], str | None]
"""Why HAProxy could not start with a listener lately, by its `key_of`; None if that is not known."""


class Ports:
    """Tells why listeners cannot listen, and tries each place once; those aside that HAProxy has, because `own` have them.

    Where HAProxy has a port of one address and is to have it of all, or the other way round, it is tried beside HAProxy; if that
    cannot be, because HAProxy is another user's, the one is taken for the other.

    With ``held`` HAProxy has some that nobody knows, so that none is tried.
    """

    def __init__(self, *own: Document, held: bool = False, failed: Failed = lambda _: None) -> None:
        self._own: dict[int, set[Place]] = {}
        for _, place in chain.from_iterable(map(places_of, own)):
            self._own.setdefault(place.port, set()).add(place)
        self._listeners = {key_of(section, document) for document in own for section in document.sections}
        self._held = held
        self._failed = failed
        self._causes: dict[Place, str | None] = {}

    def taken(self, wanted: Document) -> dict[str, str]:
        """Why listeners of `wanted` cannot listen, by the header of the section."""
        reasons: dict[str, str] = {}
        for header, place in () if self._held else places_of(wanted):
            if header not in reasons and (cause := self._cause(place)):
                reasons[header] = f"{header}: cannot listen on {place}: {cause}"
        for section in wanted.sections:
            if cause := self._failure(section, wanted):
                reasons.setdefault(section.header, f"{section.header}: {cause}")
        return reasons

    def suspects(self, wanted: Document) -> list[Section]:
        """The new listeners that may keep HAProxy from starting with `wanted`: those that cannot be tried, or else all."""
        new = [
            item for item in wanted.sections if bind_lines(item, wanted) and key_of(item, wanted) not in self._listeners
        ]
        return [item for item in new if not is_clear(item, wanted)] or new

    def _cause(self, place: Place) -> str | None:
        if place not in self._causes:
            self._causes[place] = self._tried(place) if place.port else self._tried_at(place.host)
        return self._causes[place]

    def _tried(self, place: Place) -> str | None:
        own = self._own.get(place.port, set())
        if any(one.host == place.host and one.v6only <= place.v6only for one in own):
            return None
        if not any(one.meets(place) for one in own):
            return _cause(place)
        cause = _cause(place, beside=True)
        return cause if cause and all(_cause(one, beside=True) is None for one in own) else None

    def _tried_at(self, path: str) -> str | None:
        return None if any(one.host == path for one in self._own.get(0, ())) else _cause_at(path)

    def _failure(self, section: Section, document: Document) -> str | None:
        key = key_of(section, document) if bind_lines(section, document) else ""
        return self._failed(key) if key and key not in self._listeners else None


def key_of(section: Section, document: Document) -> str:
    """Tells a listener of `document` apart from others, by where it listens."""
    return "\n".join((section.header, *bind_lines(section, document)))


def _cause(place: Place, *, beside: bool = False) -> str | None:
    """Why an address cannot be bound.

    Sharing is not tried: HAProxy binds with SO_REUSEPORT, so another HAProxy on the port would silently get half of the
    connections. Only `beside` our own it has to be, and then it shows who else is there: Linux lets the sockets of one user share
    a port if all of them have SO_REUSEPORT.
    """
    try:
        with socket.socket(socket.AF_INET6 if ":" in place.host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if beside:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if ALL_6 in reach(place.host):
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, place.v6only)
            probe.bind((place.host, place.port))
    except OSError as error:
        return None if place.foreign and error.errno == errno.EADDRNOTAVAIL else _CAUSES.get(error.errno or 0)
    except OverflowError:
        return "it is no port"
    return None


def _cause_at(path: str) -> str | None:
    """Why no socket can be made at a path. Who may write there is not judged: HAProxy may run as another user."""
    directory = os.path.dirname(path)  # noqa: PTH120  paths are text here, as HAProxy gets them
    try:
        os.stat(f"{directory}/.")  # noqa: PTH116  as above; the dot, because it must be a directory
    except OSError as error:
        return f"there is no directory {directory}" if error.errno in (errno.ENOENT, errno.ENOTDIR) else None
    return None
