"""Where requests go under the algorithms that place servers on a ring, on a real HAProxy."""

import re
import socket
from collections import Counter
from contextlib import contextmanager

import pytest

from lighthouse.haproxy.ids import id_of
from lighthouse.node import Node
from support.haproxy import backends, balancer, cluster, haproxy
from support.ports import free_port
from support.wait import until

pytestmark = pytest.mark.versions
RINGS = {
    "random": ["balance random"],
    "uri": ["balance uri", "hash-type consistent"],
    "source": ["balance source", "hash-type consistent"],
    "hdr": ["balance hdr(Host)", "hash-type consistent wt6"],
}
KEYS = range(1, 201)


def answers(port):
    """Who answers which of many requests, each with a path, a client and a host of its own."""
    result = {}
    for key in KEYS:
        with socket.create_connection(("127.0.0.1", port), 10, source_address=(f"127.0.{key}.1", 0)) as connection:
            connection.sendall(f"GET /{key} HTTP/1.0\r\nHost: h{key}\r\n\r\n".encode())
            result[key] = b"".join(iter(lambda: connection.recv(65536), b""))[-1:].decode()
    return result


class Ring:
    """A balancer with a cluster for each algorithm."""

    def __init__(self, paths, ports=None):
        self.paths = paths
        self.ports = ports or {name: free_port() for name in RINGS}
        self._made = balancer(paths)

    def sync(self, members, *others):
        clusters = [
            cluster(name, members, port=self.ports[name], backend=lines, server_options="weight 16")
            for name, lines in RINGS.items()
        ]
        report = self._made.sync([*clusters, *others])
        assert report["degraded"] is None
        return report

    def map(self):
        """Who answers which request under each algorithm, when all old workers of HAProxy have ended."""
        until(lambda: len(self.paths.pids()) == 2, what="one worker of HAProxy")
        return {name: answers(port) for name, port in self.ports.items() if name != "random"}


@contextmanager
def another(path):
    path.mkdir()
    with haproxy(path) as paths:
        yield paths


def test_who_joins_at_run_time_gets_its_share(paths):
    ring = Ring(paths)
    with backends(*"abcde") as members:
        for count in range(6):
            ring.sync(members[:count])
        assert paths.reloads() == 0
        for name, port in ring.ports.items():
            shares = Counter(answers(port).values())
            assert set(shares) == set("abcde")
            assert min(shares.values()) > len(KEYS) / 5 / 3, (name, shares)


def test_history_does_not_matter(paths, tmp_path):
    """Neither reloads nor joins and leaves, nor those of another host, move requests that need not move."""
    ring = Ring(paths)
    with backends(*"abcde") as members, another(tmp_path / "other") as others:
        for joined in (members[2:], members[1:], [*members[:1], *members[2:]], members):
            ring.sync(joined)
        assert paths.reloads() == 0
        before = ring.map()
        ring.sync(members, cluster("more", []))
        assert paths.reloads() == 1
        assert ring.map() == before
        elsewhere = Ring(others)
        for joined in (members[4:], members[3:4], members[:4], members):
            elsewhere.sync(joined)
        assert others.reloads() == 0
        assert elsewhere.map() == before
        ring.sync(members[:4], cluster("more", []))
        moved = {
            name: {key for key, who in found.items() if who != before[name][key]} for name, found in ring.map().items()
        }
        assert moved == {name: {key for key, who in found.items() if who == "e"} for name, found in before.items()}


def test_servers_of_a_version_that_gave_no_ids(paths):
    """They are no reason for a reload, whoever joins beside them; the next one puts their ids right."""

    def ids():
        rows = [line.split() for line in paths.ask("show servers state uri").splitlines()[2:] if line]
        return {row[3]: int(row[2]) for row in rows}

    nodes = [Node(f"n{number}", "127.0.0.1", 9) for number in range(4)]
    first = Ring(paths)
    first.sync(nodes[:3])
    expected = ids()
    with_ids = paths.file.read_text()
    paths.file.write_text(re.sub(r" id \d+", "", with_ids))
    paths.master("reload")
    until(lambda: set(ids().values()) == {1, 2, 3}, what="servers without ids")
    ring = Ring(paths, first.ports)
    assert ring.sync(nodes[:3])["last"] == {"commands": 0, "start": None, "reload": None}
    assert paths.file.read_text() == with_ids
    assert ring.sync(nodes)["last"]["reload"] is None
    assert ids()[nodes[3].name] == id_of(nodes[3].name)
    ring.sync(nodes, cluster("more", []))
    assert ids() == expected | {nodes[3].name: id_of(nodes[3].name)}
