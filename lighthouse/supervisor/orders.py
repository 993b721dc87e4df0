"""What operators ordered of services: a pure state machine, kept over restarts and reboots.

A service can have an order of each kind at once; that to drain is the one that counts. An order without an end is not replaced by
one that ends with this boot: a shutdown of the host must not undo what an operator wanted for longer.

What is ordered for half an hour lasts half an hour, even if somebody sets the clock meanwhile; time in which the host
sleeps does not count. Over a boot nothing but the clock is left to go by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lighthouse.ipc.errors import ProtocolError
from lighthouse.ipc.messages import pack, unpack
from lighthouse.service_state import Order, Will

COUNTING = (Will.DRAIN, Will.MAINTENANCE)
"""Which of a service's orders counts, first of all."""
STEP = 1.0  # seconds; by less a clock is only corrected, not set


@dataclass(slots=True)
class Orders:
    """The orders by service and kind. ``boot`` is the id of this boot of the host, empty where it is not known.

    ``_offset`` is by how much the clock was ahead of CLOCK_MONOTONIC when it was last looked at in this boot. ``_earlier`` are
    the orders of earlier boots: the clock may be wrong for a while after a boot, and once it is set these are right as they are.
    """

    boot: str = ""
    _given: dict[str, dict[Will, Order]] = field(default_factory=dict)
    _offset: float | None = None
    _earlier: set[tuple[str, Will]] = field(default_factory=set, compare=False)

    def load(self, payload: bytes) -> None:
        """Take over what `payload` gave. Raises `ProtocolError`."""
        try:
            data = unpack(payload)
            boot, offset = data["clock"]
            given = {
                str(service): {Will(kind): Order.from_mapping(order) for kind, order in orders.items()}
                for service, orders in data["orders"].items()
            }
            offset = float(offset) if self.boot and boot == self.boot and offset is not None else None
            earlier = {(str(service), Will(kind)) for service, kind in data.get("earlier", ())}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ProtocolError(f"not a record of orders: {type(error).__name__}: {error}") from None
        if offset is None:
            earlier = {(service, kind) for service, orders in given.items() for kind in orders}
        self._given, self._offset, self._earlier = given, offset, earlier

    def payload(self) -> bytes:
        """All of them, packed."""
        orders = {
            service: {kind.value: order.to_mapping() for kind, order in orders.items()}
            for service, orders in sorted(self._given.items())
        }
        earlier = sorted((service, kind.value) for service, kind in self._earlier)
        return pack({"clock": [self.boot, self._offset], "orders": orders, "earlier": earlier})

    def follow(self, wall: float, now: float) -> bool:
        """Look at the clock; if it was set, all ends move with it. Returns whether any did."""
        offset = wall - now
        step = 0.0 if self._offset is None else offset - self._offset
        if self._offset is not None and abs(step) <= STEP:
            return False
        self._offset = offset
        moved = False
        for service, orders in self._given.items():
            for kind, order in orders.items():
                if step and order.until is not None and (service, kind) not in self._earlier:
                    orders[kind] = replace(order, until=order.until + step)
                    moved = True
        return moved

    def give(self, service: str, kind: Will, order: Order) -> None:
        """Order it. One of the same kind is replaced, unless that one stands for longer than this boot and the new one does not."""
        orders = self._given.setdefault(service, {})
        standing = orders.get(kind)
        if standing is None or standing.boot is not None or order.boot is None:
            orders[kind] = order
            self._earlier.discard((service, kind))

    def take_back(self, service: str, kind: Will) -> bool:
        """End it; returns whether there was one."""
        orders = self._given.get(service, {})
        found = orders.pop(kind, None) is not None
        self._earlier.discard((service, kind))
        if not orders:
            self._given.pop(service, None)
        return found

    def expire(self, wall: float) -> list[tuple[str, Will]]:
        """End what ends by itself; returns what did."""
        over = [
            (service, kind)
            for service, orders in self._given.items()
            for kind, order in orders.items()
            if order.over(wall, self.boot)
        ]
        for service, kind in over:
            self.take_back(service, kind)
        return over

    def next(self) -> float | None:
        """When the next one ends by itself (unix time)."""
        times = [order.until for orders in self._given.values() for order in orders.values() if order.until is not None]
        return min(times, default=None)

    def counting(self, service: str) -> tuple[Will, Order | None]:
        """What the operator wants of a service, and the order that says so."""
        orders: Mapping[Will, Order] = self._given.get(service, {})
        kind = next((kind for kind in COUNTING if kind in orders), None)
        return (Will.SERVE, None) if kind is None else (kind, orders[kind])

    def of(self, service: str) -> Mapping[Will, Order]:
        """All orders about a service."""
        return self._given.get(service, {})
