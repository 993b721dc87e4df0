"""What ``balancers/haproxy.yaml`` says of listeners that are no cluster's own: meta clusters, proxies, the stats page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lighthouse.errors import ConfigError, NodeError
from lighthouse.haproxy import fields
from lighthouse.haproxy.addresses import Claims, spots
from lighthouse.haproxy.stanzas.lines import one_line
from lighthouse.identity import shown, valid_ip
from lighthouse.options import Key, mapping

STATS = "stats"  # the name of the stats page's section
TIMEOUTS = ("client", "connect", "server")
MAX_MILLISECONDS = 2**31 - 1  # the longest time that HAProxy takes, about 24 days


@dataclass(frozen=True, slots=True)
class StatsOptions:
    """The stats page. ``timeouts`` are pairs of name and milliseconds."""

    port: int
    uri: str = "/"
    bind_address: str = "*"
    timeouts: tuple[tuple[str, int], ...] = ()

    @classmethod
    def from_mapping(cls, config: Any, key: Key = (STATS,)) -> StatsOptions:
        """Check `config`. Raises `ConfigError`."""
        config = mapping(config, key, ("port", "uri", "timeouts", "bind_address"), ["port"])
        timeouts = mapping(config.get("timeouts", {}), (*key, "timeouts"), TIMEOUTS)
        return cls(
            port=fields.port(config["port"], (*key, "port")),
            uri=_uri(config.get("uri", "/"), (*key, "uri")),
            bind_address=fields.bind_address(config.get("bind_address", "*"), (*key, "bind_address")),
            timeouts=tuple(
                (name, fields.number(timeouts[name], (*key, "timeouts", name), 1, MAX_MILLISECONDS))
                for name in TIMEOUTS
                if name in timeouts
            ),
        )


@dataclass(frozen=True, slots=True)
class Upstream:
    """A server that a proxy forwards to."""

    host: str
    port: int
    max_conn: int | None = None

    @property
    def server(self) -> str:
        """What the server is called."""
        return f"{self.host}:{self.port}"

    @property
    def is_name(self) -> bool:
        """Whether the host is a name, for which a resolver must be asked."""
        try:
            valid_ip(self.host)
        except NodeError:
            return True
        return False

    @classmethod
    def from_mapping(cls, config: Any, key: Key = ()) -> Upstream:
        """Check `config`. Raises `ConfigError`."""
        config = mapping(config, key, ("host", "port", "max_conn"), ("host", "port"))
        most = config.get("max_conn")
        return cls(
            host=fields.host(config["host"], (*key, "host")),
            port=fields.port(config["port"], (*key, "port")),
            max_conn=None if most is None else fields.number(most, (*key, "max_conn"), 0, 2**31 - 1),
        )


@dataclass(frozen=True, slots=True)
class ProxyOptions:
    """A port that is forwarded to servers which no registry knows."""

    name: str
    port: int
    upstreams: tuple[Upstream, ...]
    bind_address: str = "localhost"
    options: tuple[str, ...] = ()

    @classmethod
    def from_mapping(cls, name: str, config: Any, key: Key) -> ProxyOptions:
        """Check `config`. Raises `ConfigError`."""
        known = ("port", "upstreams", "bind_address", "options")
        config = mapping(config, key, known, ("port", "upstreams"))
        upstreams, place = config["upstreams"], (*key, "upstreams")
        if not isinstance(upstreams, list) or not upstreams:
            raise ConfigError("expected a list of upstreams, each with host and port", place)
        proxy = cls(
            name=name,
            port=fields.port(config["port"], (*key, "port")),
            upstreams=tuple(Upstream.from_mapping(item, (*place, index)) for index, item in enumerate(upstreams)),
            bind_address=fields.bind_address(config.get("bind_address", "localhost"), (*key, "bind_address")),
            options=fields.lines(config.get("options", []), (*key, "options")),
        )
        seen: set[tuple[str, int]] = set()
        for index, item in enumerate(proxy.upstreams):
            if (item.host, item.port) in seen:
                raise ConfigError(f"{item.host}:{item.port} is listed twice: remove one", (*place, index))
            seen.add((item.host, item.port))
        return proxy


@dataclass(frozen=True, slots=True)
class MetaOptions:
    """A port whose requests are dealt to clusters by their ``acl``."""

    name: str
    port: int
    frontend: tuple[str, ...] = ()


def stats_of(config: Mapping[str, Any]) -> StatsOptions | None:
    """The key ``stats``. Raises `ConfigError`."""
    found = config.get("stats")
    return None if found is None else StatsOptions.from_mapping(found)


def proxies_of(config: Mapping[str, Any]) -> tuple[ProxyOptions, ...]:
    """The key ``proxies``, in the order of names. Raises `ConfigError`."""
    found = fields.named(config.get("proxies") or {}, ("proxies",))
    return tuple(ProxyOptions.from_mapping(name, found[name], ("proxies", name)) for name in sorted(found))


def meta_clusters_of(config: Mapping[str, Any]) -> tuple[MetaOptions, ...]:
    """The keys ``meta_clusters`` and ``meta_cluster_ports`` together, in the order of names. Raises `ConfigError`."""
    found = fields.named(config.get("meta_clusters") or {}, ("meta_clusters",))
    ports = fields.named(config.get("meta_cluster_ports") or {}, ("meta_cluster_ports",))
    return tuple(_meta(name, found.get(name) or {}, ports.get(name)) for name in sorted({*found, *ports}))


def _meta(name: str, config: Any, older: Any) -> MetaOptions:
    key: Key = ("meta_clusters", name)
    if older is not None:
        fields.port(older, ("meta_cluster_ports", name))
    config = mapping(config, key, ("port", "frontend"))
    port = config.get("port", older)
    if port is None:
        raise ConfigError(f"port is missing: meta cluster {name} needs one to listen on", (*key, "port"))
    if older is not None and older != port:
        text = f"port {shown(older)} is another than in meta_clusters: keep one of them"
        raise ConfigError(text, ("meta_cluster_ports", name))
    return MetaOptions(
        name, fields.port(port, (*key, "port")), fields.lines(config.get("frontend", []), (*key, "frontend"))
    )


def check_apart(
    stats: StatsOptions | None, proxies: tuple[ProxyOptions, ...], metas: tuple[MetaOptions, ...], bind_address: str
) -> None:
    """Refuse two listeners of one name, or on one port of one address. Raises `ConfigError`."""
    names: dict[str, str] = {}
    claims = Claims()
    for kind, name, address, port, key in _listeners(stats, proxies, metas, bind_address):
        if other := names.get(name):
            raise ConfigError(f"{kind} {name} has the name of {other}: rename one of them", key)
        names[name] = f"the {kind}"
        for spot in spots(address, port):
            if owner := next(claims.owners(*spot), None):
                raise ConfigError(f"port {port} belongs to {owner}: choose another", (*key, "port"))
            claims.add(*spot, f"{kind} {name}")


def _listeners(
    stats: StatsOptions | None, proxies: tuple[ProxyOptions, ...], metas: tuple[MetaOptions, ...], bind_address: str
) -> Iterator[tuple[str, str, str, int, Key]]:
    if stats:
        yield "page", STATS, stats.bind_address, stats.port, ("stats",)
    for meta in metas:
        yield "meta cluster", meta.name, bind_address, meta.port, ("meta_clusters", meta.name)
    for proxy in proxies:
        yield "proxy", proxy.name, proxy.bind_address, proxy.port, ("proxies", proxy.name)


def _uri(value: Any, key: Key) -> str:
    if not isinstance(value, str) or not value.startswith("/") or not value.isascii() or len(value.split()) != 1:
        raise ConfigError(f"uri {shown(value)} must be a path that begins with `/` and holds no space", key)
    if set(value) & set("\"'\\#$"):
        raise ConfigError(f"uri {shown(value)} must not hold quotes, backslashes, `#` or `$`", key)
    return one_line(value, key)
