"""The connections of the control socket, turn by turn: the loop's side of `control`."""

from __future__ import annotations

import logging
import selectors
import socket
import time
from functools import partial

from lighthouse.supervisor import control
from lighthouse.supervisor.sources import REST, Sources

DEAF_FOR = 1.0  # seconds for which no connection is taken after one could not be for want of descriptors

log = logging.getLogger("lighthouse.supervisor")


class Door:
    """Takes connections and serves them; ``deaf_until`` is when it listens again after it could not take one."""

    def __init__(self, listener: socket.socket, server: control.ControlServer, sources: Sources) -> None:
        self.deaf_until: float | None = None
        self._listener = listener
        self._server = server
        self._sources = sources
        sources.add(listener, REST, self._accept)

    def turn(self, now: float) -> None:
        """Listen again when it is time, and part from those whose patience has ended."""
        if self.deaf_until is not None and now >= self.deaf_until:
            self.deaf_until = None
            self._sources.add(self._listener, REST, self._accept)
        for client in self._server.expired(now):
            self._drop(client)

    def close(self) -> None:
        """Part from everybody."""
        for client in list(self._server.clients.values()):
            self._server.drop(client)

    def _accept(self, _mask: int) -> None:
        for _ in range(control.MAX_CLIENTS):
            try:
                client = self._server.accept(self._listener, time.monotonic())
            except OSError as error:
                # Descriptors are short: whoever waits goes on waiting, and this loop does not spin meanwhile.
                log.error("control: no connection can be taken: %s", error.strerror)
                self._sources.remove(self._listener)
                self.deaf_until = time.monotonic() + DEAF_FOR
                return
            if client is None:
                return
            self._sources.add(client, REST, partial(self._serve, client))
            if crowded := self._server.crowded():
                self._drop(crowded)

    def _serve(self, client: control.Client, mask: int) -> None:
        if client.sock.fileno() < 0:
            return  # dropped earlier in this turn
        serve = self._server.readable if mask & selectors.EVENT_READ else self._server.writable
        if not serve(client):
            self._drop(client)
            return
        # While a reply or another request waits nothing more is read from this client, so that it cannot pile up either.
        self._sources.wait_for(client, selectors.EVENT_WRITE if client.has_more else selectors.EVENT_READ)

    def _drop(self, client: control.Client) -> None:
        self._sources.remove(client)
        self._server.drop(client)
