"""The full name of this host, by which other hosts know it as a peer, and its address. What the resolver said once is kept."""

from __future__ import annotations

import time
from collections.abc import Callable

from lighthouse.advertise import usable
from lighthouse.errors import NodeError
from lighthouse.haproxy import resolver
from lighthouse.haproxy.deadline import Deadline
from lighthouse.haproxy.resolver import Question, answers_of
from lighthouse.hostname import own_name
from lighthouse.identity import valid_host

RETRY = 60.0  # seconds until it is asked again after it has failed


class HostName:
    """An answer that is not final, such as the address that a host has before its network, holds until there is another."""

    def __init__(
        self,
        ask: Callable[[], str] = own_name,
        clock: Callable[[], float] = time.monotonic,
        is_final: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._question = Question(lambda: _valid(ask()), clock)
        self._is_final = is_final

    def known(self) -> str | None:
        """The name, or None while nobody tells it. Blocks for `resolver.PATIENCE`, and once in `RETRY` at most."""
        name = self._question.answer
        if (name is None or not self._is_final(name)) and self._question.begin(RETRY):
            self._question.wait(Deadline(resolver.PATIENCE))
        return self._question.answer


def _valid(name: str) -> str:
    try:
        return valid_host(name)
    except NodeError:
        return "localhost"


HOST_NAME = HostName()


def own_address() -> str:
    """The address of the full name, as lighthouse 1.0 found it; the loopback's if that is none by which others reach this host.

    Asks the resolver; raises `LighthouseError` while that fails.
    """
    return min(filter(usable, answers_of(own_name())), key=lambda ip: ":" in ip, default="127.0.0.1")


HOST_ADDRESS = HostName(own_address, is_final=usable)
