"""One whole host for a benchmark: configuration, supervisor and HAProxy in a temporary directory, all ended with the block."""

from __future__ import annotations

import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from lighthouse.settings import Settings
from support.haproxy import Paths
from support.stack import Stack

DEFAULTS = Settings().to_mapping()
SHIPPED = {name: DEFAULTS[name] for name in ("heartbeat", "deadlines", "restart", "config")}
"""What a host has that sets nothing; the test support would shorten it."""

DOWN = 0x21  # srv_admin_state: forced or inherited maintenance


@dataclass
class Host:
    """The parts, and how to configure them. Nothing runs until `stack` is started."""

    root: Path
    stack: Any
    proxy: Any

    @property
    def registry(self) -> Path:
        """The folder that is the registry."""
        return self.root / "registry"

    def discovery(self, ttl: float = 3600.0) -> Self:
        """Configure the registry."""
        self.stack.write("discovery/dir.yaml", {"plugin": "directory", "path": str(self.registry), "ttl": ttl})
        return self

    def balancer(self) -> Self:
        """Configure HAProxy."""
        self.stack.write("balancers/haproxy.yaml", {**self.proxy.config, "bind_address": "127.0.0.1"})
        return self

    def cluster(self, name: str, port: int) -> Self:
        """Configure a cluster that is consumed; no guard takes the coming and going of a benchmark's nodes for a mass loss."""
        self.stack.write(f"clusters/{name}.yaml", {"discovery": "dir", "guard": "off", "haproxy": {"port": port}})
        return self

    def service(self, name: str, ports: list[int], *, interval: float, rise: int = 1, fall: int = 2) -> Self:
        """Configure a service with an HTTP check of all its ports."""
        check = {"uri": "/", "rise": rise, "fall": fall, "timeout": min(1.0, interval)}
        self.stack.write(
            f"services/{name}.yaml",
            {"ports": ports, "discovery": "dir", "checks": {"interval": interval, "http": check}},
        )
        return self

    def all_up(self) -> bool:
        """Whether every configured worker has caught up."""
        workers = self.stack.status()["workers"]
        return bool(workers) and all(worker["state"] == "up" for worker in workers)


@contextmanager
def host(role: str, settings: Mapping[str, Any]) -> Iterator[Host]:
    """A host that is configured by the block and ends with it."""
    root = Path(tempfile.mkdtemp(prefix="lighthouse-bench-"))
    stack, proxy = Stack(root, role=role, settings=settings), Paths(root)
    try:
        yield Host(root, stack, proxy)
    finally:
        try:
            stack.stop()
        finally:
            proxy.stop()
            with suppress(FileNotFoundError):
                shutil.rmtree(root)


@contextmanager
def proxy() -> Iterator[Any]:
    """Paths for a HAProxy without a host; whatever runs on them ends with the block."""
    root = Path(tempfile.mkdtemp(prefix="lighthouse-bench-"))
    paths = Paths(root)
    try:
        yield paths
    finally:
        paths.stop()
        shutil.rmtree(root, ignore_errors=True)


class Rotation:
    """The servers of one backend by HAProxy's own word, over one connection that stays open."""

    def __init__(self, path: Path, backend: str) -> None:
        self._question = f"show servers state {backend}\n".encode()
        self._sock = socket.socket(socket.AF_UNIX)
        self._sock.settimeout(30)
        self._sock.connect(str(path))
        self._sock.sendall(b"prompt; set timeout cli 3600\n")
        self._answer()

    def servers(self) -> dict[str, bool]:
        """Every server, and whether it takes connections."""
        self._sock.sendall(self._question)
        rows = (line.split() for line in self._answer().splitlines() if line[:1].isdigit())
        return {row[3]: row[5] == "2" and not int(row[6]) & DOWN for row in rows if len(row) > 6}

    def serves(self, server: str) -> bool:
        """Whether this server takes connections."""
        return self.servers().get(server, False)

    def close(self) -> None:
        """Hang up."""
        self._sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer(self) -> str:
        data = b""
        while not data.endswith(b"\n> "):
            more = self._sock.recv(1 << 18)
            if not more:
                raise ConnectionError("HAProxy closed its stats socket")
            data += more
        return data.decode()


def spin(condition: Callable[[], Any], *, every: float, within: float, what: str) -> float:
    """Poll until `condition` is true; returns the moment at which it was, on CLOCK_MONOTONIC."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {within:g} s")
        time.sleep(every)
    return time.monotonic()
