"""The least that brings a node from a folder into HAProxy: inotify, one file, two commands. It checks nothing and keeps nothing."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

from inotify_simple import INotify, flags


def main(folder: Path, socket_file: str, backend: str) -> None:
    """Follow the folder for ever."""
    inotify = INotify()
    inotify.add_watch(str(folder), flags.MOVED_TO | flags.DELETE)
    print("ready", flush=True)
    while True:
        for event in inotify.read():
            server = f"{backend}/{event.name}"
            if event.mask & flags.MOVED_TO:
                node = json.loads((folder / event.name).read_text())
                ask(socket_file, f"add server {server} {node['ip']}:{node['port']}; enable server {server}\n")
            elif not event.name.startswith("."):
                ask(socket_file, f"set server {server} state maint; del server {server}\n")


def ask(socket_file: str, commands: str) -> bytes:
    """Send commands on a connection of their own and read the answers."""
    answer = b""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(socket_file)
        connection.sendall(commands.encode())
        while data := connection.recv(65536):
            answer += data
    return answer


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
