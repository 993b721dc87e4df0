"""What is wrong with the services that this host provides, as sentences: a pure function of the status document."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lighthouse.cli.text import age, clock, number, user

ORDERED = ("maintenance", "draining")
UNDECIDED = ("unknown", "starting")

Document = Mapping[str, Any]


def down_services(document: Document) -> Iterator[str]:
    """The ports whose checks, or whose flapping, keep them down."""
    return _ports(document, lambda state: state not in ("up", *UNDECIDED, *ORDERED))


def ordered_services(document: Document) -> Iterator[str]:
    """What operators took out of service, one sentence each: nobody else will put it back."""
    now = clock(document)
    for name, service in document["services"].items():
        orders = service.get("orders")
        for kind, order in orders.items() if isinstance(orders, dict) else ():
            if isinstance(order, dict):
                yield ordered(name, kind, order, now)


def ordered(name: str, kind: str, order: Mapping[str, Any], now: float | None) -> str:
    """What an operator ordered of a service, for how long (by the supervisor's time `now`), who, why, and what ends it."""
    since, until = number(order.get("since")), number(order.get("until"))
    words = {"maintenance": "is in maintenance", "drain": "is draining"}.get(kind, f"has the order {kind}")
    how_long = f" for {age(now - since)}" if since is not None and now is not None else ""
    more = f", {age(until - now)} more" if until is not None and now is not None else ""
    more += ", until the next boot" if order.get("until_boot") else ""
    undo = {"maintenance": f"maintenance {name} off", "drain": f"drain {name} --off"}.get(kind, "")
    reason = f": {order['reason']}" if order.get("reason") else ""
    return (
        f"service {name} {words}{how_long}{more}, by {user(order.get('uid'))}{reason} (`lighthouse ctl {undo}` ends it)"
    )


def unknown_services(document: Document) -> Iterator[str]:
    """The ports of which nobody can tell."""
    return _ports(document, lambda state: state in UNDECIDED)


def _ports(document: Document, bad: Callable[[Any], bool]) -> Iterator[str]:
    for name, service in document["services"].items():
        ports = service.get("ports")
        for port, part in ports.items() if isinstance(ports, dict) else ():
            state = part.get("state") if isinstance(part, dict) else "unknown"
            if bad(state):
                yield f"service {name}, port {port}, is {state}{failing(part)}"


def failing(part: Any) -> str:
    """What keeps a port from being up: that nobody knows better, the checks with their reasons, or its flapping."""
    checks = part.get("checks") if isinstance(part, dict) else None
    if not isinstance(checks, dict):
        return ""
    flap = part.get("flap")
    if isinstance(flap, dict) and flap.get("held"):
        return f" (held down, because it flaps: {flap.get('changes')} changes; its checks say {part.get('verdict')})"
    bad = {name: check for name, check in checks.items() if isinstance(check, dict) and check.get("state") != "up"}
    texts = [str(part["reason"])] if part.get("state") in UNDECIDED and part.get("reason") else []
    texts += [f"{name}: {check['reason']}" for name, check in bad.items() if check.get("reason")]
    return f" ({'; '.join(texts)})" if texts else ""
