"""What is loaded and warmed up before the first fork, so that all workers share the pages.

Libraries and our own process side only, never a plugin: a plugin's import may do anything. What stands here starts no thread and
opens no descriptor, which a test holds. Warming runs the same paths that a check runs each second, over a socket pair: it pulls in
what is imported late and lets the interpreter write its inline caches, which each child would otherwise copy page by page.
"""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import importlib
import json
import logging
import socket
import threading

LIBRARIES = (
    "concurrent.futures",
    "email.parser",
    "encodings.idna",
    "http.client",
    "importlib.metadata",
    "logging.config",
    "logging.handlers",
    "ssl",
    "stringprep",
    "subprocess",
    "tempfile",
    "lighthouse.workers.main",
)
ROUNDS = 60  # after about this many the interpreter has specialised what it will


def preload() -> None:
    """Load and warm up. Network is not touched."""
    for name in LIBRARIES:
        importlib.import_module(name)
    # Without this the first inotify object runs /sbin/ldconfig to find the C library.
    inotify_simple = importlib.import_module("inotify_simple")
    vars(inotify_simple)["_libc"] = ctypes.CDLL(None, use_errno=True)
    for _ in range(ROUNDS):
        _exchange()


def _exchange() -> None:
    """One HTTP exchange over a socket pair, one log record, one document: what a checker does each second."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(1.0)
        connection = http.client.HTTPConnection("127.0.0.1", 1)
        connection.sock = ours
        theirs.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok")
        with contextlib.closing(connection):
            connection.request("GET", "/", headers={"Host": "localhost"})
            connection.getresponse().read()
    "localhost".encode("idna")
    json.dumps({"port": 1, "checks": {"http": "up"}})
    record = logging.LogRecord("warm", logging.INFO, __file__, 1, "warm %s", ("up",), None)
    logging.Formatter("%(asctime)s %(message)s").format(record)
    threading.active_count()
