"""The health check of gRPC's standard health protocol; needs the extra ``lighthouse[grpc]``.

https://github.com/grpc/grpc/blob/master/doc/health-checking.md. grpcio is imported only in the worker that uses it, after the fork:
it starts threads and does not survive one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from lighthouse.check import Check
from lighthouse.checks.tls import TLS, TLS_OPTIONS, check_tls, tls_of
from lighthouse.errors import ConfigError, ResourceError
from lighthouse.identity import escaped, shown
from lighthouse.options import Option
from lighthouse.pluggable import extra

if TYPE_CHECKING:
    import grpc

MAX_RESPONSE = 64 * 1024  # bytes


class GRPCCheck(Check):
    """Passes when the server says SERVING of the service."""

    options: ClassVar[Mapping[str, Option] | None] = {
        "service": Option(
            str, "the name of the gRPC service to ask for; empty means the server as a whole", default=""
        ),
        "tls": Option(bool, "speak TLS; the certificate is always verified", default=False),
        **TLS_OPTIONS,
    }

    reason: str = ""
    asked: str = ""
    tls: TLS | None = None

    @classmethod
    def validate_dependencies(cls) -> bool:
        """Whether grpcio and its health protocol are installed."""
        return extra("grpc", "grpc") and extra("grpc_health", "grpc")

    @classmethod
    def validate_check_config(cls, config: dict[str, Any]) -> None:
        """Refuse `verify: false`, which grpcio cannot do."""
        check_tls(config, "tls")
        if config["verify"] is False:
            raise ConfigError("gRPC always verifies: give the server's own certificate as `ca_file`", ("verify",))

    def apply_check_config(self, config: dict[str, Any]) -> None:
        """Take over what to ask; imports grpcio, which takes a moment."""
        # Otherwise it writes a line to our log for each connection that is refused; the reason tells of it.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        import grpc
        from grpc_health.v1 import health_pb2_grpc  # noqa: F401 - here it is not part of any check's timeout

        self._grpc = grpc
        self.asked = config.get("service", "")
        self.tls = tls_of(config, "tls")

    def perform(self) -> bool:
        """Ask once. Blocks for at most ``timeout`` seconds."""
        from grpc_health.v1 import health_pb2, health_pb2_grpc

        with self._channel() as channel:
            request = health_pb2.HealthCheckRequest(service=self.asked)
            try:
                answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=self.timeout, wait_for_ready=False)
            except self._grpc.RpcError as error:
                self.reason = self._explained(error)
                return False
        serving = answer.status == health_pb2.HealthCheckResponse.SERVING
        self.reason = "" if serving else f"status {_name(health_pb2.HealthCheckResponse.ServingStatus, answer.status)}"
        return bool(serving)

    def _channel(self) -> grpc.Channel:
        """A channel of its own for each check: a kept one would wait longer and longer between its attempts to connect."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        options: list[tuple[str, Any]] = [
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.enable_retries", 0),
            ("grpc.enable_http_proxy", 0),
            ("grpc.max_receive_message_length", MAX_RESPONSE),
        ]
        if not self.tls:
            return self._grpc.insecure_channel(f"{host}:{self.port}", options)
        if self.tls.server_name:
            options.append(("grpc.ssl_target_name_override", self.tls.server_name))
        certificate = _content("certificate_file", self.tls.certificate_file)
        credentials = self._grpc.ssl_channel_credentials(
            _content("ca_file", self.tls.ca_file),
            _content("key_file", self.tls.key_file) or certificate,
            certificate,
        )
        return self._grpc.secure_channel(f"{host}:{self.port}", credentials, options)

    def _explained(self, error: grpc.RpcError) -> str:
        code = error.code()
        if code is self._grpc.StatusCode.DEADLINE_EXCEEDED:
            return f"no complete answer within {self.timeout:g} s"
        if code is self._grpc.StatusCode.NOT_FOUND:
            return f"the server knows no service {shown(self.asked)}"
        if code is self._grpc.StatusCode.UNIMPLEMENTED:
            return "the server does not speak the health protocol"
        return f"{code.name}: {escaped(error.details() or '', 150)}"


def _name(enum: Any, value: int) -> str:
    try:
        return str(enum.Name(value))
    except ValueError:
        return str(value)


def _content(key: str, path: str | None) -> bytes | None:
    """A PEM file. Raises `ResourceError`."""
    if path is None:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ResourceError(f"{key}: {shown(path, 200)}: {error.strerror}: put a PEM file there") from None
