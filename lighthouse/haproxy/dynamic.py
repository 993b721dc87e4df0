"""Which backends take servers at run time, and the commands that put one in.

Measured on 2.6.12: ``add server`` is refused for a backend without a dynamic balancing algorithm and for servers with a cookie,
and it ignores ``default-server`` lines (haproxy#1994), so these are expanded into the command. A weight other than 0 or the one
that the server was declared with is refused where the algorithm is not dynamic. A server of the file is checked by TLS and with a
PROXY header if it gets its traffic so, one that was added in plain text (2.6 to 3.4), so that too is said in the command.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from lighthouse.haproxy.keywords import Keywords, keywords_in
from lighthouse.haproxy.member import UNSET, Member
from lighthouse.haproxy.stanzas.lines import cookie_line, has, setting, uncommented
from lighthouse.haproxy.stanzas.section import COOKIE, RANK, Section

_ALWAYS = ("roundrobin", "leastconn", "random", "first")  # "random" may carry a number: random(2)
_PROXY = ("send-proxy", "send-proxy-v2", "send-proxy-v2-ssl", "send-proxy-v2-ssl-cn")
# What ``add server`` refuses in each version from 2.6 to 3.4 that knows it; ``enabled`` since 3.0 (each was tried).
_FILE_ONLY = frozenset(
    (
        *("cc", "check-sni-auto", "enabled", "init-addr", "log-bufsize", "log-proto", "max-reuse", "namespace"),
        *(
            "no-agent-check",
            "no-check",
            "no-check-reuse-pool",
            "no-check-send-proxy",
            "no-check-ssl",
            "no-send-proxy-v2-ssl",
        ),
        *("no-send-proxy-v2-ssl-cn", "no-ssl", "non-stick", "quic-cc-algo", "redir", "resolve-net", "resolve-opts"),
        *("resolve-prefer", "resolvers", "sni-auto", "socks4", "ssl-reuse", "stick", "tcp-md5sig", "tcp-ut"),
    )
)
# Read otherwise on the socket than in the file: quotes, separators, variables, payloads.
_SPECIAL = frozenset("\"'\\;#$<")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a backend's members are put in at run time. ``obstacle`` says why they cannot be as servers of their own.

    ``fixed`` says why weights cannot change; ``weight``, ``maxconn`` (0: none), ``backup`` and ``ssl`` are those of the options,
    None where a variable may hold them, or where HAProxy derives the limit. ``follows`` tells whether servers may be down that
    nothing checks.
    """

    arguments: str = ""
    checked: bool = False
    agent: bool = False
    disabled: bool = False
    obstacle: str | None = None
    fixed: str | None = None
    weight: int | None = 1
    maxconn: int | None = 0
    backup: bool | None = False
    ssl: bool | None = None
    follows: bool = False

    def add(self, backend: str, member: Member, number: int | None) -> tuple[str, ...]:
        """The commands for one member. HAProxy creates it disabled and unchecked, and refuses an id that another server has."""
        server = f"{backend}/{member.name}"
        given = "" if number is None else f"id {number}"
        parts = ("add server", server, member.address, given, self.arguments, member.keywords)
        commands = [" ".join(part for part in parts if part)]
        if self.checked:
            commands.append(f"enable health {server}")
        if self.agent:
            commands.append(f"enable agent {server}")
        if not self.disabled:
            commands.append(f"enable server {server}")
        return tuple(commands)

    def weight_of(self, member: Member) -> int | None:
        """The weight that a member should have; None that the file alone tells."""
        return self.weight if member.weight == UNSET else member.weight

    def maxconn_of(self, member: Member) -> int | None:
        """The most connections at a time that a member should get; 0 is no limit, None that the file alone tells."""
        return self.maxconn if member.maxconn == UNSET else member.maxconn

    def backup_of(self, member: Member) -> bool | None:
        """Whether a member should be a backup; None that the file alone tells."""
        return True if member.backup else self.backup


def recipe(section: Section, defaults: Sequence[str]) -> Recipe:
    """The recipe for a backend, given the lines of ``defaults`` that it inherits."""
    return _recipe(section.lines, section.template or "", tuple(defaults))


@lru_cache(maxsize=8192)  # asked for every backend at every sync, and the lines hardly change
def _recipe(lines: tuple[str, ...], template: str, defaults: tuple[str, ...]) -> Recipe:
    own = template.removeprefix(RANK).removeprefix(COOKIE).strip()
    arguments = " ".join((*_default_server(defaults), *_default_server(lines), own))
    keywords = keywords_in(arguments)
    fixed, varies = _fixed((*defaults, *lines)), "$" in arguments
    return Recipe(
        arguments=" ".join((*arguments.split(), *_inherited(keywords))),
        checked=keywords.last("check", "no-check"),
        agent=keywords.last("agent-check", "no-agent-check"),
        disabled=keywords.last("disabled", "enabled"),
        obstacle=_obstacle(lines, defaults, arguments, keywords) or fixed,
        fixed=fixed,
        weight=None if varies else _number(keywords, "weight", 1),
        maxconn=None if varies or "minconn" in keywords else _number(keywords, "maxconn", 0),
        backup=None if varies else keywords.last("backup", "no-backup"),
        ssl=None if varies else keywords.last("ssl", "no-ssl"),
        follows="track" in keywords or "init-state" in keywords,
    )


def _inherited(keywords: Keywords) -> Iterator[str]:
    """What the check of a server of the file takes over from its traffic, unless it goes to another port or address."""
    if not keywords.last("check", "no-check") or "port" in keywords or "addr" in keywords:
        return
    if keywords.last("ssl", "no-ssl") and "check-ssl" not in keywords:
        yield "check-ssl"
    if any(keywords.last(word, f"no-{word}") for word in _PROXY) and "check-send-proxy" not in keywords:
        yield "check-send-proxy"


def _obstacle(lines: Sequence[str], defaults: Sequence[str], arguments: str, keywords: Keywords) -> str | None:
    if cookie_line(lines, defaults) or "cookie" in keywords:
        return "its servers carry a cookie"
    if _SPECIAL & set(arguments):
        return "its server options hold quotes or other special characters"
    refused = next((keyword for keyword, _ in keywords.found if keyword in _FILE_ONLY), None)
    return refused and f"its server options hold `{refused}`"


def _fixed(lines: Sequence[str]) -> str | None:
    balance = setting(lines, "balance") or "roundrobin"
    if balance.startswith(_ALWAYS):
        return None
    if balance != "static-rr" and setting(lines, "hash-type") == "consistent":
        return None
    return f"`balance {balance}` has a fixed map of servers"


def _default_server(lines: Sequence[str]) -> list[str]:
    found = (uncommented(line).split(None, 1)[1:] for line in lines if has((line,), "default-server"))
    return [arguments for line in found for arguments in line]


def _number(keywords: Keywords, key: str, default: int) -> int | None:
    """The number behind a keyword; None if HAProxy may read it otherwise."""
    if key not in keywords:
        return default
    value = keywords.value(key) or ""
    return int(value) if value.isascii() and value.isdecimal() else None
