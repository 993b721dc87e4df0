"""The health check for Redis and what speaks its protocol; needs the extra ``lighthouse[redis]``.

redis-py is imported only in the worker that uses it. Left to itself it tries again and again within a call, and its timeouts bound
single reads: a timeout of 2 s became 27 s. So it is given a connection that keeps one deadline, and no retry.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from lighthouse.checks.deadline import Deadline, DeadlineSocket
from lighthouse.checks.exchange import ExchangeCheck, opened
from lighthouse.checks.tls import TLS, TLS_OPTIONS, check_tls, tls_of
from lighthouse.errors import ConfigError
from lighthouse.identity import escaped, shown
from lighthouse.options import Option
from lighthouse.pluggable import extra
from lighthouse.secrets import SecretSource, check_secret, secret_options, secret_source

ROLES = {"master": b"master", "replica": b"slave"}
"""The words of the answer to ROLE, https://redis.io/docs/latest/commands/role/."""


class RedisCheck(ExchangeCheck):
    """Passes when the server answers PING with PONG and, if one is asked for, has the role."""

    options: ClassVar[Mapping[str, Option] | None] = {
        "username": Option(str | None, "the user to authenticate as; needs a password", default=None),
        **secret_options("password", "the password"),
        "role": Option(Literal["master", "replica"] | None, "the role that the server must have", default=None),
        "tls": Option(bool, "speak TLS", default=False),
        **TLS_OPTIONS,
    }

    username: str | None = None
    password: SecretSource | None = None
    role: str | None = None
    tls: TLS | None = None

    @classmethod
    def validate_dependencies(cls) -> bool:
        """Whether redis-py is installed."""
        return extra("redis", "redis")

    @classmethod
    def validate_check_config(cls, config: dict[str, Any]) -> None:
        """Refuse a user without a password."""
        check_secret(config, "password")
        check_tls(config, "tls")
        if config["username"] is not None and secret_source(config, "password") is None:
            raise ConfigError("is given without a password: add `password_file` or `password_env`", ("username",))

    def apply_check_config(self, config: dict[str, Any]) -> None:
        """Take over the credentials and the role; imports redis-py, which takes a moment."""
        import redis.connection  # noqa: F401 - here it is not part of any check's timeout

        self.username = config.get("username")
        self.password = secret_source(config, "password")
        self.role = config.get("role")
        self.tls = tls_of(config, "tls")

    def exchange(self, deadline: Deadline) -> str:
        """Authenticate, ask, and judge."""
        from redis.exceptions import RedisError

        password = self.password.read().reveal() if self.password else None
        with opened(self.host, self.port, deadline, self.tls) as sock:
            connection = _connection(sock, self.username, password)
            try:
                connection.connect()
                return self._judge(connection)
            except RedisError as error:
                deadline.remaining()  # it has errors of its own for what is over
                return escaped(str(error), 150) or type(error).__name__

    def _judge(self, connection: Any) -> str:
        answer = _asked(connection, "PING")
        if answer != b"PONG":
            return f"the answer to PING is {shown(answer)}"
        if self.role is None:
            return ""
        answer = _asked(connection, "ROLE")
        if not isinstance(answer, list) or not answer or answer[0] not in ROLES.values():
            return f"the answer to ROLE is {shown(answer)}"
        return "" if answer[0] == ROLES[self.role] else f"it is no {self.role}: its role is {shown(answer[0].decode())}"


def _asked(connection: Any, command: str) -> Any:
    connection.send_command(command)
    return connection.read_response()


def _connection(sock: DeadlineSocket, username: str | None, password: str | None) -> Any:
    """A connection of redis-py over a socket that is open already and that somebody else closes."""
    from redis.connection import AbstractConnection

    class Opened(AbstractConnection):
        def _connect(self) -> Any:
            return sock

        host: Any = "the server"

        def _host_error(self) -> str:
            return str(self.host)

        def repr_pieces(self) -> list[tuple[str, Any]]:
            return []

    return Opened(username=username, password=password, protocol=2, driver_info=None)
