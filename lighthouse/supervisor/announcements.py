"""What each discovery is told to announce, by service and port. Pure."""

from __future__ import annotations

from collections.abc import Callable

from lighthouse.plan import Plan
from lighthouse.service_state import Announced

Announcements = dict[str, dict[str, str]]


def wanted(plan: Plan, discovery: str, state: Callable[[str, str], Announced]) -> Announcements:
    """What a discovery of the plan is to announce; `state` tells it of a service's port."""
    return {
        name: {str(port): state(name, str(port)).value for port in service.ports}
        for name, service in sorted(plan.services.items())
        if service.discovery == discovery
    }


def parting(before: Plan, plan: Plan, discovery: str) -> Announcements:
    """What a discovery that is not in the `plan` any more is to make of what it announced: it is withdrawn.

    What moved to another discovery stays. That may be the same registry under another name, which takes over what stands: withdrawn
    here it would be missing for a moment.
    """
    moved = {(name, str(port)) for name, service in plan.services.items() for port in service.ports}
    return wanted(before, discovery, lambda *port: Announced.HOLD if port in moved else Announced.WITHDRAWN)
