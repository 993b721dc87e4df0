"""What is loaded and rehearsed before the first fork, so that all workers share the pages.

Libraries, our own process side and the built-in plugins, never a plugin of anybody else: its import may do anything. What stands
here starts no thread and opens no descriptor, which a test holds. The plugin for ZooKeeper is not among them: only its own worker
needs it and its library, which costs 28 ms there.
"""

from __future__ import annotations

import ctypes
import gc
import importlib

from lighthouse.workers.rehearsal import rehearse

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
    "lighthouse.checks.exec",
    "lighthouse.checks.http",
    "lighthouse.checks.tcp",
    "lighthouse.directory.discovery",
    "lighthouse.haproxy.balancer",
    "lighthouse.workers.main",
)


def preload() -> None:
    """Load and rehearse. No network is touched but a loopback listener of our own."""
    for name in LIBRARIES:
        importlib.import_module(name)
    # Without this the first inotify object runs /sbin/ldconfig to find the C library.
    vars(importlib.import_module("inotify_simple"))["_libc"] = ctypes.CDLL(None, use_errno=True)
    rehearse()
    # What stays for ever is taken out of every later collection, in this process and in its children: a collector that looked at
    # it would write to its pages, and a page that was written to is shared no longer. No collection before: it would leave holes
    # among these pages, which each child would fill (https://github.com/python/cpython/issues/75739).
    gc.freeze()
