"""A whole fleet loses its sessions or its registry at once, and some hosts are back sooner than others.

Whoever is back first finds a registry without the others. The cluster looked at here has one member, which is what no share of
vanished members can tell from an ordinary end of it.
"""

import base64
from types import SimpleNamespace

import pytest

from lighthouse.ipc.messages import unpack
from lighthouse.testing.hosts import Host
from support.faultproxy import FaultProxy
from support.haproxy import Load
from support.ports import free_port
from support.site import fetch
from support.wait import until
from support.zookeeper import Ensemble, Realm
from support.zookeeper_site import SESSION, ZookeeperSite


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Ensemble(tmp_path_factory.mktemp("zookeeper"))
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def proxy(server):
    with FaultProxy(server.servers[0].port) as proxy:
        yield proxy


@pytest.fixture
def site(tmp_path, server, proxy):
    """A site that also consumes what another host alone provides."""
    realm = Realm(server)
    site = ZookeeperSite(tmp_path, realm, [proxy.address], instances=1)
    site.solo = free_port()
    site.stack.write("clusters/solo.yaml", {"discovery": "zk", "edge": {"port": site.solo}})
    try:
        site.start()
        site.wait_announced()
        yield site
    finally:
        code = site.stop()
        realm.close()
        assert code == 0


@pytest.fixture
def others_proxy(server):
    with FaultProxy(server.servers[0].port) as proxy:
        yield proxy


@pytest.fixture
def other(tmp_path, site, others_proxy):
    """The other host, whose only service is answered by our own web instance."""
    config = {"hosts": [others_proxy.address], "path": site.realm.path, "session_timeout": SESSION}
    host = Host(SimpleNamespace(plugin="lighthouse.zookeeper:ZookeeperDiscovery", config=config), tmp_path, "other")
    host.provide("solo", ports=(site.webs[0].port,))
    host.start()
    until(lambda: fetch(site.solo), what=lambda: f"the other host's service; {site.tail()}")
    yield host
    host.kill()
    assert host.faults == []


def connected(site):
    report = unpack(base64.b64decode(site.stack.status()["reports"]["discovery/zk"]))
    return report["details"]["state"] == "connected"


@pytest.mark.parametrize("how", ["partition", "wipe"])
def test_whoever_is_back_late_is_not_taken_for_gone(site, server, proxy, others_proxy, other, how):
    load = Load(site.solo, rate=100)
    with load, site.peace():
        others_proxy.refuse()
        others_proxy.cut()
        if how == "partition":
            proxy.refuse()
            proxy.cut()
            until(lambda: not site.announced(), within=60, what="the sessions to expire")
            proxy.accept()
            site.wait_announced()
            others_proxy.accept()
        else:
            server.wipe()
            until(lambda: not connected(site), within=60, what="the loss to be noticed")
            server.start()
            until(lambda: connected(site), within=60, what=lambda: f"the site to be back; {site.tail()}")
            others_proxy.accept()  # before our own client, which may take longer to be back than any host
            site.renew()
            site.wait_announced()
        path = f"{site.realm.path}/solo/other:{site.webs[0].port}"
        until(lambda: site.client.exists(path), within=60, what=f"the other host; {other.words}")
        site.wait_working()
    assert load.failed == []
    assert load.total > 0
