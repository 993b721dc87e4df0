"""The keywords of a server line, read as HAProxy reads them. Pure.

Which of them have a value: ``haproxy -dKcfg`` of 2.6, 3.0, 3.2 and 3.4. One that none of these knows is taken to have none.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

_VALUED = frozenset(
    (
        *("addr", "agent-addr", "agent-inter", "agent-port", "agent-send", "alpn", "ca-file", "cc", "check-alpn"),
        *("check-pool-conn-name", "check-proto", "check-sni", "ciphers", "ciphersuites", "client-sigalgs", "cookie"),
        *("crl-file", "crt", "curves", "downinter", "error-limit", "fall", "fastinter", "guid", "hash-key"),
        *("healthcheck", "id", "idle-ping", "init-addr", "init-state", "inter", "interface", "ktls", "log-bufsize"),
        *("log-proto", "max-reuse", "maxconn", "maxqueue", "minconn", "namespace", "npn", "observe", "on-error"),
        *("on-marked-down", "on-marked-up", "pool-conn-name", "pool-low-conn", "pool-max-conn", "pool-purge-delay"),
        *("port", "proto", "proxy-v2-options", "quic-cc-algo", "redir", "resolve-net", "resolve-opts"),
        *("resolve-prefer", "resolvers", "rise", "shard", "sigalgs", "slowstart", "sni", "socks4", "source"),
        *("ssl-max-ver", "ssl-min-ver", "tcp-md5sig", "tcp-ut", "track", "usesrc", "verify", "verifyhost"),
        *("weight", "ws"),
    )
)


@dataclass(frozen=True, slots=True)
class Keywords:
    """What `keywords_in` found: keyword and value, in their order. Of several equal or opposite ones the last counts."""

    found: tuple[tuple[str, str | None], ...] = ()

    def __contains__(self, keyword: str) -> bool:
        return any(word == keyword for word, _ in self.found)

    def last(self, yes: str, no: str) -> bool:
        """Whether the last of two opposite keywords is `yes`."""
        said = [word for word, _ in self.found if word in (yes, no)]
        return bool(said) and said[-1] == yes

    def value(self, keyword: str) -> str | None:
        """The value of the last `keyword`; None if there is none."""
        values = [value for word, value in self.found if word == keyword]
        return values[-1] if values else None


def keywords_in(text: str) -> Keywords:
    """The keywords of a line's end; quotes are taken off, and a variable stays as it is written."""
    try:
        words = iter(shlex.split(text))
    except ValueError:  # of no consequence: HAProxy refuses it
        words = iter(text.split())
    return Keywords(tuple((word, next(words, None) if word in _VALUED else None) for word in words))
