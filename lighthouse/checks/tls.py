"""TLS for the checks that can use it: the same keys for all, and one handshake under the check's deadline.

A certificate is verified where there is something to verify it by. A check asks an own service, mostly at an address such as
127.0.0.1, which no certificate names: so the default is not to.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lighthouse.checks.deadline import Deadline
from lighthouse.errors import ConfigError, NodeError, ResourceError
from lighthouse.identity import shown, valid_host
from lighthouse.options import Option

if TYPE_CHECKING:
    import socket
    import ssl

TLS_OPTIONS: Mapping[str, Option] = {
    "verify": Option(
        bool | None, "verify the certificate; the default is to do so where `ca_file` is given", default=None
    ),
    "ca_file": Option(
        str | None, "absolute path of the CA certificates (PEM) to verify by; without: the system's", default=None
    ),
    "server_name": Option(str | None, "the name to ask for (SNI) and to verify; without: `host`", default=None),
    "certificate_file": Option(str | None, "absolute path of the client's certificate (PEM)", default=None),
    "key_file": Option(
        str | None, "absolute path of the client's key (PEM), if not in `certificate_file`", default=None
    ),
}
_FILES = ("ca_file", "certificate_file", "key_file")


@dataclass(frozen=True, slots=True)
class TLS:
    """What a check's configuration says of TLS."""

    verify: bool = False
    ca_file: str | None = None
    server_name: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None

    def secured(self, sock: socket.socket, host: str, deadline: Deadline) -> socket.socket:
        """The socket after a handshake. Raises `OSError`, and `ResourceError` when an own file cannot be used.

        `sock` itself is left detached, and closed where there is no return.
        """
        try:
            secure = self._context().wrap_socket(
                sock, server_hostname=self.server_name or host, do_handshake_on_connect=False
            )
        except BaseException:
            sock.close()
            raise
        try:
            # The handshake is one call: its timeout bounds all of it, however the other side's bytes drip in.
            secure.settimeout(deadline.remaining())
            secure.do_handshake()
        except BaseException:
            secure.close()
            raise
        return secure

    def _context(self) -> ssl.SSLContext:
        """One context per process, configuration and version of the files: each costs memory that stays."""
        files = tuple(_version(key, path) for key in _FILES if (path := getattr(self, key)))
        known = _contexts.get(self)
        if known is None or known[0] != files:
            known = _contexts[self] = files, self._made()
        return known[1]

    def _made(self) -> ssl.SSLContext:
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = self.verify
        context.verify_mode = ssl.CERT_REQUIRED if self.verify else ssl.CERT_NONE
        if self.ca_file:
            _use("ca_file", self.ca_file, partial(context.load_verify_locations, self.ca_file))
        elif self.verify:
            context.load_default_certs()
        if self.certificate_file:
            load = partial(context.load_cert_chain, self.certificate_file, self.key_file, _no_password)
            _use("certificate_file", self.certificate_file, load)
        return context


_contexts: dict[TLS, tuple[tuple[Any, ...], ssl.SSLContext]] = {}


def check_tls(config: Mapping[str, Any], switch: str) -> None:
    """Judge the keys of `TLS_OPTIONS`; `switch` is the key that turns TLS on. Raises `ConfigError`.

    Whether the files are there is a matter of the moment in which they are used: they may be mounted, or renewed, later.
    """
    given = [key for key in TLS_OPTIONS if config.get(key) is not None]
    if given and not config.get(switch):
        raise ConfigError(f"has no effect without `{switch}: true`: add that, or remove it", (given[0],))
    for key in _FILES:
        path = config.get(key)
        if path is not None and (not path.startswith("/") or "\0" in path):
            raise ConfigError(f"{shown(path)}: must be an absolute path", (key,))
    if config.get("verify") is False and config.get("ca_file") is not None:
        raise ConfigError("is given although `verify` is false: remove one of them", ("ca_file",))
    if config.get("key_file") is not None and config.get("certificate_file") is None:
        raise ConfigError("is given without `certificate_file`: add the certificate that belongs to it", ("key_file",))
    name = config.get("server_name")
    if name is not None:
        try:
            valid_host(name)
        except NodeError:
            raise ConfigError(f"{shown(name)}: not a host name: correct it", ("server_name",)) from None


def tls_of(config: Mapping[str, Any], switch: str) -> TLS | None:
    """The TLS of a judged configuration; None where it is off."""
    if not config.get(switch):
        return None
    values = {key: config.get(key) for key in TLS_OPTIONS}
    verify = values.pop("verify")
    return TLS(verify=bool(values["ca_file"]) if verify is None else verify, **values)


def _version(key: str, path: str) -> tuple[int, int, int]:
    try:
        found = Path(path).stat()
    except OSError as error:
        raise _unusable(key, path, error.strerror or "cannot be read") from None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _use(key: str, path: str, load: Callable[[], None]) -> None:
    try:
        load()
    except OSError as error:  # an SSLError is one
        raise _unusable(key, path, error.strerror or "not a certificate in PEM") from None


def _unusable(key: str, path: str, why: str) -> ResourceError:
    return ResourceError(f"{key}: {shown(path, 200)}: {why}: put a PEM file there, readable for uid {os.getuid()}")


def _no_password() -> str:
    """Instead of a question on the terminal."""
    raise ResourceError("key_file: the key is encrypted: give one that is not, readable for Lighthouse alone")
