"""A fleet that moves over host by host: lighthouse 1.0 and SmartStack beside us, in both directions."""

import json

import pytest

from lighthouse.testing.hosts import Host
from lighthouse.testing.registry import Feature
from support.original import Reporter, Writer, written
from support.wait import until
from support.zookeeper_registry import ZookeeperRegistry

PLUGIN = "lighthouse.zookeeper:ZookeeperDiscovery"


@pytest.fixture
def fleet(zookeeper, tmp_path):
    """Makes hosts with our worker; whatever else is on the path is somebody else's."""
    made, registries = [], []

    def make(name, **config):
        registry = ZookeeperRegistry(zookeeper, PLUGIN, Feature.ALL, {"session_timeout": 3.0, **config})
        registries.append(registry)
        made.append(Host(registry, tmp_path, name))
        return made[-1]

    yield make
    for host in made:
        host.kill()
    for registry in registries:
        registry.__exit__()
    assert [fault for host in made for fault in host.faults] == []


def sees(host, cluster, *names):
    host.until(lambda: (host.members(cluster) or {}).keys() == set(names), f"{cluster} of {names}")


def test_our_record_is_that_of_1_0_byte_for_byte(zookeeper, fleet):
    host = fleet("host-a")
    host.provide("web", zone="a", numbers=[1, 2], text="ü")
    host.start()
    client = zookeeper.client()
    path = f"{zookeeper.path}/web/host-a:80"
    host.until(lambda: client.exists(path), "the announcement")
    record, stat = client.get(path)
    assert record == written("host-a", "127.0.0.1", 80, {"zone": "a", "numbers": [1, 2], "text": "ü"})
    assert stat.ephemeralOwner


def test_both_see_all_come_and_go(zookeeper, fleet):
    reporter = Reporter(zookeeper.client(), zookeeper.path)
    writer = Writer(zookeeper.client(), zookeeper.path, "web")
    ours = fleet("new-host")
    ours.consume("web")
    ours.start()
    reporter.report_up("web", "old-host", 80, zone="a")
    sees(ours, "web", "old-host:80")
    ours.provide("web", ports=(8000, 8001), weight=5)
    both = ["old-host:80", "new-host:8000", "new-host:8001"]
    sees(ours, "web", *both)
    until(lambda: writer.members == set(both), what="1.0 to see them all")
    node = writer.updates[-1]["new-host:8000"]
    assert (node.host, node.ip, node.port, node.peer) == (
        "new-host",
        "127.0.0.1",
        8000,
        ("new-host", "127.0.0.1", 1024),
    )
    assert json.loads(node.metadata) == {"weight": 5}
    members = ours.members("web")
    assert members["old-host:80"].metadata == {"zone": "a"}
    assert members["old-host:80"].peer.name == "old-host"
    reporter.report_down("web", "old-host", 80)
    sees(ours, "web", *both[1:])
    until(lambda: writer.members == set(both[1:]), what="1.0 to see that its own has gone")
    reporter.report_up("web", "old-host", 80)
    ours.no_longer_provide("web")
    sees(ours, "web", "old-host:80")
    until(lambda: writer.members == {"old-host:80"}, what="1.0 to see that ours have gone")
    reporter.report_up("web", "old-host", 80, zone="b")  # which writes it anew in place
    ours.until(lambda: ours.members("web")["old-host:80"].metadata == {"zone": "b"}, "the change in place")
    assert writer.broken == []


def test_a_host_that_moves_over_is_never_missing(zookeeper, fleet):
    """Ours takes the znode over while 1.0's session lives, and nothing goes when that ends."""
    client = zookeeper.client()
    Reporter(client, zookeeper.path).report_up("web", "moving", 80, old=True)
    path = f"{zookeeper.path}/web/moving:80"
    writer = Writer(zookeeper.client(), zookeeper.path, "web")
    until(lambda: writer.members == {"moving:80"}, what="1.0's announcement")
    first = len(writer.updates)
    ours = fleet("moving")
    ours.provide("web", new=True)
    ours.start()
    ours.until(lambda: b"new" in client.get(path)[0], "the takeover")
    client.stop()
    Reporter(other := zookeeper.client(), zookeeper.path).report_up("web", "another", 80)
    until(lambda: "another:80" in writer.members, what="a later update")
    assert all("moving:80" in update for update in writer.updates[first - 1 :])
    assert other.exists(path).ephemeralOwner
    assert writer.broken == []


def test_a_host_that_moves_back_is_never_missing(zookeeper, fleet):
    """1.0 takes over what our orderly end left, and nothing goes when our session ends."""
    ours = fleet("moving")
    ours.provide("web")
    ours.start()
    client = zookeeper.client()
    path = f"{zookeeper.path}/web/moving:80"
    ours.until(lambda: client.exists(path), "the announcement")
    session = client.exists(path).ephemeralOwner
    writer = Writer(zookeeper.client(), zookeeper.path, "web")
    until(lambda: writer.members == {"moving:80"}, what="1.0 to see it")
    ours.stop()
    reporter = Reporter(client, zookeeper.path)
    reporter.report_up("web", "moving", 80)
    server = zookeeper.ensemble.servers[0]
    until(lambda: f"0x{session:x}" not in server.ask("dump"), what="the end of our session")
    reporter.report_up("web", "another", 80)
    until(lambda: "another:80" in writer.members, what="a later update")
    assert all("moving:80" in update for update in writer.updates)
    assert client.exists(path).ephemeralOwner == client.client_id[0]


def test_records_of_nerve_are_members(zookeeper, fleet):
    """Under the names that nerve gives its znodes; a broken one costs itself only."""
    client = zookeeper.client()
    folder = f"{zookeeper.path}/web"
    client.ensure_path(folder)
    records = {
        "i-1_": {"host": "10.1.0.1", "port": 3000, "name": "i-1", "weight": 7, "labels": {"az": "a"}},
        "i-2_": {"host": "10.1.0.2", "port": 3000, "name": "i-2"},
        "i-3_": {"host": "10.1.0.3\n    server evil", "port": 3000, "name": "i-3"},
    }
    for name, record in records.items():
        client.create(f"{folder}/{name}", json.dumps(record).encode(), ephemeral=True, sequence=True)
    Reporter(client, zookeeper.path).report_up("web", "old-host", 80)
    ours = fleet("new-host")
    ours.consume("web")
    ours.start()
    sees(ours, "web", "10.1.0.1:3000", "10.1.0.2:3000", "old-host:80")
    assert ours.members("web")["10.1.0.1:3000"].metadata == {"weight": 7, "labels": {"az": "a"}}
    ours.until(lambda: ours.details.get("refused_total") == 1, "the broken one to be told")


def test_the_record_of_nerve_is_written_where_that_is_asked_for(zookeeper, fleet):
    """What synapse needs of it: host, port, and what it may use: name, weight, labels."""
    ours = fleet("new-host", format="nerve")
    ours.consume("web")
    ours.provide("web", weight=3, labels={"az": "b"})
    ours.start()
    client = zookeeper.client()
    sees(ours, "web", "127.0.0.1:80")
    (name,) = client.get_children(f"{zookeeper.path}/web")
    record = json.loads(client.get(f"{zookeeper.path}/web/{name}")[0])
    assert record == {"host": "127.0.0.1", "port": 80, "name": "new-host", "weight": 3, "labels": {"az": "b"}}
