"""Why there is no connection, server by server, as the client last said it."""

from __future__ import annotations

from collections.abc import Sequence

from lighthouse.zookeeper.hosts import Server

SHOWN = 3  # servers


class Reasons:
    """The last reason for each server, by its text, by its host, or by nothing where it is of no server in particular."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def clear(self) -> None:
        """There is a connection, or there are other servers."""
        self._known.clear()

    def note(self, server: str, reason: str) -> None:
        """An attempt failed."""
        self._known[server] = reason

    def told(self, servers: Sequence[Server]) -> str:
        """The servers with their reasons, in words. What is known of others, such as were configured before, does not count."""
        reasons = {str(server): self._of(server) for server in servers}
        told = [f"{name} ({reason})" if reason else name for name, reason in [*reasons.items()][:SHOWN]]
        more = f" and {len(reasons) - SHOWN} more" if len(reasons) > SHOWN else ""
        other = self._known.get("")
        return ", ".join(told) + more + (f": {other}" if other else "")

    def _of(self, server: Server) -> str | None:
        """Its name may be all that is known to be wrong."""
        return self._known.get(str(server)) or self._known.get(server.host)
