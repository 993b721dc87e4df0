"""From what should run and what runs to the lines of a plan for people. Pure.

A line that the operator wrote is named by its keyword and never shown: it may hold a password.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterator, Sequence

from lighthouse.haproxy.aims import astray
from lighthouse.haproxy.binds import is_literal
from lighthouse.haproxy.change import Kind, Step
from lighthouse.haproxy.config import Desired
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.limits import changed_limits
from lighthouse.haproxy.member import Member
from lighthouse.haproxy.planner import Plan, rest
from lighthouse.haproxy.repair import paused, shut_down
from lighthouse.haproxy.running import Running, Server
from lighthouse.haproxy.stanzas.lines import defines
from lighthouse.haproxy.stanzas.section import Section
from lighthouse.haproxy.upstreams import moves, stranded
from lighthouse.preview import Effect, Way

# Behind these words a second one belongs to the keyword, or is a name or an address.
_TWO = frozenset(
    (
        *("timeout", "option", "no", "stats", "bind", "acl", "use_backend", "default_backend", "peer", "tune"),
        *("http-request", "http-response", "http-after-response", "tcp-request", "tcp-response"),
    )
)


def at_run_time(todo: Plan, document: Document) -> Iterator[Effect]:
    """The steps of a plan for `document`, and what blocks others."""
    sections = document.backends()
    for step in todo.steps:
        what = _step(step, sections[step.backend])
        if what:
            yield Effect(Way.RUNTIME, f"backend {step.backend}", what)
    for backend, reason in todo.blocked.items():
        yield Effect(Way.RELOAD, f"backend {backend}", reason.removeprefix(f"backend {backend}: "))


def passing(todo: Plan) -> Iterator[str]:
    """What goes on or waits whatever the configuration says."""
    leaving = {(step.backend, step.server) for step in todo.steps if step.kind is Kind.LEAVE}
    for step in todo.steps:
        if step.kind in (Kind.DELETE, Kind.FREE) and (step.backend, step.server) not in leaving:
            yield f"backend {step.backend}: server {step.server} is leaving already and goes when its last connection ends"
    for backend, members in todo.waiting.items():
        for member, reason in members.items():
            yield f"backend {backend}: server {member}: {reason}"


def shadowed(desired: Desired, running: Running | None) -> Iterator[str]:
    """The members that get nothing, because a server of the operator's own lines has their name and another address.

    Where that is a host name, what runs tells it.
    """
    sections = desired.document.backends()
    for cluster, members in desired.shadowed.items():
        have = running.servers.get(cluster, {}) if running else {}
        for name, member in members.items():
            if _is_elsewhere(_address_of(sections[cluster], name), member, have.get(name)):
                yield (
                    f"cluster {cluster}: node {name} is not taken: a line `server` of the cluster's own `backend` has its name "
                    f"and another address: remove that line, or give its server another name"
                )


def _address_of(section: Section, server: str) -> str:
    words = next((line.split() for line in section.lines if defines(line, server)), [])
    return "".join(words[2:3])


def _is_elsewhere(address: str, member: Member, server: Server | None) -> bool:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if is_literal(host):
        return (ipaddress.ip_address(host), port) != (ipaddress.ip_address(member.ip), str(member.port))
    return server is not None and server.address != (member.ip, member.port)


def repaired(document: Document, running: Running, *, shared: bool) -> Iterator[Effect]:
    """What others did to limits, to sections that listen and to where checks go, and where names have other addresses.

    ``global`` may be `shared` with HAProxy's owner.
    """
    for what, command in changed_limits(document, running, shared=shared):
        yield Effect(Way.RUNTIME, "haproxy", f"{command}, because {what}")
    for name in paused(document, running):
        yield Effect(Way.RUNTIME, f"frontend {name}", "enable, because it was disabled at HAProxy's socket")
    for proxy, server, ip in moves(document, running):
        yield Effect(Way.RUNTIME, f"listen {proxy}", f"change server {server}: addr {ip}")
    for name, why in shut_down(document, running).items():
        yield Effect(Way.RELOAD, f"frontend {name}", why)
    for where, why in astray(document, running).items():
        yield Effect(Way.RELOAD, f"backend {where.partition('/')[0]}", why)
    for path, why in stranded(document, running).items():
        yield Effect(Way.RELOAD, f"listen {path.partition('/')[0]}", why)


def of_shape(wanted: Document, running: Document | None) -> Iterator[Effect]:
    """What needs a reload, section by section."""
    if running is None:
        yield Effect(Way.RELOAD, "haproxy", "it runs a configuration that is not ours or not the one on disk")
        return
    if wanted.skeleton == running.skeleton:
        return
    new, old = ({item.header: item for item in document.sections} for document in (wanted, running))
    found = [Effect(Way.RELOAD, header, f"is new{_size(new[header])}") for header in new if header not in old]
    found += [Effect(Way.RELOAD, header, "is gone") for header in old if header not in new]
    for header in new:
        if header in old and (what := "; ".join(_differences(new[header], old[header]))):
            found.append(Effect(Way.RELOAD, header, what))
    yield from found or [Effect(Way.RELOAD, "haproxy", rest(wanted, running))]


def of_start(wanted: Document, why: str) -> Iterator[Effect]:
    """What a start brings."""
    yield Effect(Way.START, "haproxy", why)
    for section in wanted.sections:
        if section.header not in ("global", "defaults"):
            binds = [_keyword(line) for line in section.lines if line.startswith("bind ")]
            yield Effect(Way.START, section.header, ", ".join(binds) or _size(section).removeprefix(", with "))


def _step(step: Step, section: Section) -> str | None:
    member = next((item for item in section.members if item.server == step.server), None)
    path = f"{step.backend}/{step.server}"
    slot = f" in {step.server}" if step.server in section.slots else ""
    name = member.name if member else step.server
    match step.kind:
        case Kind.JOIN if member:
            return f"add server {name} {member.address}{slot}"
        case Kind.CHANGE:
            told = (command.replace(f" server {path}", "").removeprefix("set ") for command in step.commands)
            return f"change server {name}{slot}: {', '.join(told)}"
        case Kind.READY:
            return f"enable server {name}{slot}"
        case Kind.LEAVE if step.server in section.held:
            return f"disable server {name}: it has left, and its line stays, because others name it"
        case Kind.LEAVE:
            return f"remove server {name} once its connections have ended"
    return None


def _differences(new: Section, old: Section) -> Iterator[str]:
    now, before = Counter(new.lasting), Counter(old.lasting)
    added, removed = (list(map(_keyword, (one - other).elements())) for one, other in ((now, before), (before, now)))
    for word in dict.fromkeys((*removed, *added)):
        if word in added and word in removed:
            yield f"{word} changed"
        else:
            yield f"{word} {'added' if word in added else 'removed'}"
    if not added and not removed and new.lasting != old.lasting:
        yield "the order of its lines changed"
    if new.template != old.template:
        yield "the server options changed"
    if len(new.slots) != len(old.slots):
        yield f"it needs {len(new.slots)} slots for its members" if new.slots else "it needs no slots any more"


def _keyword(line: str) -> str:
    words: Sequence[str] = line.split()
    return " ".join(words[: 2 if words and words[0] in _TWO else 1])


def _size(section: Section) -> str:
    if section.template is None:
        return ""
    count = len(section.members)
    return f", with {count} server{'' if count == 1 else 's'}"
