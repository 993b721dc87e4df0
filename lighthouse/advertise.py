"""Under which address this host announces: rules, and the choice among the host's addresses. Pure.

A rule is one text of `advertise`:

    192.0.2.17, 2001:db8::17     that address, as it stands; somebody wrote it, so a loopback address is taken too
    10.0.0.0/8, 2001:db8::/32    the first address of this host in that network
    eth0, eth0:inet6             the first IPv4 (IPv6) address of that interface
    eth0[1], eth0:inet6[1]       its second one; counting begins at 0
    inet, inet6                  the first IPv4 (IPv6) address of any interface

The words are those of ContainerPilot's ``interfaces``. What is found, rather than written, must be of use to other hosts: loopback,
unspecified, multicast and link-local addresses are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from lighthouse.errors import ConfigError, LighthouseError
from lighthouse.identity import shown

Address = IPv4Address | IPv6Address
Interfaces = Mapping[str, Sequence[str]]
"""The addresses of each interface, in the order of the kernel."""

_FAMILIES = {"inet": 4, "inet6": 6}
_INTERFACE = re.compile(r"(?P<name>[^\s/:\[\]]{1,15})(?::(?P<family>inet6?))?(?:\[(?P<index>\d{1,3})\])?")  # IFNAMSIZ


@dataclass(frozen=True, slots=True)
class Choice:
    """An address, and the rule by which it was chosen, in words."""

    ip: str
    rule: str


@dataclass(frozen=True, slots=True)
class _Literal:
    address: Address


@dataclass(frozen=True, slots=True)
class _Network:
    network: IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class _Interface:
    name: str | None  # None: any
    family: int
    index: int


_Rule = _Literal | _Network | _Interface


def rules_of(advertise: str | Sequence[str] | None) -> list[str]:
    """The rules of a key `advertise`, the first to be tried first."""
    return [advertise] if isinstance(advertise, str) else list(advertise or ())


def wrong(advertise: str | Sequence[str] | None) -> Iterator[tuple[tuple[int, ...], str]]:
    """What is wrong with a key `advertise`: the place within it, and the remedy."""
    if advertise is not None and not rules_of(advertise):
        yield (), "empty: list at least one rule, or remove the key"
    for index, text in enumerate(rules_of(advertise)):
        try:
            _parsed(text)
        except ConfigError as error:
            yield () if isinstance(advertise, str) else (index,), str(error)


def needs_interfaces(rules: Iterable[str]) -> bool:
    """Whether the host's addresses have to be known for the choice."""
    return any(not isinstance(_parsed(text), _Literal) for text in rules)


def choose(rules: Sequence[str], interfaces: Interfaces) -> Choice:
    """The address by the first rule that gives one. Raises `LighthouseError` when none does."""
    for text in rules:
        address = _found(_parsed(text), interfaces)
        if address is not None:
            return Choice(str(address), text)
    raise LighthouseError(
        f"no address of this host fits advertise {', '.join(map(shown, rules))}: it has {_listed(interfaces)}"
    )


def usable(text: str) -> bool:
    """Whether an address that was found, rather than written by somebody, is one under which other hosts reach this one."""
    address = _address(text)
    return address is not None and _usable(address)


def _parsed(text: str) -> _Rule:
    if text in _FAMILIES:
        return _Interface(None, _FAMILIES[text], 0)
    address = _address(text)
    if address is not None:
        if address.is_unspecified or address.is_multicast:
            raise ConfigError("no address of one host: give one under which other hosts reach this one")
        return _Literal(address)
    if "/" in text:
        try:
            return _Network(ip_network(text, strict=False))
        except ValueError:
            raise ConfigError("not a network: write it as 10.0.0.0/8 or 2001:db8::/32") from None
    match = _INTERFACE.fullmatch(text)
    if match is None or match["name"] in (".", ".."):
        raise ConfigError(
            "neither an address, a network, `inet`, `inet6` nor an interface such as eth0 or eth0:inet6[1]"
        )
    return _Interface(match["name"], _FAMILIES[match["family"] or "inet"], int(match["index"] or 0))


def _found(rule: _Rule, interfaces: Interfaces) -> Address | None:
    if isinstance(rule, _Literal):
        return rule.address
    if isinstance(rule, _Network):
        return next((item for item in _of(interfaces) if item in rule.network), None)
    fit = [item for item in _of(interfaces, rule.name) if item.version == rule.family]
    return fit[rule.index] if rule.index < len(fit) else None


def _of(interfaces: Interfaces, name: str | None = None) -> list[Address]:
    """The usable addresses of one interface, or of all."""
    texts = interfaces.get(name, ()) if name is not None else [text for found in interfaces.values() for text in found]
    return [item for text in texts if (item := _address(text)) is not None and _usable(item)]


def _address(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return None if getattr(address, "scope_id", None) else address  # it means something on this host only


def _usable(address: Address) -> bool:
    return not (address.is_loopback or address.is_unspecified or address.is_multicast or address.is_link_local)


def _listed(interfaces: Interfaces) -> str:
    found = [f"{name}: {', '.join(map(str, _of(interfaces, name)))}" for name in interfaces if _of(interfaces, name)]
    return "; ".join(found) or "none that other hosts could reach"
