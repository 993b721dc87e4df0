"""What this host itself knows of a node that it provides, whether the registry has it or not. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lighthouse.cli.provided import ORDERED, failing, ordered
from lighthouse.cli.text import number
from lighthouse.cli.way import Mark, Step

Document = Mapping[str, Any]


class Own:
    """The service of this host that is announced as members of one cluster, if there is one."""

    def __init__(self, document: Document, cluster: str, now: float | None) -> None:
        service, discovery = document["services"].get(cluster) or {}, document["clusters"][cluster]["discovery"]
        report = document["discoveries"].get(str(discovery)) or {}
        ours = service.get("discovery") == discovery and bool(report.get("hostname"))
        ports = service.get("ports") if ours else None
        addresses = report.get("addresses")
        address = addresses.get(cluster) if isinstance(addresses, dict) else None
        self._ip = address.get("ip") if isinstance(address, dict) else None
        orders = service.get("orders")
        self._orders = orders if isinstance(orders, dict) else {}
        self._cluster, self._now = cluster, now
        self._ports = {f"{report.get('hostname')}:{port}": part for port, part in (ports or {}).items()}

    @property
    def names(self) -> list[str]:
        """The nodes that it comes to."""
        return list(self._ports)

    def address(self, name: str) -> str:
        """``ip:port`` of one of them."""
        return f"{self._ip}:{name.rpartition(':')[2]}"

    def step(self, name: str, *, member: bool) -> Step | None:
        """What keeps it from being announced; of a `member` only that it is about to leave. None where there is nothing to tell."""
        part = self._ports.get(name)
        if part is None:
            return None
        state, mark = part.get("state"), Mark.NOTE if member else Mark.BAD
        orders = [item for item in self._orders.items() if isinstance(item[1], dict)]
        if state in ORDERED and orders:
            text = "; ".join(ordered(self._cluster, kind, order, None) for kind, order in orders)
            times = [since for _, order in orders if (since := number(order.get("since"))) is not None]
            return Step("service", mark, f"this host provides it, and {text}", min(times, default=None))
        since = number(part.get("since"))
        if state != "up":
            return Step("service", mark, f"this host provides it, and its port is {state}{failing(part)}", since)
        if member:
            return None
        told = part.get("announced")
        what = f"at the registry it is {told}" if told else "its discovery has not told what became of it"
        return Step("service", Mark.NOTE, f"this host provides it, and its port is up; {what}", since)
