"""Noticing what others did to HAProxy: somebody restarted it, typed at its socket, or changed its file.

After each sync it is known what runs. What differs from that at the beginning of the next one was done by someone else. It
is counted here; that it is put right is the doing of the planner and of `lighthouse.haproxy.repair`, which ask what should be.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from lighthouse.haproxy.aims import elsewhere
from lighthouse.haproxy.arrange import defaults_of
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.dynamic import Recipe, recipe
from lighthouse.haproxy.files import Alteration
from lighthouse.haproxy.running import Admin, Checking, Running, Server

_FORCED = Admin.FORCED_MAINT | Admin.FORCED_DRAIN
_SHOWN = 3


class Drift:
    """Counts the differences since the start of this process."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._left: Running | None = None
        self._passing: Collection[tuple[str, str]] = ()
        self._document = Document((), ())
        self._standing: tuple[int, Collection[str]] = 0, ()
        self._of = 0
        self._spoilt: dict[str, str] = {}
        self._healed = 0
        self._last: dict[str, Any] | None = None

    def left(self, running: Running, passing: Collection[tuple[str, str]], document: Document) -> None:
        """A sync ends with this; `passing` names backend and server of those that are leaving and may go by themselves.

        Only what is in `document` is ours to put right; HAProxy may have more.
        """
        self._left, self._passing = running, frozenset(passing)
        self._document = document
        if self._of != running.pid:
            self._of, self._spoilt = running.pid, {}

    def spoilt(self, running: Running) -> Mapping[str, str]:
        """What was changed in this process that only another one has right again, in words."""
        return self._spoilt if self._of == running.pid else {}

    def found(
        self, running: Running | None, changes: Collection[str] = (), file: Alteration | None = None
    ) -> list[str]:
        """A sync begins with this: what others did since the last one, and to the `file`, in words. It is counted.

        `changes` is what differs from the file now, whenever that was done; what could not be put right is not counted again.
        """
        pid = running.pid if running else 0
        known = self._standing[1] if self._standing[0] == pid else ()
        new = (what for what in changes if what not in known)
        differences = list(dict.fromkeys((*new, *self._differences(running))))
        differences += [file.what] if file else []
        self._standing = pid, changes
        if file and file.reshaped and self._left is not None and pid not in (0, self._left.pid):
            self._of, self._spoilt = pid, {"": "HAProxy was loaded with a file that somebody had changed"}
        self._left = None  # until `left`: what a sync did that failed half-way is no change from outside
        return self._counted(differences)

    def seen(self, running: Running, backends: Collection[str], touched: Collection[tuple[str, str]]) -> list[str]:
        """In the course of a sync these backends were read anew, after it had changed the servers `touched` itself."""
        if self._left is None:
            return []
        skipped = {*self._passing, *touched}
        old, self._left = self._left, running
        self._note_spoilt(backends, old, running)
        return self._counted(
            [what for name in backends for what in _in_backend(self._document, name, old, running, skipped)]
        )

    def forget(self) -> None:
        """It is not known what runs."""
        self._left = None

    def _counted(self, differences: list[str]) -> list[str]:
        if differences:
            self._healed += len(differences)
            more = f" and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
            self._last = {"what": ", ".join(differences[:_SHOWN]) + more, "at": self._clock()}
        return differences

    def report(self) -> dict[str, Any]:
        """``healed``: how many differences were found and put right; ``last``: what and when (seconds of the epoch), or None."""
        return {"healed": self._healed, "last": self._last}

    def _differences(self, now: Running | None) -> Iterator[str]:
        left = self._left
        if left is None:
            return
        if now is None:
            yield "HAProxy had ended"
            return
        if now.pid != left.pid:
            yield "HAProxy was restarted or reloaded"
            return
        if left.servers == now.servers:
            return
        backends = sorted(self._document.backends())
        self._note_spoilt(backends, left, now)
        for backend in backends:
            yield from _in_backend(self._document, backend, left, now, self._passing)

    def _note_spoilt(self, backends: Collection[str], left: Running, now: Running) -> None:
        """Servers whose check goes elsewhere: HAProxy takes another address for it at run time, but not none again."""
        for backend in backends:
            old = left.servers.get(backend, {})
            for name, server in now.servers.get(backend, {}).items():
                if name in old and old[name].checked != server.checked:
                    self._spoilt |= elsewhere(backend, name)


def _in_backend(
    document: Document, backend: str, left: Running, now: Running, skipped: Collection[tuple[str, str]]
) -> Iterator[str]:
    old, new = left.servers.get(backend, {}), now.servers.get(backend, {})
    if old is new:
        return
    others = [name for name, server in new.items() if server is not (was := old.get(name)) and server != was]
    for name in sorted({*others, *(old.keys() - new.keys())}):
        section = document.backends()[backend]
        if (backend, name) in skipped or section.is_pinned(
            name
        ):  # what the operator's own lines define is left as it is
            continue
        if what := _difference(recipe(section, defaults_of(document)), old.get(name), new.get(name)):
            yield f"{backend}/{name} {what}"


def _difference(made: Recipe, old: Server | None, new: Server | None) -> str | None:
    if old is None or new is None:
        return "was added" if old is None else "was deleted"
    agent = bool(new.agent & Checking.ENABLED)  # it may change the weight and the state
    changes = {
        "has another address": old.address != new.address,
        "has another weight": old.weight != new.weight and not agent,
        "has another setting of ssl": old.ssl != new.ssl,
        "has another limit": old.maxconn != new.maxconn and None not in (old.maxconn, new.maxconn) and not agent,
        "has another state": (old.admin ^ new.admin) & _FORCED and not agent,
        "was put down": new.is_put_down and not old.is_put_down and not made.follows,
        "is checked elsewhere": old.checked != new.checked,
        "is checked otherwise": ((old.check ^ new.check) | (old.agent ^ new.agent)) & Checking.ENABLED,
    }
    return next((what for what, is_so in changes.items() if is_so), None)
