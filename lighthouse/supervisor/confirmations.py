"""Which losses of members were confirmed by a person, and when: on CLOCK_MONOTONIC, so within one boot of the host."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from lighthouse.ipc.errors import ProtocolError
from lighthouse.ipc.messages import pack, unpack


@dataclass(slots=True)
class Confirmations:
    """The times by cluster."""

    _given: dict[str, float] = field(default_factory=dict)

    def load(self, boot: str, payload: bytes) -> bool:
        """Take over what `payload` gave if it is of this boot. Returns whether it was of any use. Raises `ProtocolError`."""
        data = unpack(payload)
        try:
            given = {str(name): float(when) for name, when in data["clusters"].items()} if data["boot"] == boot else {}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ProtocolError(f"not a record of confirmations: {type(error).__name__}: {error}") from None
        self._given = given
        return bool(given)

    def payload(self, boot: str) -> bytes:
        """All of them, packed, with the id of this boot."""
        return pack({"boot": boot, "clusters": self._given})

    def give(self, cluster: str, now: float) -> None:
        """A person confirms what is held of a cluster by now."""
        self._given[cluster] = now

    def keep(self, clusters: Collection[str]) -> bool:
        """Forget all clusters but these; returns whether there were others."""
        before = len(self._given)
        self._given = {name: when for name, when in self._given.items() if name in clusters}
        return len(self._given) != before

    def of(self, clusters: Collection[str]) -> bytes:
        """Those of these clusters, packed."""
        return pack({name: when for name, when in self._given.items() if name in clusters})
