"""Where the checks and agents of servers go: what their options say, against what runs. Pure.

A server has four values of its own for that, whether it is of the file or was added, and they stay as they are when it gets another
address (measured on 2.6, 3.0 and 3.2). HAProxy takes others at run time, but not none again, so only a reload puts them right.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address

from lighthouse.haproxy.arrange import defaults_of
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.dynamic import recipe
from lighthouse.haproxy.keywords import keywords_in
from lighthouse.haproxy.running import Running
from lighthouse.haproxy.versions import takes_servers


def astray(document: Document, running: Running) -> dict[str, str]:
    """The servers of `document`, which runs, whose checks go elsewhere, in words; those left out for which that cannot be told."""
    if running.stopping or not takes_servers(running.version):
        return {}
    defaults = defaults_of(document)
    found: dict[str, str] = {}
    for backend, section in document.backends().items():
        aim = aim_of(recipe(section, defaults).arguments)
        have = running.servers.get(backend, {})
        for name in section.slots or [member.server for member in section.members]:
            if aim is not None and name in have and have[name].checked != aim:
                found |= elsewhere(backend, name)
    return found


def elsewhere(backend: str, server: str) -> dict[str, str]:
    """That the check of a server goes elsewhere, in words."""
    where = f"{backend}/{server}"
    return {where: f"the check of {where} was sent elsewhere at HAProxy's socket"}


@lru_cache(maxsize=8192)  # asked for every backend at every whole reconciliation, and the options hardly change
def aim_of(arguments: str) -> tuple[str, ...] | None:
    """Port and address of the check, address and port of the agent, as HAProxy tells them of a server with these options.

    None where these are no plain numbers and IPv4 addresses.
    """
    keywords = keywords_in(arguments)
    port, address = keywords.value("port") or "0", keywords.value("addr") or "-"
    agent = keywords.value("agent-addr") or address, keywords.value("agent-port") or port
    if not all(item.isdecimal() and item == str(int(item)) for item in (port, agent[1])):
        return None
    return (port, address, *agent) if _are_plain((address, agent[0])) else None


def _are_plain(addresses: Sequence[str]) -> bool:
    try:
        return all(item == "-" or str(IPv4Address(item)) == item for item in addresses)
    except ValueError:
        return False
