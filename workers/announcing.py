"""What this host wants announced: from the services' configuration and their states to nodes."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lighthouse.advertise import Choice, Interfaces, choose, needs_interfaces, usable
from lighthouse.discovery import Announcement, Wanted
from lighthouse.errors import LighthouseError
from lighthouse.hostname import own_name
from lighthouse.node import Node
from lighthouse.peer import Peer
from lighthouse.service import Service
from lighthouse.service_state import Announced

WITHDRAWN = Announced.WITHDRAWN.value
_REMEDY = "set `advertise` in lighthouse.yaml, to an address, a network such as 10.0.0.0/8 or an interface such as eth0"
_WITHOUT_ADDRESS = {Wanted.UP: Wanted.HOLD, Wanted.LEAVING: Wanted.DOWN}
NO_ADDRESS = "0.0.0.0"  # noqa: S104  stands in a node that is held because no address is known; it is never written


@dataclass(frozen=True, slots=True)
class Addresses:
    """Under which name and addresses this host announces its services; ``problems`` says of which none is known, and why."""

    hostname: str
    services: Mapping[str, Choice] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def after(self, earlier: Addresses | None) -> Addresses:
        """The same, with what was known `earlier` where nothing is known now: a resolver that is away changes nothing."""
        if earlier is None or earlier.hostname != self.hostname:
            return self
        return Addresses(self.hostname, {**earlier.services, **self.services}, self.problems)

    def report(self) -> dict[str, Any]:
        """For the status: the name, and by service the address and the rule that chose it."""
        chosen = {name: {"ip": choice.ip, "rule": choice.rule} for name, choice in sorted(self.services.items())}
        return {"hostname": self.hostname, "addresses": chosen}

    @classmethod
    def reported(cls, report: Mapping[str, Any]) -> Addresses | None:
        """What `report` gave, if there was anything."""
        chosen = {name: Choice(item["ip"], item["rule"]) for name, item in report["addresses"].items()}
        return cls(report["hostname"], chosen) if report["hostname"] else None


def find_addresses(config: Mapping[str, Any]) -> Addresses:
    """The name and the addresses to announce. It asks the resolver where the configuration does not say, so it may block.

    Raises `LighthouseError` when the name cannot be known.
    """
    hostname = config["hostname"] or own_name()
    found: dict[str, Choice] = {}
    problems = []
    wanted = {item["name"]: tuple(item["advertise"] or config["advertise"]) for item in config["services"]}
    for rules in dict.fromkeys(wanted.values()):
        names = [name for name, own in wanted.items() if own == rules]
        try:
            choice = choose(rules, _interfaces(rules)) if rules else _of_name(hostname)
        except LighthouseError as error:
            problems.append(f"{', '.join(names)} cannot be announced: {error}")
        else:
            found |= dict.fromkeys(names, choice)
    return Addresses(hostname, found, tuple(problems))


def announcements(
    config: Mapping[str, Any], states: Mapping[str, Mapping[str, str]], addresses: Addresses
) -> list[Announcement]:
    """One announcement per port.

    A port whose state nobody told, or whose address is not known, is held: what stands stays, and nothing is made.
    """
    made = []
    for item in config["services"]:
        choice = addresses.services.get(item["name"])
        ip = choice.ip if choice else NO_ADDRESS
        service = Service(
            name=item["name"],
            ports=tuple(item["ports"]),
            discovery=config["name"],
            host=item["host"],
            metadata=item["metadata"],
            hostname=addresses.hostname,
            ip=ip,
        )
        told = states.get(service.name, {})
        for port in service.ports:
            wanted = _wanted(told.get(str(port), Wanted.HOLD.value))
            if choice is None:
                wanted = _WITHOUT_ADDRESS.get(wanted, wanted)
            peer = Peer(addresses.hostname, ip)
            node = Node(addresses.hostname, ip, port, service.metadata, peer, leaving=wanted is Wanted.LEAVING)
            made.append(Announcement(service, port, wanted, node))
    return made


def announced(done: Sequence[Announcement], states: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """What has become of each port, by service: ``up``, ``leaving``, ``hold``, ``down``, or ``withdrawn`` if it is down by will."""
    found: dict[str, dict[str, str]] = {}
    for item in done:
        name, port = item.service.name, str(item.port)
        by_will = item.wanted is Wanted.DOWN and states.get(name, {}).get(port) == WITHDRAWN
        found.setdefault(name, {})[port] = WITHDRAWN if by_will else item.wanted.value
    return found


def _wanted(state: str) -> Wanted:
    return Wanted.LEAVING if state == WITHDRAWN else Wanted(state)


def _of_name(hostname: str) -> Choice:
    """The address of this host's name, as lighthouse 1.0 found it; an IPv6 one where there is no other."""
    try:
        found = [str(item[4][0]) for item in socket.getaddrinfo(hostname, None, type=socket.SOCK_STREAM)]
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise LighthouseError(f"the address of {hostname} is not known ({reason}): {_REMEDY}") from error
    good = [ip for ip in found if usable(ip)]
    if not good:
        raise LighthouseError(
            f"{hostname} is {', '.join(dict.fromkeys(found))}, where no other host reaches this one: {_REMEDY}"
        )
    return Choice(min(good, key=lambda ip: ":" in ip), f"the address of {hostname}")


def _interfaces(rules: Sequence[str]) -> Interfaces:
    """The addresses of this host, if a rule needs them. Raises `LighthouseError`."""
    if not needs_interfaces(rules):
        return {}
    import psutil  # only the hosts that ask for it pay for it

    try:
        found = psutil.net_if_addrs()
    except OSError as error:
        raise LighthouseError(f"the addresses of this host cannot be read: {error.strerror}") from error
    families = (socket.AF_INET, socket.AF_INET6)
    return {name: [item.address for item in items if item.family in families] for name, items in found.items()}
