"""Who we are to ZooKeeper, and TLS. Secrets are read when a connection is made, and kept no longer than the library keeps them."""

from __future__ import annotations

import socket
import ssl
from typing import Any

from lighthouse.errors import ResourceError
from lighthouse.identity import shown
from lighthouse.zookeeper.settings import Settings


class Credentials:
    """What a client is made with, and what each of its connections needs."""

    def __init__(self, settings: Settings) -> None:
        self._auth = settings.auth
        self._tls = settings.tls

    def digest(self) -> list[tuple[str, str]]:
        """For kazoo: ``auth_data``. Raises `ResourceError`."""
        auth = self._auth
        if auth is None or auth.scheme != "digest" or auth.password is None:
            return []
        return [("digest", f"{auth.user}:{auth.password.read().reveal()}")]

    def sasl(self) -> dict[str, str] | None:
        """For kazoo: ``sasl_options``. Raises `ResourceError`."""
        auth = self._auth
        if auth is None or auth.scheme != "sasl":
            return None
        options = {"mechanism": auth.mechanism, "service": auth.service}
        if auth.principal:
            options["principal"] = auth.principal
        if auth.user:
            options["username"] = auth.user
        if auth.password is not None:
            options["password"] = auth.password.read().reveal()
        return options

    def secured(self, plain: socket.socket, hostname: str) -> socket.socket:
        """The connection, with TLS if that is configured. Closes it when that fails. Raises `OSError` or `ResourceError`."""
        if self._tls is None:
            return plain
        try:
            return self.context().wrap_socket(plain, server_hostname=hostname)
        except BaseException:
            plain.close()
            raise

    def context(self) -> ssl.SSLContext:
        """Made for each connection, so that renewed certificates count. Raises `ResourceError`."""
        tls = self._tls
        if tls is None:
            raise ResourceError("TLS is not configured")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = tls.verify == "full"
        context.verify_mode = ssl.CERT_NONE if tls.verify == "none" else ssl.CERT_REQUIRED
        if tls.ca:
            _load("ca", tls.ca, lambda: context.load_verify_locations(tls.ca))
        else:
            context.load_default_certs()
        if tls.certificate:
            password = (
                tls.key_password.read().reveal() if tls.key_password else ""
            )  # never None: OpenSSL would ask the terminal
            _load(
                "certificate",
                tls.certificate,
                lambda: context.load_cert_chain(tls.certificate, tls.key or None, password),
            )
        return context


def _load(key: str, path: str, load: Any) -> None:
    try:
        load()
    except ssl.SSLError as error:
        raise ResourceError(f"tls.{key}: {shown(path, 200)} cannot be used: {error.reason or 'it is no PEM'}") from None
    except OSError as error:
        raise ResourceError(f"tls.{key}: {shown(path, 200)}: {error.strerror}") from None
