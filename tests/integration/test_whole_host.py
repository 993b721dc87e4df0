"""From a registry of files to HAProxy and back, with everything in between: which members are used, and how that is told."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from lighthouse.cli.document import document
from lighthouse.node import Node
from support.haproxy import get
from support.hostile import NASTY, hostile
from support.ports import free_port
from support.stack import Stack
from support.wait import until


@pytest.fixture
def host(tmp_path, paths):
    """A host that consumes the cluster `web`; tests write its file and start it."""
    stack = Stack(tmp_path / "host", settings={"zone": "east", "initial_wait": 0.5})
    stack.registry = tmp_path / "registry"
    stack.write("discovery/directory.yaml", {"path": str(stack.registry), "ttl": 600})
    stack.write("balancers/haproxy.yaml", paths.config)
    yield stack
    stack.stop()


def announce(host, *nodes, service="web"):
    """Write records as other hosts would."""
    folder = host.registry / service
    folder.mkdir(parents=True, exist_ok=True)
    for node in nodes:
        new = folder / f".{node.name}"
        new.write_text(node.serialize())
        new.rename(folder / node.name)


def servers(paths):
    """The servers in rotation; none while HAProxy does not run yet."""
    try:
        return set(paths.servers("web"))
    except OSError:
        return set()


def answer(port):
    """What the port answers, if anything does."""
    try:
        return get(port)
    except OSError:
        return None


def states(host):
    nodes = document(host.status())["clusters"]["web"]["nodes"] or []
    return {node["name"]: node["state"] for node in nodes}


def test_only_the_members_that_fit_are_in_haproxy_as_they_are_now(host, paths):
    gold, silver = {"labels": {"tier": "gold"}}, {"labels": {"tier": "silver"}}
    near = [
        Node("n1", "192.0.2.1", 80, {**gold, "zone": "east", "maxconn": True}),
        Node("n2", "192.0.2.2", 80, {**gold, "zone": "east", "maxconn": 10**30}),
    ]
    far = Node("f1", "192.0.2.3", 80, {**gold, "zone": "west"})
    other = Node("o1", "192.0.2.4", 80, {**silver, "zone": "east"})
    announce(host, *near, far, other)
    cluster = {
        "discovery": "directory",
        "filter": {"tier": "gold"},
        "zone": {"minimum": 2},
        "haproxy": {"port": free_port(), "server_metadata": ["maxconn"]},
    }
    host.write("clusters/web.yaml", cluster)
    host.start()
    until(lambda: servers(paths) == {"n1:80", "n2:80"}, what="the near ones")
    until(lambda: "maxconn True must be" in str(document(host.status())["balancers"]), what="a value that is refused")
    announce(host, replace(near[0], metadata={**near[0].metadata, "maxconn": 1}))
    until(lambda: re.search(r" 192\.0\.2\.1:80 .*maxconn 1\b", paths.file.read_text()), what="its correction")
    until(lambda: list(reported(host)["refused"]["web"]) == ["n2:80"], what="the one that is still refused")
    assert "maxconn '1000000" in reported(host)["refused"]["web"]["n2:80"], "a number of more than 64 bits"
    until(lambda: states(host).get("f1:80") == states(host).get("o1:80") == "unused", what="the others told")
    (host.registry / "web" / "n2:80").unlink()
    until(lambda: servers(paths) == {"n1:80", "f1:80"}, what="too few are near, so all that fit")
    host.write("clusters/web.yaml", {**cluster, "filter": {"tier": "silver"}})
    until(lambda: servers(paths) == {"o1:80"}, what="another filter")
    assert paths.reloads() == 0


def test_default_nodes_serve_until_the_registry_is_reached_for_the_first_time(host, paths):
    port = free_port()
    host.registry.write_text("in the way: no directory can be made here")
    host.write(
        "clusters/web.yaml",
        {"discovery": "directory", "default_nodes": ["192.0.2.9:80"], "haproxy": {"port": port}},
    )
    host.start()
    until(lambda: servers(paths) == {"192.0.2.9:80"}, what="the default node")
    until(lambda: any("default nodes" in problem for problem in document(host.status())["problems"]), what="a problem")
    host.registry.unlink()
    announce(host, Node("n1", "192.0.2.1", 80))
    until(lambda: servers(paths) == {"n1:80"}, what="the registry's answer")
    host.registry.rename(host.registry.with_name("gone"))
    host.registry.write_text("in the way again")
    host.ask("restart", worker="balancer/haproxy")
    until(
        lambda: host.worker("balancer/haproxy")["generation"] > 1 and host.state("balancer/haproxy") == "up",
        what="a new life",
    )
    assert servers(paths) == {"n1:80"}, "known members come before default ones"


class Six(threading.Thread):
    """A web server on ::1."""

    def __init__(self):
        super().__init__()
        self.listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
        self.port = self.listener.getsockname()[1]

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nsix")

    def stop(self):
        if not self.is_alive():
            return
        self.listener.shutdown(socket.SHUT_RDWR)  # closing alone does not wake who waits in it
        self.listener.close()
        self.join()


def ctl(host, *arguments):
    """The exit code and the output of `lighthouse ctl`."""
    script = Path(sys.executable).with_name("lighthouse")
    command = [str(script), "ctl", "--socket", str(host.socket_path), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout


def why(host, name):
    """The one node of `web` that is told of."""
    [node] = json.loads(ctl(host, "why", "web", name, "--json")[1])["nodes"]
    return node


def test_ipv6_from_the_service_to_the_client(host, paths):
    server = Six()
    server.start()
    port = free_port()
    host.write("lighthouse.yaml", {**host.settings, "hostname": "testhost", "advertise": ["203.0.113.0/24", "::1"]})
    check = {"interval": 0.2, "http": {"uri": "/", "rise": 1, "fall": 2}}
    service = {"port": server.port, "discovery": "directory", "host": "::1", "checks": check, "weight": 7}
    host.write("services/web.yaml", service)
    host.write(
        "clusters/web.yaml", {"discovery": "directory", "haproxy": {"port": port, "server_metadata": ["weight"]}}
    )
    host.start()
    try:
        until(lambda: answer(port) == (200, "six"), what="an answer over IPv6")
        (record,) = (host.registry / "web").glob("testhost:*")
        assert json.loads(record.read_text())["ip"] == "::1"
        assert json.loads(json.loads(record.read_text())["metadata"]) == {"weight": 7, "zone": "east"}
        report = document(host.status())["discoveries"]["directory"]
        assert report["addresses"] == {"web": {"ip": "::1", "rule": "::1"}}
        before = record.stat().st_ino
        host.write("services/web.yaml", {**service, "advertise": "::1", "labels": {"tier": "gold"}})
        until(lambda: "gold" in record.read_text(), what="the changed record, in one piece all along")
        assert record.stat().st_ino != before
        assert answer(port) == (200, "six")
        assert ctl(host, "maintenance", "web", "on", "--reason", "disk swap")[0] == 0
        until(lambda: not record.exists(), what="it to be withdrawn")
        until(lambda: "has left" in why(host, "testhost")["verdict"] + str(why(host, "testhost")["steps"]), what="why")
        service, registry = why(host, "testhost")["steps"][:2]
        assert "maintenance" in service["text"]
        assert "disk swap" in service["text"]
        assert registry["text"].endswith("and said before that it leaves on purpose")
        assert service["at"] <= registry["at"]
        assert ctl(host, "maintenance", "web", "off")[0] == 0
        until(lambda: answer(port) == (200, "six"), what="it to be back")
        server.stop()
        until(lambda: not record.exists(), what="it to be withdrawn")
        until(lambda: len(why(host, "testhost")["steps"]) == 2, what="it to leave HAProxy")
        assert "its port is down (http: " in why(host, "testhost")["verdict"]
    finally:
        server.stop()


def test_a_mass_of_changes_comes_at_the_allowed_rate_and_that_is_shown(host):
    settings = {**host.settings, "registration": {"rate": 1.0, "burst": 3}}
    host.write("lighthouse.yaml", settings)
    ports = [free_port() for _ in range(8)]
    host.write("services/web.yaml", {"ports": ports, "discovery": "directory", "checks": {"interval": 1}})
    host.start()

    def announced():
        return len(list((host.registry / "web").glob("testhost:*"))) if (host.registry / "web").exists() else 0

    until(lambda: announced() >= 3, what="the burst")
    until(lambda: any("wait for their turn" in text for text in document(host.status())["problems"]), what="a problem")
    assert announced() < 8
    host.write("lighthouse.yaml", {**settings, "registration": {"rate": 1000.0, "burst": 3}})
    until(lambda: announced() == 8, what="the rest")
    until(
        lambda: not any("their turn" in text for text in document(host.status())["problems"]),
        what="no problem any more",
    )


def test_fifty_edits_with_a_sighup_each_are_one_or_two_reloads(host, paths):
    host.write("balancers/haproxy.yaml", paths.config | {"restart_interval": 2})
    announce(host, Node("a", "127.0.0.1", 9))

    def edit(number):
        options = {"port": port, "backend": [f"timeout queue {number}s"]}
        host.write("clusters/web.yaml", {"discovery": "directory", "haproxy": options})

    port = free_port()
    edit(0)
    host.start().wait_up("discovery/directory", "balancer/haproxy")
    until(lambda: servers(paths) == {"a:9"}, what="the member")
    for number in range(1, 51):
        edit(number)
        os.kill(host.process.pid, signal.SIGHUP)
    until(lambda: "timeout queue 50s" in paths.file.read_text() and not reported(host)["pending"], what="the last edit")
    assert reported(host)["degraded"] is None
    assert paths.reloads() in (1, 2)


def reported(host):
    return document(host.status())["balancers"]["haproxy"]


def test_hostile_records_reach_no_terminal(host, paths):
    host.write(
        "clusters/web.yaml", {"discovery": "directory", "haproxy": {"port": free_port(), "server_metadata": ["weight"]}}
    )
    folder = host.registry / "web"
    folder.mkdir(parents=True)
    for number, record in enumerate(hostile(), 1000):
        (folder / f"{number}").write_text(json.dumps(record))
    for text in NASTY:
        name = f"0{text}".encode(errors="surrogatepass")
        if len(name) < 200 and not {b"/", b"\0"} & {bytes([byte]) for byte in name}:
            Path(os.fsdecode(bytes(folder) + b"/" + name)).write_text("{")
    announce(host, Node("good", "127.0.0.1", 9))
    host.start().wait_up("discovery/directory")
    until(lambda: "good:9" in servers(paths), what="the member")

    def told(*arguments):
        command = [Path(sys.executable).with_name("lighthouse"), *arguments]
        done = subprocess.run(command, capture_output=True, timeout=100, check=False)
        text = (done.stdout + done.stderr).decode()
        assert not [char for char in text if char != "\n" and not char.isprintable()], arguments
        assert "Traceback" not in text
        return text

    ctl = ("ctl", "--socket", host.socket_path)
    assert "good:9: in rotation" in told(*ctl, "why", "web")
    refused = document(host.status())["clusters"]["web"]["refused"]
    assert len(refused) == 50, "of a thousand, so many are told"
    names = [os.fsencode(item["record"]) for item in refused if "\x1b" in item["record"] or "\u202e" in item["record"]]
    assert names
    for name in (*names, b"\x1b[2J", b"a\nb", b"\xff"):
        assert "not in rotation" in told(*ctl, "why", "web", name)
    told(*ctl, "status")
    told(*ctl, "why", "\x1b[2J")
    told(*ctl, "logs", "discovery/directory")
    told("plan", "--socket", host.socket_path, host.config)
