"""Putting right at run time what is no matter of members: what somebody typed at HAProxy's socket, and addresses of names. Pure."""

from __future__ import annotations

from lighthouse.haproxy.aims import astray
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.frontends import PAUSED, STOPPED
from lighthouse.haproxy.limits import changed_limits
from lighthouse.haproxy.running import Running
from lighthouse.haproxy.upstreams import moves


def paused(document: Document, running: Running) -> list[str]:
    """The sections of `document` that should take connections and were disabled."""
    return _in_state(document, running, PAUSED)


def shut_down(document: Document, running: Running) -> dict[str, str]:
    """What only a reload brings back, in words."""
    return {name: f"{name} was shut down at HAProxy's socket" for name in _in_state(document, running, STOPPED)}


def repairs(document: Document, running: Running, *, shared: bool) -> list[str]:
    """The commands that put right what can be; ``global`` may be `shared` with HAProxy's owner."""
    commands = [f"enable frontend {name}" for name in paused(document, running)]
    commands += [f"set server {proxy}/{server} addr {ip}" for proxy, server, ip in moves(document, running)]
    return [*commands, *(command for _, command in changed_limits(document, running, shared=shared))]


def changed(document: Document, running: Running, *, shared: bool) -> list[str]:
    """What others did to limits, to sections that listen and to where checks go, in words."""
    return [
        *(what for what, _ in changed_limits(document, running, shared=shared)),
        *(f"{name} was disabled" for name in paused(document, running)),
        *(f"{name} was shut down" for name in shut_down(document, running)),
        *(f"{where} is checked elsewhere" for where in astray(document, running)),
    ]


def _in_state(document: Document, running: Running, state: str) -> list[str]:
    if running.stopping:  # then all are
        return []
    found = running.frontends
    return [name for name, _ in document.listening() if name in found and found[name].state == state]
