"""Whole Lighthouses on a real ZooKeeper: two registries of one kind, changed configuration, and restarts that nobody sees."""

import base64
import os
import signal

import pytest
from kazoo.security import OPEN_ACL_UNSAFE, make_digest_acl

from lighthouse.cli.document import document
from lighthouse.ipc.messages import unpack
from support.ports import free_port
from support.stack import Stack
from support.wait import until
from support.zookeeper import Ensemble
from support.zookeeper_host import Observer
from support.zookeeper_site import ZookeeperSite


@pytest.fixture
def stack(tmp_path, zookeeper):
    stack = Stack(tmp_path)
    for name in ("east", "west"):
        stack.write(f"discovery/{name}.yaml", registry(zookeeper, name))
    for service, name in (("web", "east"), ("api", "west")):
        stack.write(f"services/{service}.yaml", {"port": free_port(), "discovery": name, "checks": {"interval": 0.2}})
    yield stack.start()
    assert stack.stop() == 0


def registry(zookeeper, name, **changes):
    return {
        "plugin": "zookeeper",
        "hosts": zookeeper.hosts,
        "path": f"{zookeeper.path}/{name}",
        "session_timeout": 10,
        **changes,
    }


def announced(client, path):
    return client.get_children(path) if client.exists(path) else []


def report(stack, name):
    packed = stack.status()["reports"].get(f"discovery/{name}")
    return unpack(base64.b64decode(packed))["details"] if packed else {"announced": None}


def test_two_registries_changes_and_restarts(stack, zookeeper, tmp_path):
    client = zookeeper.client()
    web, api = f"{zookeeper.path}/east/web", f"{zookeeper.path}/west/api"
    until(
        lambda: announced(client, web) and announced(client, api),
        what=lambda: f"both announced; {stack.tail('discovery/east')}",
    )
    assert announced(client, f"{zookeeper.path}/west/web") == announced(client, f"{zookeeper.path}/east/api") == []
    (name,) = announced(client, web)
    before = client.get(f"{web}/{name}")
    observer = Observer(client, web, f"{web}/{name}")

    pid = stack.worker("discovery/east")["pid"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: stack.worker("discovery/east")["pid"] not in (None, pid), what="the next generation")
    stack.wait_up("discovery/east")
    assert stack.stop() == 0
    stack.start()
    stack.wait_up("discovery/east", "discovery/west")
    until(lambda: report(stack, "east")["announced"] == 1, what="attached")
    stack.kill()
    stack.start()
    stack.wait_up("discovery/east", "discovery/west")
    until(lambda: report(stack, "east")["announced"] == 1, what="attached")
    assert report(stack, "east")["expired_sessions"] == 0
    assert client.get(f"{web}/{name}") == before
    assert observer.events == [], "kill -9, restart, and kill -9 of the whole: nobody saw anything"

    worker = stack.worker("discovery/east")
    stack.write(
        "discovery/east.yaml",
        registry(zookeeper, "moved", hosts=",".join(zookeeper.hosts) + zookeeper.path, path="/moved"),
    )
    moved = f"{zookeeper.path}/moved/web"
    until(
        lambda: announced(client, moved) == [name] and not announced(client, web),
        what=lambda: f"moved; {stack.tail('discovery/east')}",
    )
    assert client.get(f"{moved}/{name}")[1].ephemeralOwner == before[1].ephemeralOwner
    now = stack.worker("discovery/east")
    assert (now["pid"], now["generation"]) == (worker["pid"], worker["generation"])

    secret = tmp_path / "secret"
    secret.write_text("of-lighthouse")
    mine = [{"scheme": "auth", "permissions": "all"}]
    named = zookeeper.client(auth_data=[("digest", "lighthouse:of-lighthouse")])
    observer = Observer(client, moved, f"{moved}/{name}")
    changes = {"hosts": ",".join(zookeeper.hosts) + zookeeper.path, "path": "/moved"}
    changes["auth"] = {"scheme": "digest", "user": "lighthouse", "password_file": str(secret)}
    for service, acl in {"private": mine, "shown": [*mine, {"scheme": "world", "permissions": ["read"]}]}.items():
        changes["acl"] = acl
        stack.write("discovery/east.yaml", registry(zookeeper, "moved", **changes))
        count = stack.ask("reload")["result"]["compilation"]
        until(lambda: stack.status()["config"]["compilations"] >= count, what="the new settings")  # noqa: B023
        stack.write(f"services/{service}.yaml", {"port": free_port(), "discovery": "east", "checks": {"interval": 0.2}})
        path = f"{zookeeper.path}/moved/{service}"
        until(lambda: announced(named, path), what=lambda: f"{service} announced; {stack.tail('discovery/east')}")  # noqa: B023
        acls, _ = named.get_acls(f"{path}/{announced(named, path)[0]}")
        shown = {("world", 1)} if service == "shown" else set()
        assert {(item.id.scheme, item.perms) for item in acls} == {("digest", 31)} | shown
        assert named.get(f"{path}/{announced(named, path)[0]}")[1].ephemeralOwner == before[1].ephemeralOwner
    assert stack.worker("discovery/east")["pid"] == worker["pid"]
    assert observer.events == [], "another identity and another ACL: nobody saw what had been announced before"

    stack.remove("services/web.yaml")
    until(lambda: not announced(client, moved), what="withdrawn")
    files = [*(stack.runtime / "state").iterdir()]
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)
    secret = next(path.read_bytes() for path in files if "handover" in path.name and "west" in path.name)
    password = secret[secret.index(b'"password": "') + 13 :][:32]
    assert len(bytes.fromhex(password.decode())) == 16
    told = str(stack.status()) + stack.log("discovery/west") + stack.log("supervisor")
    assert password.decode() not in told


@pytest.fixture
def other_server(tmp_path):
    server = Ensemble(tmp_path / "zookeeper")
    try:
        yield server.start()
    finally:
        server.stop()


def test_a_cluster_or_an_ensemble_that_cannot_be_read_makes_no_other_stale(tmp_path, zookeeper, other_server):
    client = zookeeper.client()
    client.add_auth("digest", "somebody:else")
    client.ensure_path(zookeeper.path)
    client.create(f"{zookeeper.path}/locked", acl=[make_digest_acl("somebody", "else", all=True)])
    site = ZookeeperSite(tmp_path, zookeeper, zookeeper.hosts, instances=1)
    site.stack.write("clusters/locked.yaml", {"discovery": "zk", "edge": {}})
    site.stack.write("discovery/second.yaml", {"plugin": "zookeeper", "hosts": other_server.hosts, "path": "/second"})
    site.stack.write("clusters/api.yaml", {"discovery": "second", "edge": {}})
    port = free_port()
    site.stack.write("services/api.yaml", {"port": port, "discovery": "second", "checks": {"interval": 0.2}})
    try:
        for web in site.webs:
            web.start()
        site.stack.start()
        site.wait_announced()
        until(lambda: site.worker()["state"] == "degraded", what=lambda: f"told; {site.tail()}")
        only = {"web": False, "locked": True, "api": False}
        until(lambda: stale(site) == only, what=lambda: f"only one is stale; {site.tail()}")
        assert "locked cannot be read: this host has no permission" in site.worker()["reason"]
        client.set_acls(f"{zookeeper.path}/locked", OPEN_ACL_UNSAFE)
        until(lambda: stale(site) == {"web": False, "locked": False, "api": False}, what=lambda: f"read; {site.tail()}")
        until(lambda: members(site, "api") == [f"testhost:{port}"], what="the own announcement in the second ensemble")
        assert members(site, "web") == sorted(site.names)
        other_server.servers[0].kill()
        until(
            lambda: stale(site) == {"web": False, "locked": False, "api": True},
            what=lambda: f"one is away; {site.tail()}",
        )
        assert members(site, "api") == [f"testhost:{port}"]
        site.wait_working()
    finally:
        assert site.stop() == 0


def members(site, cluster):
    nodes = document(site.stack.status())["clusters"][cluster]["nodes"]
    return nodes and sorted(node["name"] for node in nodes)


def stale(site):
    """As `lighthouse ctl status` tells it."""
    return {name: part["stale"] for name, part in document(site.stack.status())["clusters"].items()}
