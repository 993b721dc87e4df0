"""The full name of this host, by which other hosts know it as a peer, and its address.

The resolver is asked, which may fail or take longer than a sync may. What it said once is kept, a loopback address aside, and who
asks while it is silent goes on with what is in force.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from lighthouse.advertise import usable
from lighthouse.errors import LighthouseError, NodeError
from lighthouse.hostname import own_name
from lighthouse.identity import valid_host

PATIENCE = 1.0  # seconds that the one who asks waits for the resolver
RETRY = 60.0  # seconds until it is asked again after it has failed


class HostName:
    """Asks in a thread, because nothing else ends a question to a resolver that does not answer.

    An answer that is not final, such as the address that a host has before its network, holds until there is another.
    """

    def __init__(
        self,
        ask: Callable[[], str] = own_name,
        clock: Callable[[], float] = time.monotonic,
        is_final: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._is_final = is_final
        self._name: str | None = None
        self._asked: float | None = None
        self._asking: threading.Thread | None = None

    def known(self) -> str | None:
        """The name, or None while nobody tells it. Blocks for `PATIENCE`, and once in `RETRY` at most."""
        if (self._name is None or not self._is_final(self._name)) and self._is_due():
            self._asked = self._clock()
            self._asking = threading.Thread(target=self._find, name="own name", daemon=True)
            self._asking.start()
            self._asking.join(PATIENCE)
        return self._name

    def _is_due(self) -> bool:
        busy = self._asking is not None and self._asking.is_alive()
        return not busy and (self._asked is None or self._clock() - self._asked >= RETRY)

    def _find(self) -> None:
        with suppress(LighthouseError):
            try:
                self._name = valid_host(self._ask())
            except NodeError:
                self._name = "localhost"


HOST_NAME = HostName()


def own_address() -> str:
    """The address of the full name, as lighthouse 1.0 found it; the loopback's if that is none by which others reach this host.

    Asks the resolver; raises `LighthouseError` while that fails.
    """
    name = own_name()
    try:
        found = [str(item[4][0]) for item in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)]
    except OSError as error:
        raise LighthouseError(f"the address of {name} is not known: {error}") from error
    return min(filter(usable, found), key=lambda ip: ":" in ip, default="127.0.0.1")


HOST_ADDRESS = HostName(own_address, is_final=usable)
