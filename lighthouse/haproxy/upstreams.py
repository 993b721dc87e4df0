"""Which addresses the servers of proxies have whose hosts are names. Pure.

The one in force stays while the resolver has it among others, so that a name with several addresses changes nothing, and as long
as there is no answer, for ever. Else it is the lowest of that family which libc puts first. A server that never had an address has
none: it is down, and all else goes on.

HAProxy takes another address at run time, but none for a server that was loaded without (it answers *only supported through
configuration file*, and 2.6 then takes the server for up): the first one is a reload. Where the operator's lines name
``resolvers``, HAProxy itself follows the name, and what it has found is in force.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address

from lighthouse.haproxy.document import Document
from lighthouse.haproxy.listeners import ProxyOptions
from lighthouse.haproxy.running import Running
from lighthouse.haproxy.stanzas.section import Section
from lighthouse.haproxy.stanzas.upstream import address_in, unresolved

Addresses = Mapping[str, Mapping[str, str | None]]
"""By proxy and server; None for a server that has none."""

_HEADER = "listen "


def names_in(proxies: Sequence[ProxyOptions]) -> Iterator[str]:
    """The hosts that are names."""
    return (upstream.host for proxy in proxies for upstream in proxy.upstreams if upstream.is_name)


def addresses_for(
    proxies: Sequence[ProxyOptions],
    defaults: Sequence[str],
    answers: Mapping[str, Sequence[str]],
    documents: Sequence[Document],
    running: Running | None,
) -> Addresses:
    """The addresses that servers should have, given the resolver's answers by host, and what is on disk and runs."""
    if next(names_in(proxies), None) is None:
        return {}
    history = _History(documents, running)

    def address(proxy: ProxyOptions, server: str, host: str) -> str | None:
        said = answers.get(host, ())
        if _is_followed(defaults) or _is_followed(proxy.options):
            return history.running(proxy.name, server) or chosen(said, history.of(proxy.name, server))
        return chosen(said, history.of(proxy.name, server))

    return {
        proxy.name: {item.server: address(proxy, item.server, item.host) for item in proxy.upstreams if item.is_name}
        for proxy in proxies
    }


def chosen(answers: Sequence[str], in_force: Sequence[str]) -> str | None:
    """One of the resolver's `answers`; of what is or was `in_force` the surest comes first."""
    if not answers:
        return next(iter(in_force), None)
    kept = (ip for ip in in_force if ip in answers)
    family = (ip for ip in answers if (":" in ip) == (":" in answers[0]))
    return next(kept, None) or min(family, key=ip_address)


def readdressed(section: Section, wanted: Document) -> Section:
    """A proxy with the addresses of `wanted`, where both have the same server; any other section as it is."""
    proxy = wanted.section(section.header) if section.header.startswith(_HEADER) else None
    if proxy is None:
        return section
    new = {unresolved(line): line for line in proxy.lines}
    lines = tuple(new.get(unresolved(line), line) for line in section.lines)
    return section if lines == section.lines else replace(section, lines=lines)


def moves(document: Document, running: Running) -> Iterator[tuple[str, str, str]]:
    """Proxy, server and address where HAProxy has another address, which it changes at run time."""
    return ((proxy, server, ip) for proxy, server, ip, now in _differing(document, running) if _is_address(now))


def stranded(document: Document, running: Running) -> dict[str, str]:
    """What needs a reload, in words: servers that were loaded without an address and have one now."""
    return {
        f"{proxy}/{server}": f"server {server} of proxy {proxy} gets its first address"
        for proxy, server, _, now in _differing(document, running)
        if not _is_address(now)
    }


def _differing(document: Document, running: Running) -> Iterator[tuple[str, str, str, str]]:
    for proxy, server, ip in _addresses_in(document):
        now = running.servers.get(proxy, {}).get(server)
        if now is not None and ip is not None and now.ip != ip:
            yield proxy, server, ip, now.ip


def _addresses_in(document: Document) -> Iterator[tuple[str, str, str | None]]:
    for section in document.sections:
        if section.header.startswith(_HEADER):
            for line in section.lines:
                if (found := address_in(line)) is not None:
                    yield section.header.removeprefix(_HEADER), *found


def _is_address(text: str) -> bool:
    """HAProxy writes ``-`` where there is none."""
    try:
        return not ip_address(text).is_unspecified
    except ValueError:
        return False


def _is_followed(lines: Sequence[str]) -> bool:
    return any({"default-server", "resolvers"} <= set(line.split()) for line in lines)


class _History:
    """The addresses that servers had."""

    def __init__(self, documents: Sequence[Document], running: Running | None) -> None:
        self._running = running
        self._in_force: dict[tuple[str, str], str] = {}
        self._older: dict[tuple[str, str], str] = {}
        for document in documents:
            is_loaded = running is not None and document.skeleton == running.skeleton
            found = self._in_force if is_loaded else self._older
            for proxy, server, ip in _addresses_in(document):
                if ip is not None:
                    found.setdefault((proxy, server), ip)

    def running(self, proxy: str, server: str) -> str | None:
        """That which HAProxy has."""
        found = self._running.servers.get(proxy, {}).get(server) if self._running else None
        return found.ip if found and _is_address(found.ip) else None

    def of(self, proxy: str, server: str) -> list[str]:
        """Those of a server: in the file that is loaded, in HAProxy, in another file, and then of its host in any proxy."""
        own = proxy, server
        host = server.rpartition(":")[0]
        known = (*self._in_force.items(), *self._older.items())
        namesakes = (ip for (_, other), ip in known if other.rpartition(":")[0] == host)
        found = (self._in_force.get(own), self.running(*own), self._older.get(own), *namesakes)
        return [ip for ip in found if ip is not None]
