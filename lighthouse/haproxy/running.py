"""What HAProxy says about itself, parsed: pure, by the names of columns, so that columns of newer versions do no harm.

The formats are those of the management guide of HAProxy 2.6 (``show servers state``, ``show info``).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from operator import itemgetter

from lighthouse.errors import BalancerError
from lighthouse.haproxy.frontends import Frontend
from lighthouse.haproxy.stat import rows_of


class Admin(IntEnum):
    """Bits of ``srv_admin_state``."""

    FORCED_MAINT = 0x01
    INHERITED_MAINT = 0x02
    CONFIGURED_MAINT = 0x04
    FORCED_DRAIN = 0x08
    INHERITED_DRAIN = 0x10
    UNRESOLVED = 0x20


class Checking(IntEnum):
    """Bits of ``srv_check_state`` and ``srv_agent_state``."""

    CONFIGURED = 0x02
    ENABLED = 0x04


# CONFIGURED_MAINT only tells that the file says ``disabled``: it stays when the server is enabled at run time.
_MAINT = Admin.FORCED_MAINT | Admin.INHERITED_MAINT | Admin.UNRESOLVED
_DRAIN = Admin.FORCED_DRAIN | Admin.INHERITED_DRAIN
_NO_MORE = (0, 3)  # of ``srv_op_state``: down, stopping
_OPERATIONAL = {0: "down", 1: "up", 2: "up", 3: "drain"}


@dataclass(frozen=True, slots=True)
class Server:
    """One server as it runs. ``admin`` holds bits of `Admin`, ``check`` and ``agent`` bits of `Checking`.

    ``initial`` is the weight it was declared with, ``since`` the seconds since it last went up or down, ``id`` its number in its
    backend. ``sessions``, ``maxconn`` (0: no limit) and ``backup`` are what `Sockets.details` read last, None if it did not.
    ``checked`` holds the ports and addresses of its own that its check and its agent use; ``ssl`` tells whether it is reached by
    TLS (None: HAProxy does not say). ``said`` is what was read.
    """

    ip: str
    port: int
    operational: int = 2
    admin: int = 0
    weight: int = 1
    check: int = 0
    agent: int = 0
    initial: int = field(default=1, compare=False)
    since: int = field(default=0, compare=False)
    id: int = field(default=0, compare=False)
    sessions: int | None = None
    maxconn: int | None = None
    backup: bool | None = None
    checked: tuple[str, ...] = ()
    ssl: bool | None = None
    said: tuple[str, ...] = field(default=(), compare=False, repr=False)

    @property
    def address(self) -> tuple[str, int]:
        """Where it is reached."""
        return self.ip, self.port

    @property
    def place(self) -> str:
        """The same for people, IPv6 in brackets."""
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"

    @property
    def in_maintenance(self) -> bool:
        """Whether someone, Lighthouse as a rule, put it into maintenance."""
        return bool(self.admin & Admin.FORCED_MAINT)

    @property
    def is_put_down(self) -> bool:
        """Whether it is down, or stopping, and has no check or agent that said so: somebody did, or a server that it tracks."""
        watched = (self.check | self.agent) & Checking.CONFIGURED
        return self.operational in _NO_MORE and not watched and not self.admin & _MAINT

    @property
    def state(self) -> str:
        """``up``, ``down``, ``maint`` or ``drain``."""
        if self.admin & _MAINT:
            return "maint"
        if self.admin & _DRAIN or (self.weight == 0 and self.operational):
            return "drain"
        return _OPERATIONAL.get(self.operational, "down")


Servers = Mapping[str, Mapping[str, Server]]


@dataclass(frozen=True, slots=True)
class Running:
    """What runs: the hash of its skeleton (None: not ours), version, process, and the servers of each backend.

    ``uptime`` is that of the worker, in whole seconds: since the last start or reload. ``ids`` are HAProxy's numbers of backends,
    ``limit`` is that of its connections and ``hard`` that with which it began, ``rates`` are those of `lighthouse.haproxy.limits`.
    A worker that is ``stopping`` has been replaced and serves its last connections.
    """

    skeleton: str | None
    version: str = ""
    pid: int = 0
    servers: Servers = field(default_factory=dict)
    uptime: int = 0
    ids: Mapping[str, str] = field(default_factory=dict)
    stopping: bool = False
    frontends: Mapping[str, Frontend] = field(default_factory=dict)
    limit: int = 0
    hard: int = 0
    rates: tuple[int | None, ...] = ()


def parse_env(text: str, variable: str) -> str | None:
    """The value in the answer to ``show env NAME``; None if it is not set."""
    for line in text.split("\n"):
        name, equals, value = line.partition("=")
        if name == variable and equals:
            return value.strip()
    return None


def parse_info(text: str) -> dict[str, str]:
    """``show info``: what stands before and after the first colon of each line."""
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in text.split("\n")) if _}


def parse_version(text: str) -> str:
    """The plain number of a version such as ``2.6.12-1+deb12u4``."""
    match = re.match(r"\d+(\.\d+)*", text)
    return match[0] if match else text


def parse_servers_state(text: str, before: Servers | None = None) -> dict[str, dict[str, Server]]:
    """``show servers state``. Raises `BalancerError` if it is not of that format.

    `before`: servers of the same process; one at work of which nothing else is said now is the same object, details included.
    """
    lines = text.split("\n")
    header = next((line for line in lines if line.startswith("# ")), "")
    column = {name: index for index, name in enumerate(header[2:].split())}
    try:
        order = [*(column[name] for name in _COLUMNS), *(column[name] for name in (*_CHECKED, _SSL) if name in column)]
        extra = [column.get(name) for name in _EXTRA]
        return _servers(lines, itemgetter(*order), extra, before or {}, tells_ssl=_SSL in column)
    except (KeyError, ValueError, IndexError) as error:
        raise BalancerError(f"HAProxy's answer to `show servers state` cannot be read: {error!r}") from None


_COLUMNS = (
    *("be_name", "srv_name", "srv_addr", "srv_port", "srv_op_state", "srv_admin_state"),
    *("srv_uweight", "srv_check_state", "srv_agent_state", "srv_id"),
)
_CHECKED = ("srv_check_port", "srv_check_addr", "srv_agent_addr", "srv_agent_port")
_SSL = "srv_use_ssl"  # -1 is ``no-ssl`` behind ``ssl``
_NONE: Mapping[str, Server] = {}
_EXTRA = ("srv_iweight", "srv_time_since_last_change")


def _servers(
    lines: list[str],
    chosen: Callable[[list[str]], tuple[str, ...]],
    extra: list[int | None],
    before: Servers,
    *,
    tells_ssl: bool,
) -> dict[str, dict[str, Server]]:
    result: dict[str, dict[str, Server]] = {}
    for line in lines[1:]:
        if not line or line.startswith("#"):
            continue
        fields = line.split(" ")
        said = chosen(fields)
        known = before.get(said[0], _NONE).get(said[1])
        if known is None or known.said != said or known.admin:  # in maintenance it counts how long
            port, operational, admin, weight, check, agent, number = map(int, said[3:10])
            initial, since = (0 if index is None else int(fields[index]) for index in extra)
            known = Server(
                *(canonical(said[2]), port, operational, admin, weight, check, agent, initial, since, number),
                checked=said[10:-1] if tells_ssl else said[10:],
                ssl=int(said[-1]) > 0 if tells_ssl else None,
                said=said,
            )
        result.setdefault(said[0], {})[said[1]] = known
    return result


def parse_ids(text: str) -> dict[str, str]:
    """HAProxy's number of each backend that has servers, from ``show servers state``: a frontend may have the same name."""
    rows = (line.split(" ", 2) for line in text.split("\n")[1:] if line and not line.startswith("#"))
    return {row[1]: row[0] for row in rows if len(row) > 1}


Details = tuple[int, int, bool]
"""Sessions, limit of sessions (0: none) and whether it is a backup."""


def parse_stat(text: str) -> dict[str, dict[str, Details]]:
    """``show stat ID 4 -1``: the details of each server, by its backend. Raises `BalancerError` if it is not of that format."""
    found: dict[str, dict[str, Details]] = {}

    def read(backend: str, name: str, now: str, limit: str, backup: str) -> tuple[str, str, Details]:
        return backend, name, (int(now or 0), int(limit or 0), backup == "1")

    for backend, name, details in rows_of(text, ("pxname", "svname", "scur", "slim", "bck"), read):
        found.setdefault(backend, {})[name] = details
    return found


def with_details(servers: Mapping[str, Server], details: Mapping[str, Details]) -> dict[str, Server]:
    """The same servers with what `parse_stat` tells of them; one of which it is known already is the same object."""
    result = dict(servers)
    for name, server in servers.items():
        found = details.get(name)
        if found is not None and (server.sessions, server.maxconn, server.backup) != found:
            sessions, maxconn, backup = found
            result[name] = replace(server, sessions=sessions, maxconn=maxconn, backup=backup)
    return result


def kept(servers: Mapping[str, Server], before: Mapping[str, Server]) -> dict[str, Server]:
    """The same; one that is as it was `before` is the object that it was, by which that is told at once."""
    return {
        name: old if (old := before.get(name)) is not server and old == server else server
        for name, server in servers.items()
    }


def canonical(address: str) -> str:
    """An address in the spelling of `lighthouse.identity.valid_ip`; HAProxy's own differs for some IPv6 addresses only."""
    if ":" not in address:
        return address
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address
