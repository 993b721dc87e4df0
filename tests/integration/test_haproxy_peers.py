"""Two hosts whose HAProxys share a stick table: what one learns about a client, the other knows, also after a reload."""

import socket
from contextlib import ExitStack

from lighthouse.node import Node
from lighthouse.peer import Peer
from support.haproxy import backends, balancer, cluster, get, haproxy
from support.ports import free_port
from support.wait import until

TABLE = ["stick-table type ip size 1k expire 10m peers web", "stick on src"]


def ask(port, source):
    """The server that answers a client of this address."""
    with socket.create_connection(("127.0.0.1", port), 10, (source, 0)) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return b"".join(iter(lambda: client.recv(65536), b""))[-1:].decode()


def known(paths):
    """The clients in the stick table."""
    lines = paths.ask("show table web").splitlines()[1:]
    return {field.removeprefix("key=") for line in lines for field in line.split() if field.startswith("key=")}


def test_what_one_learns_the_other_knows(tmp_path):
    with ExitStack() as cleanup:
        a, b = cleanup.enter_context(backends("a", "b"))
        names = {"one": "127.0.0.1", "two": "127.0.0.2"}
        shared = free_port("127.0.0.2")
        hosts, ports = {}, {name: free_port() for name in names}
        for name in names:
            (tmp_path / name).mkdir()
            hosts[name] = cleanup.enter_context(haproxy(tmp_path / name))

        def sync(name, *lines):
            """What the registry says of this host itself is never listened on."""
            nodes = [
                Node(server.name, "127.0.0.1", server.port, peer=Peer(peer, "203.0.113.9" if peer == name else ip, 7))
                for server, (peer, ip) in zip((a, b), names.items(), strict=True)
            ]
            options = {"port": ports[name], "peers": shared, "backend": [*TABLE, *lines]}
            made = balancer(hosts[name], local_peer=name, local_peer_address=names[name])
            assert made.sync([cluster("web", nodes, **options)])["degraded"] is None

        for name in names:
            sync(name)
        first = {f"127.0.1.{number}": ask(ports["one"], f"127.0.1.{number}") for number in range(1, 7)}
        assert set(first.values()) == {"a", "b"}
        until(lambda: known(hosts["two"]) == set(first), what="the entries at the other host")
        assert {source: ask(ports["two"], source) for source in first} == first, "a client stays with its server"
        ask(ports["two"], "127.0.2.1")
        until(lambda: "127.0.2.1" in known(hosts["one"]), what="an entry in the other direction")
        sync("two", "timeout queue 7s")
        assert hosts["two"].reloads() == 1
        until(lambda: known(hosts["two"]) == {*first, "127.0.2.1"}, what="the entries in the new process")
        assert get(ports["two"])[0] == 200
