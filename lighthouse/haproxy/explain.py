"""What HAProxy itself says, right now, of the servers of one backend."""

from __future__ import annotations

from typing import Any

from lighthouse.errors import BalancerError
from lighthouse.haproxy.deadline import Deadline
from lighthouse.haproxy.document import loaded
from lighthouse.haproxy.errors import NotRunningError
from lighthouse.haproxy.stanzas.section import Section
from lighthouse.haproxy.tools import Tools

GLANCE = 0.2  # seconds


def is_absent(tools: Tools) -> bool:
    """Whether HAProxy certainly does not run: nothing listens at its socket, and no process has our files. Reads ``/proc``."""
    try:
        tools.control.running(Deadline(GLANCE))
    except NotRunningError:
        return not tools.process.find()
    except BalancerError:
        return False
    return False


def explained(tools: Tools, backend: str, deadline: Deadline) -> dict[str, dict[str, Any]]:
    """By node, or by server where no node is known for it: see `lighthouse.balancer.Balancer.explain`.

    Raises `lighthouse.errors.BalancerError`.
    """
    running = tools.control.running(deadline)
    running = tools.control.details(running, deadline, [backend])
    documents = filter(None, [tools.memory.ran, *tools.file.documents()])  # a file that is refused for now is behind
    document = loaded(documents, running.skeleton)
    section = document.backends().get(backend) if document else None
    members = {member.server: member for member in section.members} if section else {}
    here = {member.name for member in members.values()}
    found: dict[str, dict[str, Any]] = {}
    for name, server in running.servers.get(backend, {}).items():
        member = members.get(name)
        left = None if member else tools.drain.node((backend, name))
        node = member.name if member else name if left is None or left in here or left in found else left
        found[node] = {
            "server": name,
            "line": _line(section, name),
            "address": server.place,
            "state": server.state,
            "since": server.since,
            "weight": server.weight,
            "sessions": server.sessions,
            "member": member is not None,
            "own": section is not None and section.is_pinned(name),
        }
    return found


def _line(section: Section | None, server: str) -> str | None:
    """The server's line in the configuration file, if it has one."""
    if section is None:
        return None
    opening = f"\tserver {server} "
    return next((line.strip() for line in section.text() if line.startswith(opening)), None)
