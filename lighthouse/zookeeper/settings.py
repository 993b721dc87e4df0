"""The configuration file of the plugin: its options, their judgement, and the value that the rest works with."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

from lighthouse.errors import ConfigError
from lighthouse.identity import shown
from lighthouse.options import Key, Option, mapping
from lighthouse.secrets import SecretSource, check_secret, secret_source
from lighthouse.zookeeper import hosts
from lighthouse.zookeeper.hosts import Server
from lighthouse.zookeeper.paths import checked

Format = Literal["lighthouse", "nerve"]

OPTIONS: Mapping[str, Option] = {
    "hosts": Option(
        list[str] | str, "the servers, as a list of host:port; a path after the last one stands before all others"
    ),
    "path": Option(str, "the path under which services are announced, e.g. /lighthouse/services"),
    "session_timeout": Option(
        float,
        "seconds without a sign of life after which ZooKeeper drops this host's announcements; the servers may bound it",
        20.0,
        minimum=1.0,
        maximum=3600.0,
    ),
    "resync": Option(
        float, "seconds between two comparisons with what the watches told", 60.0, minimum=1.0, maximum=86400.0
    ),
    "format": Option(Format, "the record that is written: lighthouse or nerve; both are read", "lighthouse"),
    "auth": Option(dict[str, Any] | None, "who this host is to ZooKeeper: scheme, user, password_file", None),
    "acl": Option(list[dict[str, Any]] | None, "who may do what with the announcements", None),
    "tls": Option(dict[str, Any] | None, "TLS to the servers: ca, certificate, key, verify", None),
}

PERMISSIONS = {"read": 1, "write": 2, "create": 4, "delete": 8, "admin": 16}
ALL = 31
MAKER = PERMISSIONS["create"] | PERMISSIONS["delete"]  # without them nobody can announce below a znode
MECHANISMS = ("DIGEST-MD5", "GSSAPI")
VERIFY = ("full", "chain", "none")


@dataclass(frozen=True, slots=True)
class Access:
    """One entry of an ACL; `permissions` is ZooKeeper's bit set."""

    scheme: str
    id: str
    permissions: int


OPEN = (Access("world", "anyone", ALL),)


@dataclass(frozen=True, slots=True)
class Auth:
    """Who we are. The password is read for each connection that is built anew, and kept nowhere."""

    scheme: str
    user: str = ""
    password: SecretSource | None = None
    mechanism: str = ""
    service: str = "zookeeper"
    principal: str = ""


@dataclass(frozen=True, slots=True)
class Tls:
    """How to speak TLS; paths, of which the empty one is none. ``verify`` is one of `VERIFY`."""

    ca: str = ""
    certificate: str = ""
    key: str = ""
    key_password: SecretSource | None = None
    verify: str = "full"


@dataclass(frozen=True, slots=True)
class Settings:
    """All of the file. ``base`` is the chroot and the path together: services are below it."""

    servers: tuple[Server, ...]
    base: str
    session_timeout: float = 20.0
    resync: float = 60.0
    format: Format = "lighthouse"
    auth: Auth | None = None
    acl: tuple[Access, ...] = OPEN
    tls: Tls | None = None

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> Settings:
        """Raises `ConfigError`. No secret is read."""
        servers, chroot = hosts.parse(config["hosts"])
        try:
            path = checked(config["path"])
        except ValueError as error:
            raise ConfigError(f"path: {error}", ("path",)) from None
        if not config["path"].startswith("/"):
            raise ConfigError("path: must begin with '/'", ("path",))
        acl, auth, tls = config.get("acl"), config.get("auth"), config.get("tls")
        return cls(
            servers,
            chroot + path,
            float(config.get("session_timeout", 20.0)),
            float(config.get("resync", 60.0)),
            config.get("format", "lighthouse"),
            None if auth is None else _auth(auth),
            OPEN if acl is None else _acl(acl, auth),
            None if tls is None else _tls(tls),
        )

    def same_connection(self, other: Settings) -> bool:
        """Whether a connection made for the one serves the other, apart from its servers."""
        return (self.session_timeout, self.auth, self.tls) == (other.session_timeout, other.auth, other.tls)


def _text(config: Mapping[str, Any], name: str, key: Key, default: str = "") -> str:
    value = config.get(name, default)
    if not isinstance(value, str) or not value.isprintable():
        raise ConfigError(f"{name} {shown(value)} must be text", (*key, name))
    return value


def _secret(config: Mapping[str, Any], name: str, key: Key) -> SecretSource | None:
    for part in (f"{name}_file", f"{name}_env"):
        if not isinstance(config.get(part, ""), str):
            raise ConfigError(f"{part} must be text", (*key, part))
    try:
        check_secret(config, name)
    except ConfigError as error:
        raise ConfigError(str(error), (*key, *error.key)) from None
    return secret_source(config, name)


def _auth(config: Any) -> Auth:
    known = ("scheme", "user", "password_file", "password_env", "mechanism", "service", "principal")
    if isinstance(config, Mapping) and "password" in config:
        raise ConfigError("a password does not belong here: name password_file or password_env", ("auth", "password"))
    config = mapping(config, ("auth",), known, ["scheme"])
    scheme = config["scheme"]
    if scheme not in ("digest", "sasl"):
        raise ConfigError(f"scheme {shown(scheme)} is not known: digest or sasl", ("auth", "scheme"))
    mechanism = _text(config, "mechanism", ("auth",), "DIGEST-MD5" if scheme == "sasl" else "")
    auth = Auth(
        scheme,
        _text(config, "user", ("auth",)),
        _secret(config, "password", ("auth",)),
        mechanism,
        _text(config, "service", ("auth",), "zookeeper"),
        _text(config, "principal", ("auth",)),
    )
    if scheme == "digest" and (mechanism or "service" in config or auth.principal):
        raise ConfigError("mechanism, service and principal are for the scheme sasl: remove them", ("auth",))
    if scheme == "sasl":
        _judge_sasl(auth)
    if mechanism != "GSSAPI" and (not auth.user or ":" in auth.user or auth.password is None):
        raise ConfigError("give user, without a colon, and password_file or password_env", ("auth",))
    return auth


def _judge_sasl(auth: Auth) -> None:
    if auth.mechanism not in MECHANISMS:
        raise ConfigError(
            f"mechanism {shown(auth.mechanism)} is not one of {', '.join(MECHANISMS)}", ("auth", "mechanism")
        )
    if find_spec("puresasl") is None:
        raise ConfigError("SASL needs the library pure-sasl: pip install 'lighthouse[sasl]'", ("auth", "scheme"))


def _acl(entries: Any, auth: Any) -> tuple[Access, ...]:
    if not isinstance(entries, list) or not entries:
        raise ConfigError("give at least one entry, or remove the key", ("acl",))
    found = tuple(_access(entry, ("acl", index)) for index, entry in enumerate(entries))
    if auth is None and any(access.scheme == "auth" for access in found):
        raise ConfigError("the scheme auth means the own identity: give `auth` too", ("acl",))
    if not any(access.permissions & MAKER == MAKER for access in found):
        raise ConfigError(
            "by this nobody could announce below what this host makes, nor undo it: give somebody create and delete, "
            "such as {scheme: auth, permissions: all}",
            ("acl",),
        )
    return found


def _access(entry: Any, key: Key) -> Access:
    entry = mapping(entry, key, ("scheme", "id", "permissions"), ["scheme", "permissions"])
    scheme, identity = _text(entry, "scheme", key), _text(entry, "id", key)
    if scheme == "world":
        identity = identity or "anyone"
    if scheme not in ("world", "auth", "digest", "sasl", "ip", "x509"):
        raise ConfigError(f"scheme {shown(scheme)} is not one of world, auth, digest, sasl, ip, x509", (*key, "scheme"))
    if (scheme == "world" and identity != "anyone") or (scheme == "auth") is bool(identity):
        raise ConfigError("give an id where the scheme is not world or auth, and none where it is", (*key, "id"))
    if scheme == "digest" and not _is_digest(identity):
        raise ConfigError("the id of a digest is user:hash, with the Base64 of a SHA-1, never a password", (*key, "id"))
    return Access(scheme, identity, _permissions(entry["permissions"], (*key, "permissions")))


def _is_digest(identity: str) -> bool:
    try:
        return len(base64.b64decode(identity.partition(":")[2], validate=True)) == 20
    except binascii.Error:
        return False


def _permissions(value: Any, key: Key) -> int:
    if value == "all":
        return ALL
    if isinstance(value, list) and value and all(isinstance(item, str) and item in PERMISSIONS for item in value):
        return sum(PERMISSIONS[item] for item in set(value))
    raise ConfigError(f"permissions must be all, or a list of {', '.join(PERMISSIONS)}", key)


def _tls(config: Any) -> Tls:
    known = ("ca", "certificate", "key", "key_password_file", "key_password_env", "verify")
    config = mapping(config, ("tls",), known)
    verify = config.get("verify", "full")
    if verify not in VERIFY:
        raise ConfigError(f"verify {shown(verify)} is not one of {', '.join(VERIFY)}", ("tls", "verify"))
    paths = {name: _text(config, name, ("tls",)) for name in ("ca", "certificate", "key")}
    for name, path in paths.items():
        if path and not path.startswith("/"):
            raise ConfigError(f"{name} {shown(path)} must be an absolute path", ("tls", name))
    if bool(paths["key"]) and not paths["certificate"]:
        raise ConfigError("key without certificate: give both", ("tls", "key"))
    return Tls(paths["ca"], paths["certificate"], paths["key"], _secret(config, "key_password", ("tls",)), verify)
