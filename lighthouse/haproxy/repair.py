"""Putting right at run time what is no matter of members: what somebody typed at HAProxy's socket, and addresses of names. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from lighthouse.haproxy.document import Document
from lighthouse.haproxy.frontends import PAUSED, STOPPED
from lighthouse.haproxy.running import Running
from lighthouse.haproxy.upstreams import moves


def paused(document: Document, running: Running) -> list[str]:
    """The sections of `document` that should take connections and were disabled."""
    return _in_state(document, running, PAUSED)


def shut_down(document: Document, running: Running) -> dict[str, str]:
    """What only a reload brings back, in words."""
    return {name: f"{name} was shut down at HAProxy's socket" for name in _in_state(document, running, STOPPED)}


def repairs(document: Document, origin: Running | None, running: Running) -> list[str]:
    """The commands that put right what can be; `origin` is how the same process was when it was seen first."""
    commands = [f"enable frontend {name}" for name in paused(document, running)]
    commands += [f"set server {proxy}/{server} addr {ip}" for proxy, server, ip in moves(document, running)]
    if origin is None or origin.pid != running.pid:
        return commands
    return [*commands, *_limits(document, origin, running)]


def _limits(document: Document, origin: Running, running: Running) -> Iterator[str]:
    for name in document.listening():
        old, new = origin.frontends.get(name), running.frontends.get(name)
        if old and new and old.limit != new.limit:
            yield f"set maxconn frontend {name} {old.limit}"
    if origin.limit != running.limit:
        yield f"set maxconn global {origin.limit}"


def _in_state(document: Document, running: Running, state: str) -> list[str]:
    if running.stopping:  # then all are
        return []
    found = running.frontends
    return [name for name in document.listening() if name in found and found[name].state == state]
