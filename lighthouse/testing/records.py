"""Records of other hosts: good ones, and such as nobody may believe."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lighthouse.node import MAX_RECORD, Node


def record(name: str, ip: str = "127.0.0.1", **metadata: Any) -> bytes:
    """The record of a node ``host:port`` as lighthouse 1.0 writes it."""
    host, _, port = name.rpartition(":")
    return Node(host, ip, int(port), metadata).serialize().encode()


def _with(**changes: Any) -> bytes:
    data = json.loads(record("evil:80"))
    return json.dumps({**data, **changes}).encode()


def _without(key: str) -> bytes:
    data = json.loads(record("evil:80"))
    del data[key]
    return json.dumps(data).encode()


HOSTILE: Mapping[str, bytes] = {
    "empty:80": b"",
    "nul:80": b"\0" * 10,
    "bytes:80": b"\xff\xfe\x80",
    "text:80": b"10.0.0.1:80",
    "cut:80": record("evil:80")[:-9],
    "twice:80": record("evil:80") * 2,
    "list:80": b"[1, 2]",
    "number:80": b"80",
    "null:80": b"null",
    "deep:80": b"[" * 20000,
    "deepmeta:80": _with(metadata=json.dumps(json.loads('{"a":' * 40 + "1" + "}" * 40))),
    "large:80": _with(metadata=json.dumps({"blob": "x" * MAX_RECORD})),
    "noip:80": _without("ip"),
    "noport:80": _without("port"),
    "nullip:80": _with(ip=None),
    "hostname-as-ip:80": _with(ip="evil.example.org"),
    "second-line:80": _with(host="evil\n    server more 10.0.0.66:80"),
    "ip-line:80": _with(ip="10.0.0.1\nglobal"),
    "quote:80": _with(host='evil" weight 256'),
    "escape:80": _with(host="\x1b[2Jevil"),
    "path:80": _with(host="../../etc/passwd"),
    "long:80": _with(host="e" * 5000),
    "zone:80": _with(ip="fe80::1%eth0"),
    "port-zero:80": _with(port=0),
    "port-high:80": _with(port=65536),
    "port-text:80": _with(port="80; option"),
    "port-huge:80": _with(port=10**400),
    "port-true:80": _with(port=True),
    "port-float:80": _with(port=80.5),
    "peer-line:80": _with(peer=json.dumps({"name": "evil\npeers", "ip": "10.0.0.1", "port": 1024})),
    "meta-list:80": _with(metadata="[]"),
    "meta-surrogate:80": _with(metadata='{"a": "\\ud800"}'),
}
"""Records that must not become members, by the name under which they are written."""
