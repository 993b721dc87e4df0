"""The least that brings a znode into HAProxy: a watch of kazoo, one read, one command. It checks nothing and keeps nothing."""

from __future__ import annotations

import json
import sys
import threading

from join_peer import ask
from kazoo.client import KazooClient
from kazoo.recipe.watchers import ChildrenWatch


def main(hosts: str, path: str, socket_file: str, backend: str) -> None:
    """Follow the path for ever."""
    client = KazooClient(hosts=hosts)
    client.start()
    known: set[str] | None = None

    def changed(names: list[str]) -> None:
        nonlocal known
        if known is not None:
            for name in set(names) - known:
                node = json.loads(client.get(f"{path}/{name}")[0])
                server = f"{backend}/{name}"
                ask(socket_file, f"add server {server} {node['ip']}:{node['port']}; enable server {server}\n")
            for name in known - set(names):
                server = f"{backend}/{name}"
                ask(socket_file, f"set server {server} state maint; del server {server}\n")
        known = set(names)

    ChildrenWatch(client, path, changed)
    print("ready", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
