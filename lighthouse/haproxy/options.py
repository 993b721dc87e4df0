"""What ``balancers/haproxy.yaml`` and a cluster's ``haproxy`` key may say, checked, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

from lighthouse.cluster import Cluster
from lighthouse.errors import ConfigError
from lighthouse.exact import same
from lighthouse.haproxy import fields, listeners
from lighthouse.haproxy.listeners import MetaOptions, ProxyOptions, StatsOptions
from lighthouse.haproxy.stanzas.lines import one_line, uncommented, user_lines
from lighthouse.identity import shown
from lighthouse.options import Option

# An address of a UNIX socket holds 107 bytes, and HAProxy first binds "<path>.<pid>.tmp" (the pid has up to seven digits).
MAX_SOCKET_PATH = 95

OPTIONS: Mapping[str, Option] = {
    "owner": Option(
        Literal["lighthouse", "service"],
        "whose HAProxy it is: Lighthouse starts it, or a service does and includes our file",
        "lighthouse",
    ),
    "config_file": Option(str, "absolute path of the configuration file that is written for HAProxy"),
    "socket_file": Option(str, "absolute path of HAProxy's stats socket"),
    "socket_options": Option(str, "bind options of the stats socket that say who may use it", "mode 600"),
    "pid_file": Option(str, "absolute path of the file in which HAProxy writes its process id", ""),
    "master_socket_file": Option(
        str, "absolute path of the socket of HAProxy's master process; empty means `<socket_file>.master`", ""
    ),
    "reload_command": Option(
        str | list[str], "the command that reloads the HAProxy of a service; empty means by its master socket", ""
    ),
    "base_files": Option(
        list[str], "the files that the HAProxy of a service reads before ours, to judge them together", []
    ),
    "global": Option(list[str], "lines of the section `global`", []),
    "defaults": Option(list[str], "lines of the section `defaults`; missing timeouts are added", []),
    "bind_address": Option(
        str, "address on which the ports of clusters listen; empty or `*` means every IPv4 address", "localhost"
    ),
    "stats": Option(dict[str, Any] | None, "the stats page: port, uri, bind_address, timeouts", None),
    "proxies": Option(
        dict[str, Any] | None, "ports that are forwarded to servers outside of any cluster, by name", None
    ),
    "meta_clusters": Option(dict[str, Any] | None, "ports that are dealt to clusters by their `acl`, by name", None),
    "meta_cluster_ports": Option(dict[str, Any] | None, "the port of each meta cluster; an older form", None),
    "local_peer": Option(str, "the name of this host among peers; empty means the full host name", ""),
    "local_peer_address": Option(
        str, "the address on which this host listens to its peers; empty means that of the full host name", ""
    ),
    "restart_interval": Option(float, "seconds that lie between two reloads of HAProxy at least", 2.0, 0, 3600),
    "max_old_workers": Option(
        int, "no reload while so many old HAProxy processes still serve their last connections", 5, 1, 1000
    ),
    "drain_timeout": Option(
        float,
        "seconds that the connections of a leaving server have to end by themselves before they are closed",
        60.0,
        0,
        86400,
    ),
    "binary": Option(str, "the HAProxy program: a name that is looked up in PATH, or an absolute path", "haproxy"),
}

CLUSTER_OPTIONS: Mapping[str, Option] = {
    "port": Option(
        int | None, "local port on which applications reach the cluster; none means no frontend", None, 1, 65535
    ),
    "frontend": Option(list[str], "lines of the cluster's `frontend`", []),
    "backend": Option(list[str], "lines of the cluster's `backend`", []),
    "server_options": Option(
        str, "what follows the address in each `server` line; a comment at its end is dropped", ""
    ),
    "acl": Option(
        str, "which requests to the meta cluster are for this cluster: an ACL of HAProxy without its name", ""
    ),
    "peers": Option(
        bool | int,
        "whether the HAProxys of the cluster's hosts share stick tables; a number gives all the same port",
        False,
    ),
    "server_metadata": Option(
        list[Literal["weight", "backup", "maxconn"]],
        "which server options a node may set by its metadata: weight (0 to 256), backup (true or false), maxconn (from 1)",
        [],
    ),
}


class Owner(Enum):
    """Who starts and ends HAProxy: we do, or a service, into whose configuration our file is included."""

    LIGHTHOUSE = "lighthouse"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class HAProxySettings:
    """``balancers/haproxy.yaml``. Without a ``master_socket_file`` HAProxy is reloaded by its ``reload_command``."""

    config_file: str
    socket_file: str
    pid_file: str
    master_socket_file: str
    global_lines: tuple[str, ...] = ()
    defaults: tuple[str, ...] = ()
    bind_address: str = "localhost"
    stats: StatsOptions | None = None
    proxies: tuple[ProxyOptions, ...] = ()
    meta_clusters: tuple[MetaOptions, ...] = ()
    local_peer: str = ""
    local_peer_address: str = ""
    binary: str = "haproxy"
    restart_interval: float = 2.0
    max_old_workers: int = 5
    drain_timeout: float = 60.0
    owner: Owner = Owner.LIGHTHOUSE
    socket_options: str = "mode 600"
    reload_command: tuple[str, ...] = ()
    base_files: tuple[str, ...] = ()

    @classmethod
    def from_mapping(cls, config: Mapping[str, Any]) -> HAProxySettings:
        """Check `config` and fill in defaults. Raises `ConfigError`."""
        value = {key: config.get(key, option.default) for key, option in OPTIONS.items()}
        owner = Owner(value["owner"])
        socket_file = fields.path(value["socket_file"], ("socket_file",), MAX_SOCKET_PATH)
        master = value["master_socket_file"] or ("" if owner is Owner.SERVICE else f"{socket_file}.master")
        settings = cls(
            config_file=fields.path(value["config_file"], ("config_file",)),
            socket_file=socket_file,
            pid_file=value["pid_file"] and fields.path(value["pid_file"], ("pid_file",)),
            master_socket_file=master and fields.path(master, ("master_socket_file",), MAX_SOCKET_PATH),
            global_lines=user_lines(value["global"], ("global",)),
            defaults=user_lines(value["defaults"], ("defaults",)),
            bind_address=fields.bind_address(value["bind_address"], ("bind_address",)),
            stats=listeners.stats_of(value),
            proxies=listeners.proxies_of(value),
            meta_clusters=listeners.meta_clusters_of(value),
            local_peer=value["local_peer"] and fields.host(value["local_peer"], ("local_peer",)),
            local_peer_address=value["local_peer_address"]
            and fields.address(value["local_peer_address"], ("local_peer_address",)),
            binary=one_line(value["binary"], ("binary",)) or "haproxy",
            restart_interval=value["restart_interval"],
            max_old_workers=value["max_old_workers"],
            drain_timeout=value["drain_timeout"],
            owner=owner,
            socket_options=one_line(value["socket_options"], ("socket_options",)).strip(),
            reload_command=fields.command(value["reload_command"], ("reload_command",)),
            base_files=tuple(fields.path(path, ("base_files",)) for path in value["base_files"]),
        )
        settings.check_owner()
        settings.check_distinct()
        listeners.check_apart(settings.stats, settings.proxies, settings.meta_clusters, settings.bind_address)
        return settings

    def check_owner(self) -> None:
        """Refuse what does not fit the owner. Raises `ConfigError`."""
        if self.owner is Owner.LIGHTHOUSE:
            if not self.pid_file:
                raise ConfigError("pid_file is required: give an absolute path", ("pid_file",))
            for key in ("reload_command", "base_files"):
                if getattr(self, key):
                    raise ConfigError(
                        f"{key} is for an HAProxy of a service: add `owner: service`, or remove it", (key,)
                    )
            return
        if self.pid_file:
            raise ConfigError("pid_file is the service's own business: remove it, or `owner: service`", ("pid_file",))
        if not self.reload_command and not self.master_socket_file:
            raise ConfigError(
                "with `owner: service` give master_socket_file (its `-S`), or else reload_command",
                ("master_socket_file",),
            )

    def check_distinct(self) -> None:
        """Refuse one path for two purposes. Raises `ConfigError`."""
        paths = (self.config_file, self.socket_file, self.pid_file, self.master_socket_file, *self.base_files)
        given = list(filter(None, paths))
        if len(set(given)) < len(given):
            raise ConfigError(
                "config_file, socket_file, master_socket_file, pid_file and base_files must be different paths"
            )


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """A cluster's ``haproxy`` key."""

    port: int | None = None
    frontend: tuple[str, ...] = ()
    backend: tuple[str, ...] = ()
    server_options: str = ""
    acl: str = ""
    peers: bool | int = False
    server_metadata: tuple[str, ...] = ()

    @classmethod
    def from_mapping(cls, config: Mapping[str, Any]) -> ClusterOptions:
        """Check `config` and fill in defaults. Raises `ConfigError`."""
        value = {key: config.get(key, option.default) for key, option in CLUSTER_OPTIONS.items()}
        return cls(
            port=_port(value["port"]),
            frontend=user_lines(value["frontend"], ("frontend",)),
            backend=user_lines(value["backend"], ("backend",)),
            server_options=uncommented(one_line(value["server_options"], ("server_options",)).strip()),
            acl=one_line(value["acl"], ("acl",)).strip(),
            peers=value["peers"] if isinstance(value["peers"], bool) else fields.port(value["peers"], ("peers",)),
            server_metadata=tuple(value["server_metadata"]),
        )

    @classmethod
    def of(cls, cluster: Cluster) -> ClusterOptions:
        """What `cluster` says; read once, since the same clusters come back at every sync. Raises `ConfigError`."""
        config = cluster.options
        known = _read.get(cluster.name)
        if known is None or not same(known[0], config):
            known = _read[cluster.name] = (config, cls.from_mapping(config))
        return known[1]


_read: dict[str, tuple[Mapping[str, Any], ClusterOptions]] = {}


def _port(value: Any) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 < value < 65536):
        return value
    raise ConfigError(f"port {shown(value)} must be a number from 1 to 65535", ("port",))
