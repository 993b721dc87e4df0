"""The commands by which operators take services out of service and back, see docs/control.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lighthouse.service_state import MAX_REASON, Order, Will
from lighthouse.supervisor.actions import Action
from lighthouse.supervisor.control import Command, Peer, Refusal
from lighthouse.supervisor.core import Core

LONGEST = 366 * 86400.0  # seconds that an order with an end may last

Arguments = Mapping[str, Any]


def ordering(core: Core, perform: Callable[[list[Action]], None]) -> dict[str, Command]:
    """The commands by name."""

    def maintenance(arguments: Arguments, peer: Peer) -> Mapping[str, Any]:
        services = _services(core, arguments, Will.MAINTENANCE)
        order = _order(core, arguments, peer) if _flag(arguments, "on") else None
        perform(core.order(services, Will.MAINTENANCE, order))
        return {"services": services}

    def drain(arguments: Arguments, peer: Peer) -> Mapping[str, Any]:
        services = _services(core, arguments, Will.DRAIN)
        order = _order(core, arguments, peer) if _flag(arguments, "on") else None
        perform(core.order(services, Will.DRAIN, order))
        return {"services": services}

    return {
        "maintenance": Command(maintenance, mutates=True, signed=True),
        "drain": Command(drain, mutates=True, signed=True),
    }


def _services(core: Core, arguments: Arguments, kind: Will) -> list[str]:
    """The services that a request is about. One that is not configured (any more) can only be taken back."""
    if core.stopping:
        raise Refusal("stopping", "the supervisor is stopping")
    known = sorted(core.plan.services)
    if arguments.get("all") is True and kind is Will.DRAIN:
        return known
    name = arguments.get("service")
    if isinstance(name, str) and (
        name in known or (arguments.get("on") is False and kind in core.store.orders.of(name))
    ):
        return [name]
    raise Refusal("usage", f"there is no service {str(name)[:80]!r}; known are {', '.join(known) or 'none'}")


def _flag(arguments: Arguments, name: str) -> bool:
    value = arguments.get(name)
    if not isinstance(value, bool):
        raise Refusal("usage", f"{name!r} must be true or false")
    return value


def _order(core: Core, arguments: Arguments, peer: Peer) -> Order:
    reason, seconds = arguments.get("reason", ""), arguments.get("for")
    if not isinstance(reason, str) or len(reason) > MAX_REASON:
        raise Refusal("usage", f"'reason' must be a text of {MAX_REASON} characters at most")
    if seconds is not None and (
        isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= LONGEST
    ):
        raise Refusal("usage", f"'for' must be a number of seconds, more than 0 and {LONGEST:.0f} at most")
    now = core.wall()
    boot = core.store.orders.boot if arguments.get("until_boot") is True else None
    return Order(now, peer.uid, reason, None if seconds is None else now + seconds, boot)
