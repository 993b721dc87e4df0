"""Which backends take servers at run time, and the commands that put one in.

Measured on 2.6.12: ``add server`` is refused for a backend without a dynamic balancing algorithm and for servers with a cookie,
and it ignores ``default-server`` lines (haproxy#1994), so these are expanded into the command.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lighthouse.haproxy.member import Member
from lighthouse.haproxy.stanzas.section import COOKIE, Section, has

_ALWAYS = ("roundrobin", "leastconn", "random", "first")  # "random" may carry a number: random(2)
_SPECIAL = frozenset(
    "\"'\\;#$<"
)  # read otherwise on the socket than in the file: quotes, separators, variables, payloads


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a backend's members are put in at run time. ``obstacle`` says why they cannot be; the rest is of no use then."""

    arguments: str = ""
    checked: bool = False
    agent: bool = False
    disabled: bool = False
    obstacle: str | None = None

    def add(self, backend: str, member: Member) -> tuple[str, ...]:
        """The commands for one member. HAProxy creates it disabled and unchecked."""
        server = f"{backend}/{member.name}"
        commands = [f"add server {server} {member.address} {self.arguments}".rstrip()]
        if self.checked:
            commands.append(f"enable health {server}")
        if self.agent:
            commands.append(f"enable agent {server}")
        if not self.disabled:
            commands.append(f"enable server {server}")
        return tuple(commands)


def recipe(section: Section, defaults: Sequence[str]) -> Recipe:
    """The recipe for a backend, given the lines of ``defaults`` that it inherits."""
    template = section.template or ""
    arguments = " ".join((*_default_server(defaults), *_default_server(section.lines), template)).strip()
    words = arguments.split()
    return Recipe(
        arguments=arguments,
        checked=_last(words, "check", "no-check"),
        agent=_last(words, "agent-check", "no-agent-check"),
        disabled=_last(words, "disabled", "enabled"),
        obstacle=_obstacle(section, defaults, arguments),
    )


def _obstacle(section: Section, defaults: Sequence[str], arguments: str) -> str | None:
    if (section.template or "").startswith(COOKIE):
        return "its servers carry a cookie"
    if _SPECIAL & set(arguments):
        return "its server options hold quotes or other special characters"
    balance = _setting((*defaults, *section.lines), "balance") or "roundrobin"
    if balance.startswith(_ALWAYS):
        return None
    if balance != "static-rr" and _setting((*defaults, *section.lines), "hash-type") == "consistent":
        return None
    return f"`balance {balance}` has a fixed map of servers"


def _setting(lines: Sequence[str], word: str) -> str | None:
    """The argument of the last line that begins with `word`."""
    found = [line.split()[1] for line in lines if has((line,), word) and len(line.split()) > 1]
    return found[-1] if found else None


def _default_server(lines: Sequence[str]) -> list[str]:
    return [line.split(None, 1)[1] for line in lines if has((line,), "default-server") and len(line.split()) > 1]


def _last(words: Sequence[str], yes: str, no: str) -> bool:
    """Whether the last of two opposite keywords is `yes`."""
    said = [word for word in words if word in (yes, no)]
    return bool(said) and said[-1] == yes
