"""What this host wants announced: from the services' configuration and their states to nodes."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lighthouse.discovery import Announcement, Wanted
from lighthouse.errors import LighthouseError
from lighthouse.node import Node
from lighthouse.peer import Peer
from lighthouse.service import Service


@dataclass(frozen=True, slots=True)
class Address:
    """Under which name and address this host announces."""

    hostname: str
    ip: str


def find_address(config: Mapping[str, Any]) -> Address:
    """The name and address to announce; asks the resolver where the configuration does not say, so it may block."""
    hostname = config["hostname"] or socket.getfqdn()
    try:
        return Address(hostname, config["advertise"] or socket.gethostbyname(hostname))
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise LighthouseError(
            f"the address of {hostname} is not known ({reason}), so nothing new is announced: "
            "set `advertise` in lighthouse.yaml"
        ) from error


def announcements(
    config: Mapping[str, Any], states: Mapping[str, Mapping[str, str]], address: Address
) -> list[Announcement]:
    """One announcement per port. A port whose state nobody told is held: what stands stays, and nothing is made."""
    made = []
    for item in config["services"]:
        service = Service(
            name=item["name"],
            ports=tuple(item["ports"]),
            discovery=config["name"],
            host=item["host"],
            metadata=item["metadata"],
            hostname=address.hostname,
            ip=address.ip,
        )
        told = states.get(service.name, {})
        for port in service.ports:
            peer = Peer(address.hostname, address.ip)
            node = Node(address.hostname, address.ip, port, service.metadata, peer)
            made.append(Announcement(service, port, Wanted(told.get(str(port), Wanted.HOLD.value)), node))
    return made
