"""What this host announces in one registry: what is wanted, how much of it may go now, and what stands.

Three things come between what is wanted and what is announced: no port is announced without an address (`own_address`), only so
many change at once (`registration`), and what goes on purpose says so first (`farewell`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lighthouse.discovery import Announcement
from lighthouse.workers.announcing import Addresses, announced, announcements
from lighthouse.workers.farewell import Farewell
from lighthouse.workers.own_address import OwnAddress
from lighthouse.workers.registration import Key, Registration, key_of


@dataclass(frozen=True, slots=True)
class Due:
    """The announcements to make now: ``items``, which come of what is ``admitted`` of what is ``wanted``."""

    items: list[Announcement]
    admitted: Sequence[Announcement]
    wanted: Sequence[Announcement]


class Register:
    """``states`` is what the supervisor told of each service's ports last, ``own`` the addresses of this host."""

    def __init__(self, own: OwnAddress) -> None:
        self.states: Mapping[str, Mapping[str, str]] = {}
        self.own = own
        self._config: Mapping[str, Any] = {}
        self._registration = Registration()
        self._farewell = Farewell()
        self._announced: Sequence[Announcement] | None = None
        self._stands: Sequence[Announcement] = ()

    def configure(self, config: Mapping[str, Any]) -> None:
        """Take over the services, and how fast this host may be."""
        self._config = config
        registration = config["registration"]
        self._registration.rate, self._registration.burst = registration["rate"], registration["burst"]
        self._farewell.lasts = registration["farewell"]
        self.doubt()
        self.own.configure(config)

    def due(self, now: float, *, at_once: bool) -> Due | None:
        """What is to be announced now, all of it `at_once` or as much as may; None if it stands, or no address is known yet."""
        addresses = self.own.addresses or (None if self._config["services"] else Addresses(""))
        if addresses is None:
            return None
        wanted = announcements(self._config, self.states, addresses)
        admitted = wanted if at_once else self._registration.admitted(wanted, now)
        items = self._farewell.phased(admitted, now)
        return None if items == self._announced else Due(items, admitted, wanted)

    def done(self, due: Due, now: float, failed: Collection[Key] = ()) -> None:
        """That is announced, but for the `failed` ones."""
        self._announced = None if failed else due.items
        self._stands = [item for item in due.items if key_of(item) not in failed]
        self._farewell.done(due.items, due.admitted, now, failed)
        self._registration.spend(due.admitted, due.wanted, now, failed)

    def doubt(self) -> None:
        """Nobody knows any more what stands: a part of it may have been done."""
        self._announced, self._stands = None, ()

    def next(self, now: float) -> list[float]:
        """When something else may be due, although nothing else is wanted."""
        return [when for when in (self._farewell.next(now), self._registration.next(now)) if when is not None]

    def leaving(self, now: float) -> float | None:
        """When the next of those that say that they leave is to be gone; None if none does."""
        return self._farewell.next(now)

    def hurry(self) -> None:
        """Who leaves is to be gone now."""
        self._farewell.lasts = 0.0

    def report(self) -> dict[str, Any]:
        """For the status."""
        return {
            **(self.own.addresses or Addresses("")).report(),
            "announced": announced(self._stands, self.states),
            "registration": {"waiting": self._registration.waiting, "delayed": self._registration.delayed},
        }
