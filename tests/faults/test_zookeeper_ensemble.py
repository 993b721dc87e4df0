"""An ensemble of three, the whole product: leaders, quorum and members come and go, and no request fails."""

import pytest

from support.faultproxy import FaultProxy
from support.wait import until
from support.zookeeper import Realm
from support.zookeeper_site import SESSION, Witness, ZookeeperSite


@pytest.fixture(scope="module")
def site(tmp_path_factory, ensemble):
    realm = Realm(ensemble)
    site = ZookeeperSite(tmp_path_factory.mktemp("site"), realm, ensemble.hosts)
    try:
        site.start()
        site.wait_announced()
        yield site
    finally:
        code = site.stop()
        realm.close()
        assert code == 0


@pytest.fixture
def witness(site, ensemble):
    ensemble.start()
    site.wait_announced()
    with Witness(site.client, site.folder, site.names) as witness:
        yield witness


def test_a_killed_leader_is_not_noticed(site, ensemble, witness):
    with site.peace():
        ensemble.wait_leader().kill()
        ensemble.wait_leader()
        site.wait_working()
        ensemble.start()
    assert witness.events() == []


def test_without_quorum_everything_stays_and_with_it_everything_goes_on(site, ensemble, witness):
    with site.peace():
        lost = [ensemble.wait_leader(), ensemble.followers()[0]]
        for server in lost:
            server.kill()
        until(lambda: site.worker()["state"] == "degraded", within=60, what=site.tail())
        assert site.stack.status()["clusters"]["web"]["stale"]
        ensemble.start()
        site.stack.wait_up("discovery/zk")
        site.wait_announced()
        site.wait_working()
    assert witness.events() == []


@pytest.mark.parametrize("role", ["leader", "follower"])
def test_a_member_that_stands_still_longer_than_a_session_is_left(site, ensemble, role):
    """Whoever was connected to it goes to another in time."""
    ensemble.start()
    server = ensemble.wait_leader() if role == "leader" else ensemble.followers()[0]
    other = next(other for other in ensemble.servers if other is not server)
    site.renew([other.address])
    marker = f"{site.realm.path}/marker"
    with FaultProxy(other.port) as proxy, Witness(site.client, site.folder, site.names) as witness, site.peace():
        doomed = site.realm.client(hosts=[proxy.address], timeout=SESSION)
        doomed.create(marker, ephemeral=True)
        server.pause()
        try:
            proxy.hold()  # a session as long as ours, without a sign of life
            until(lambda: not site.client.retry(site.client.exists, marker), within=60, what="a session to expire")
            site.wait_working()
        finally:
            server.resume()
        ensemble.wait_serving()
        assert witness.events() == []


def test_an_ensemble_that_lost_everything_gets_it_back(site, ensemble):
    """Before anything is read: see test_zookeeper_lost_fleet.py."""
    with site.peace():
        ensemble.wipe()
        ensemble.start()
        site.renew()
        site.wait_announced()
        site.stack.wait_up("discovery/zk")
