"""The ZooKeeper registry on a real server."""

import json
import os
import socket
from contextlib import ExitStack

import pytest

from lighthouse.discovery import Wanted
from lighthouse.errors import RegistryError
from lighthouse.node import MAX_RECORD, Node
from lighthouse.zookeeper import ZookeeperDiscovery, timetable
from lighthouse.zookeeper.handler import LONGEST_WAIT
from support.wait import until
from support.zookeeper import Ensemble, Realm
from support.zookeeper_host import Host, Observer, names


@pytest.fixture
def hosts(zookeeper):
    made = []

    def make(*args, **options):
        made.append(Host(zookeeper, *args, **options))
        return made[-1]

    yield make
    for host in made:
        host.stop()


@pytest.fixture
def client(zookeeper):
    return zookeeper.client()


def old_record(host="other", ip="10.0.0.9", port=80):
    """What lighthouse 1.0 writes, letter for letter."""
    return (
        f'{{"host": "{host}", "ip": "{ip}", "metadata": "{{}}", '
        f'"peer": "{{\\"ip\\": \\"{ip}\\", \\"name\\": \\"{host}\\", \\"port\\": 1024}}", "port": {port}}}'
    ).encode()


def put(client, path, content, **options):
    client.create(path, content, makepath=True, **options)
    return path


# Announcing


def test_an_announcement_is_an_ephemeral_znode_with_the_record_of_1_0(hosts, client, zookeeper):
    host = hosts()
    host.announce(host.item(zone="b"))
    data, stat = client.get(f"{zookeeper.path}/web/host-a:80")
    assert json.loads(data) == {
        "host": "host-a", "ip": "10.0.0.1", "metadata": '{"zone": "b"}',
        "peer": '{"ip": "10.0.0.1", "name": "host-a", "port": 1024}', "port": 80,
    }  # fmt: skip
    assert data.decode() == host.node(zone="b").serialize()
    assert stat.ephemeralOwner == host.session.number != 0
    assert client.get(f"{zookeeper.path}/web")[1].ephemeralOwner == 0
    assert host.maintain().details["announced"] == 1


def test_a_changed_record_is_set_and_the_znode_stays(hosts, client, zookeeper):
    host = hosts()
    host.announce(host.item(weight=1))
    created = client.get(f"{zookeeper.path}/web/host-a:80")[1]
    host.announce(host.item(weight=1))
    assert client.get(f"{zookeeper.path}/web/host-a:80")[1] == created
    host.announce(host.item(weight=2))
    data, stat = client.get(f"{zookeeper.path}/web/host-a:80")
    assert b"2" in data
    assert stat.czxid == created.czxid


@pytest.mark.parametrize("how", ["down", "absent"])
def test_what_is_down_or_no_longer_wanted_is_withdrawn(hosts, client, zookeeper, how):
    host = hosts()
    host.announce(host.item(), host.item(port=81))
    down = [host.item(wanted=Wanted.DOWN)] if how == "down" else []
    host.announce(*down, host.item(port=81))
    assert client.get_children(f"{zookeeper.path}/web") == ["host-a:81"]


def test_hold_keeps_what_stands_and_makes_nothing(hosts, client, zookeeper):
    host = hosts()
    host.announce(host.item(wanted=Wanted.HOLD))
    assert not client.exists(f"{zookeeper.path}/web")
    host.announce(host.item(old=True))
    host.announce(host.item(wanted=Wanted.HOLD, new=True))
    assert b"old" in client.get(f"{zookeeper.path}/web/host-a:80")[0]


def test_an_own_znode_that_somebody_spoilt_is_made_good_at_once(hosts, client, zookeeper):
    host = hosts()
    host.announce(host.item())
    path, record = f"{zookeeper.path}/web/host-a:80", host.node().serialize().encode()
    client.set(path, b"spoilt")
    host.until(lambda _: client.get(path)[0] == record, what="repaired")
    client.delete(path)
    host.until(lambda _: client.exists(path), what="made again")
    assert client.get(path)[0] == record


def test_what_is_too_large_or_has_no_name_is_told_and_the_rest_announced(hosts, client, zookeeper):
    host = hosts()
    host.announce(host.item(port=81, blob="x" * MAX_RECORD), host.item())
    assert client.get_children(f"{zookeeper.path}/web") == ["host-a:80"]
    assert "larger than" in host.maintain().degraded


# Whose a znode is


def test_a_leftover_of_an_older_session_is_taken_over_in_one_transaction(hosts, client, zookeeper):
    path = put(client, f"{zookeeper.path}/web/host-a:80", old_record("host-a", "10.0.0.1"), ephemeral=True)
    old = client.get(path)[1]
    watcher = zookeeper.client()
    observer = Observer(watcher, path)
    host = hosts()
    host.announce(host.item())
    data, stat = client.get(path)
    assert stat.ephemeralOwner == host.session.number
    assert data.decode() == host.node().serialize()
    assert stat.czxid == stat.mzxid > old.czxid
    until(lambda: observer.events == [("DELETED", path)], what="the watch fired")
    assert host.maintain().details["takeovers"] == 1
    client.stop()
    assert watcher.exists(path), "it does not go with the session that made the first"


def test_another_hosts_znode_is_never_touched_and_the_clash_is_told(hosts, client, zookeeper):
    path = put(client, f"{zookeeper.path}/web/host-a:80", old_record("host-a", "10.0.0.99"), ephemeral=True)
    before = client.get(path)
    host = hosts()
    for wanted in (Wanted.UP, Wanted.DOWN, Wanted.HOLD, Wanted.UP):
        host.announce(host.item(wanted=wanted))
    host.announce()
    host.announce(host.item())
    assert client.get(path) == before
    report = host.maintain()
    assert "announced by another host" in report.degraded
    assert report.details["announced"] == 0
    client.delete(path)
    host.until(lambda report: report.details["announced"] == 1, what="announced once the name is free")


def test_a_record_that_nobody_can_read_is_nobodys_to_delete(hosts, client, zookeeper):
    path = put(client, f"{zookeeper.path}/web/host-a:80", b"\xff")
    host = hosts()
    host.announce(host.item())
    host.announce()
    assert client.get(path)[0] == b"\xff"


# Handing over


def test_the_next_generation_attaches_to_the_session_and_nobody_sees_anything(hosts, client, zookeeper):
    first = hosts()
    first.announce(first.item(), first.item("api", 90))
    paths = [f"{zookeeper.path}/web/host-a:80", f"{zookeeper.path}/api/host-a:90"]
    before = [client.get(path) for path in paths]
    observer = Observer(client, *paths, *(os.path.dirname(path) for path in paths))
    second = hosts(handover=first.next_generation())
    second.announce(second.item(), second.item("api", 90))
    assert second.session.number == first.session.number
    second.maintain()
    assert [client.get(path) for path in paths] == before
    assert observer.events == []
    assert second.maintain().details["expired_sessions"] == 0


def test_what_is_no_longer_configured_in_the_next_generation_is_withdrawn(hosts, client, zookeeper):
    first = hosts()
    first.announce(first.item(), first.item("api", 90))
    second = hosts(handover=first.next_generation())
    second.maintain()
    assert client.exists(f"{zookeeper.path}/api/host-a:90"), "held until it is known what is wanted"
    second.announce(second.item())
    assert not client.exists(f"{zookeeper.path}/api/host-a:90")
    assert client.exists(f"{zookeeper.path}/web/host-a:80")


def test_a_session_that_is_gone_is_noticed_and_everything_announced_anew(hosts, client, zookeeper, monkeypatch):
    monkeypatch.setattr(timetable, "RETURN", 0.0)  # what it is for: tests/faults/test_zookeeper_lost_fleet.py
    host = hosts(session_timeout=2.0)
    cluster = host.watch("web")
    host.announce(host.item(), host.item("api", 90, wanted=Wanted.UP))
    host.announce(host.item(), host.item("api", 90, wanted=Wanted.HOLD))
    host.sees(cluster, "host-a:80")
    old = host.session.number
    thief = zookeeper.client(client_id=(old, host.session.password))
    thief.stop()  # closes the session for both
    host.until(
        lambda report: report.complete and report.details["announced"] == 2, what="announced anew, what is held too"
    )
    assert host.session.number != old
    assert client.get(f"{zookeeper.path}/web/host-a:80")[1].ephemeralOwner == host.session.number
    assert host.maintain().details["expired_sessions"] == 1
    host.sees(cluster, "host-a:80")


def test_a_handed_over_session_that_is_gone_is_replaced(hosts, client, zookeeper):
    first = hosts()
    first.announce(first.item())
    handover = first.next_generation()
    thief = zookeeper.client(client_id=(first.session.number, first.session.password))
    thief.stop()
    assert not client.exists(f"{zookeeper.path}/web/host-a:80")
    second = hosts(handover=handover)
    second.until(lambda report: report.details["announced"] == 1, what="announced before it is asked for")
    assert second.session.number != first.session.number


def test_a_handover_of_nonsense_is_as_none(hosts):
    host = hosts(handover=b'{"format": 1, "own": 7}')
    host.announce(host.item())
    assert host.maintain().details["announced"] == 1


# Watching


def test_members_come_change_and_go(hosts, client, zookeeper):
    host = hosts()
    cluster = host.watch("web")
    host.complete()
    assert names(cluster) == []
    put(client, f"{zookeeper.path}/web/other:80", old_record())
    host.sees(cluster, "other:80")
    client.set(f"{zookeeper.path}/web/other:80", Node("other", "10.0.0.8", 80, {"a": 1}).serialize().encode())
    host.until(lambda _: cluster.nodes[0].ip == "10.0.0.8", what="the change is seen")
    assert cluster.nodes[0].metadata == {"a": 1}
    client.delete(f"{zookeeper.path}/web/other:80")
    host.sees(cluster)
    client.delete(f"{zookeeper.path}/web")
    put(client, f"{zookeeper.path}/web/third:80", old_record("third"))
    host.sees(cluster, "third:80")
    assert host.maintain().details["missed"] == 0


@pytest.mark.parametrize("size", [1, 200])
def test_a_join_costs_two_reads_and_a_change_or_a_leave_one_whatever_the_size(hosts, client, zookeeper, size):
    requests = [
        client.create_async(f"{zookeeper.path}/web/n{n}:80", old_record(f"n{n}"), makepath=True) for n in range(size)
    ]
    for request in requests:
        request.get(timeout=30)
    host = hosts(resync=3600.0)
    cluster = host.watch("web")
    host.complete()
    assert len(cluster.nodes) == size
    costs, told = [], []
    for change in (
        lambda: put(client, f"{zookeeper.path}/web/new:80", old_record("new")),
        lambda: client.set(f"{zookeeper.path}/web/new:80", old_record("new", "10.0.0.77")),
        lambda: client.delete(f"{zookeeper.path}/web/new:80"),
    ):
        before, calls = host.maintain().details["reads"], host.told["web"]
        change()
        report = host.until(lambda report, calls=calls: report.complete and host.told["web"] > calls, what="told")
        costs.append(report.details["reads"] - before)
        told.append(host.told["web"] - calls)
    assert costs == [2, 1, 1]
    assert told == [1, 1, 1]


def test_a_cluster_that_does_not_exist_is_waited_for_without_a_read(hosts, client, zookeeper):
    host = hosts(resync=3600.0)
    cluster = host.watch("web")
    host.complete()
    reads = host.maintain().details["reads"]
    assert reads == 2  # the list, and the watch of its existence
    for _ in range(20):
        host.turn()
    assert host.maintain().details["reads"] == reads
    put(client, f"{zookeeper.path}/web/other:80", old_record())
    host.sees(cluster, "other:80")


def test_what_cannot_be_a_member_costs_only_itself_and_is_shown(hosts, client, zookeeper):
    bad = {
        "json": b"{", "big": b"x" * (MAX_RECORD + 1), "empty": b"", "list": b"[]", "binary": b"\xff\xfe",
        "port": old_record(port=99999), "ip": old_record(ip="1.2.3.4\\n  server x"), "host": old_record(host="a b"),
        "esc\x1b]0;x\x07": b"{}", "deep": b'{"ip":"10.0.0.1","port":1,"metadata":' + b'{"a":' * 40 + b"1" + b"}" * 41,
    }  # fmt: skip
    for name, content in bad.items():
        put(client, f"{zookeeper.path}/web/{name}".replace("\x1b", "ä").replace("\x07", "ö"), content)
    put(client, f"{zookeeper.path}/web/good:80", old_record("good"))
    host = hosts()
    cluster = host.watch("web")
    report = host.complete()
    assert names(cluster) == ["good:80"]
    assert report.details["refused_total"] == len(bad)
    assert all(key.isascii() and reason for key, reason in report.details["refused"].items())
    assert report.degraded is None


def test_changes_that_no_watch_told_are_found_and_counted(hosts, client, zookeeper):
    for n in range(3):
        put(client, f"{zookeeper.path}/web/n{n}:80", old_record(f"n{n}"))
    host = hosts(resync=1.0)
    cluster = host.watch("web")
    host.complete()
    kazoo = host.discovery._connection._client._kazoo
    kazoo._child_watchers.clear()  # a library that loses watches: the fault that cannot be had from a real server
    kazoo._data_watchers.clear()
    client.delete(f"{zookeeper.path}/web/n0:80")
    client.set(f"{zookeeper.path}/web/n1:80", old_record("n1", "10.0.0.77"))
    host.until(lambda _: names(cluster) == ["n1:80", "n2:80"] and cluster.nodes[0].ip == "10.0.0.77", what="found")
    assert host.maintain().details["missed"] == 2
    put(client, f"{zookeeper.path}/web/n3:80", old_record("n3"))
    host.sees(cluster, "n1:80", "n2:80", "n3:80")
    audits = host.maintain().details["full_reads"]
    report = host.until(lambda report: report.details["full_reads"] > audits + 1 and report.complete, what="two more")
    assert report.details["missed"] == 2, "watches are in place again"


def test_two_hosts_see_each_other_and_a_reader_of_1_0_reads_both(hosts, client, zookeeper):
    one, two = hosts("host-a"), hosts("host-b", "10.0.0.2")
    clusters = [host.watch("web") for host in (one, two)]
    one.announce(one.item())
    two.announce(two.item(port=81))
    for host, cluster in zip((one, two), clusters, strict=True):
        host.sees(cluster, "host-a:80", "host-b:81")
    for name in client.get_children(f"{zookeeper.path}/web"):
        record = json.loads(client.get(f"{zookeeper.path}/web/{name}")[0].decode())
        assert record["ip"]
        assert isinstance(record["port"], int)
        assert json.loads(record["peer"])["name"] == record["host"]
        assert json.loads(record["metadata"]) == {}


def test_a_cluster_that_is_watched_no_more_is_told_no_more(hosts, client, zookeeper):
    host = hosts()
    cluster = host.watch("web")
    host.complete()
    host.discovery.stop_watching(cluster)
    put(client, f"{zookeeper.path}/web/other:80", old_record())
    for _ in range(5):
        host.turn()
    assert names(cluster) == []


# SmartStack


def test_records_of_nerve_are_read_and_written(hosts, client, zookeeper):
    put(
        client,
        f"{zookeeper.path}/web/i-1_0000000007",
        b'{"host":"10.0.0.5","port":31000,"name":"i-1","weight":3,"labels":{"az":"b"}}',
    )
    put(client, f"{zookeeper.path}/web/i-2_0000000008", b'{"host":"localhost","port":31001,"name":"i-2"}')
    put(client, f"{zookeeper.path}/web/i-3_0000000009", b'{"host":"no.such.host.invalid","port":31001,"name":"i-3"}')
    host = hosts(format="nerve")
    cluster = host.watch("web")
    host.announce(host.item(weight=5, labels={"az": "a"}, version="4"))
    report = host.sees(cluster, "10.0.0.1:80", "10.0.0.5:31000", "localhost:31001")
    assert cluster.nodes[1].metadata == {"weight": 3, "labels": {"az": "b"}}
    assert cluster.nodes[2].ip == "127.0.0.1"
    assert "no.such.host.invalid" in report.details["refused"]["web/i-3_0000000009"]
    assert json.loads(client.get(f"{zookeeper.path}/web/host-a:80")[0]) == {
        "host": "10.0.0.1", "port": 80, "name": "host-a", "weight": 5, "labels": {"az": "a"},
    }  # fmt: skip


# Changes while it runs


def test_a_changed_path_moves_announcements_new_before_old(hosts, client, zookeeper):
    host = hosts()
    cluster = host.watch("web")
    host.announce(host.item(), host.item(port=81))
    host.announce(host.item(), host.item(port=81, wanted=Wanted.HOLD))
    host.sees(cluster, "host-a:80", "host-a:81")
    new = f"{zookeeper.path}/elsewhere"
    assert host.discovery.adapt({**host.config, "path": new})
    assert names(cluster) == ["host-a:80", "host-a:81"], "known until it is read anew"
    host.until(
        lambda report: client.exists(f"{new}/web") and not client.get_children(f"{zookeeper.path}/web"), what="moved"
    )
    host.sees(cluster, "host-a:80", "host-a:81")
    for port in (80, 81):
        assert client.exists(f"{new}/web/host-a:{port}")
    made = max(client.exists(f"{new}/web/host-a:{port}").czxid for port in (80, 81))
    assert made < client.exists(f"{zookeeper.path}/web").pzxid, (
        "the last of the old ones went after the last new one came"
    )
    assert host.maintain().details["connections"] == 1


def test_a_changed_format_is_set_without_a_flap(hosts, client, zookeeper):
    host = hosts()
    host.announce(host.item())
    created = client.exists(f"{zookeeper.path}/web/host-a:80").czxid
    assert host.discovery.adapt({**host.config, "format": "nerve"})
    host.until(lambda _: b'"name"' in client.get(f"{zookeeper.path}/web/host-a:80")[0][:40], what="written")
    assert client.exists(f"{zookeeper.path}/web/host-a:80").czxid == created


def test_another_timeout_needs_a_new_object(hosts, client, zookeeper):
    host = hosts()
    host.announce(host.item())
    assert not host.discovery.adapt({**host.config, "session_timeout": 15.0})
    new = hosts(handover=host.next_generation(), session_timeout=15.0)
    new.announce(new.item())
    assert new.session.number == host.session.number
    assert new.maintain().details["session_timeout"] == 15.0


# The server


@pytest.fixture
def own_server(tmp_path):
    server = Ensemble(tmp_path / "zookeeper")
    realm = Realm(server)
    try:
        yield realm
    finally:
        realm.close()
        server.stop()


def test_a_server_that_comes_goes_and_loses_its_data(own_server, monkeypatch):
    monkeypatch.setattr(timetable, "RETURN", 0.0)
    realm = own_server
    host = Host(realm, session_timeout=6.0)
    try:
        cluster = host.watch("web")
        report = host.maintain()
        assert (report.complete, cluster.nodes) == (False, None)
        assert realm.hosts[0] in report.degraded
        with pytest.raises(RegistryError, match="a connection to ZooKeeper"):
            host.discovery.announce([host.item()])
        report = host.until(lambda report: "refused" in report.degraded, what="the reason is told")

        realm.ensemble.start()
        host.announce(host.item())
        host.sees(cluster, "host-a:80")
        assert host.maintain().degraded is None

        server = realm.ensemble.servers[0]
        server.kill()
        report = host.until(lambda report: not report.complete, what="noticed")
        assert names(cluster) == ["host-a:80"], "unknown is not empty"
        realm.ensemble.start()
        report = host.complete()
        assert report.details["expired_sessions"] == 0
        assert names(cluster) == ["host-a:80"]

        realm.ensemble.wipe()
        realm.ensemble.start()
        host.until(
            lambda report: report.complete and report.details["announced"] == 1,
            within=60,
            what="after the loss of all data",
        )
        assert host.maintain().details["expired_sessions"] == 1
        host.sees(cluster, "host-a:80")
        client = realm.client()
        assert client.exists(f"{realm.path}/web/host-a:80").ephemeralOwner == host.session.number
    finally:
        host.stop()


def test_hosts_change_while_it_runs(zookeeper, hosts, client):
    from support.faultproxy import FaultProxy

    with FaultProxy(zookeeper.ensemble.servers[0].port) as proxy:
        host = hosts(hosts=[f"127.0.0.1:{proxy.port}"])
        host.announce(host.item())
        path = f"{zookeeper.path}/web/host-a:80"
        before = client.get(path)
        observer = Observer(client, path)
        assert host.discovery.adapt({**host.config, "hosts": ",".join(zookeeper.hosts)})
        host.until(lambda report: report.details["server"] == zookeeper.hosts[0], what="moved to the new server")
        host.complete()
        assert client.get(path) == before
        assert observer.events == []


def test_a_server_that_is_configured_no_more_is_not_connected_to(zookeeper, hosts):
    """The client library goes on through the list of servers that it had when the connection broke."""
    from support.faultproxy import FaultProxy

    with ExitStack() as stack:
        proxies = [stack.enter_context(FaultProxy(zookeeper.ensemble.servers[0].port)) for _ in range(6)]
        old, new = ([f"127.0.0.1:{proxy.port}" for proxy in some] for some in (proxies[:5], proxies[5:]))
        host = hosts(hosts=old)
        for servers in (new, old, new):
            before = host.complete().details["connections"]
            assert host.discovery.adapt({**host.config, "hosts": servers})
            report = host.until(lambda report, before=before: report.details["connections"] > before, what="another")
            assert report.details["server"] in servers
            assert report.details["expired_sessions"] == 0


def test_another_ensemble_is_moved_to_and_nothing_known_is_lost(zookeeper, hosts, client, own_server, monkeypatch):
    monkeypatch.setattr(timetable, "RETURN", 0.0)
    own_server.ensemble.start()
    host = hosts(session_timeout=2.0)
    cluster = host.watch("web")
    host.announce(host.item())
    host.sees(cluster, "host-a:80")
    other = own_server.client()
    put(other, f"{zookeeper.path}/web/other:80", old_record())
    assert host.discovery.adapt({**host.config, "hosts": own_server.hosts})
    host.until(lambda _: other.exists(f"{zookeeper.path}/web/host-a:80"), what="announced there")
    assert names(cluster) == ["host-a:80"]
    host.sees(cluster, "host-a:80", "other:80")
    until(lambda: not client.exists(f"{zookeeper.path}/web/host-a:80"), what="gone with its session")


def test_the_session_stays_when_the_plugin_leaves(hosts, client, zookeeper):
    host = hosts()
    host.announce(host.item())
    fd = host.discovery.watch_fd()
    host.stop()
    assert host.discovery.watch_fd() is None
    with pytest.raises(OSError):
        os.fstat(fd)
    assert client.exists(f"{zookeeper.path}/web/host-a:80")


def test_a_client_that_was_left_while_it_connected_connects_no_more(hosts):
    host = hosts()
    handler = host.discovery._connection._client._handler
    host.stop()
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(OSError) as refused:
        handler.create_connection(listener.getsockname(), hostname="localhost")
    assert "it was left" in refused.value.strerror


def test_new_connections_after_a_broken_one_are_spread_by_chance(zookeeper, hosts, monkeypatch):
    """When a server breaks those of a whole fleet; the first connection of a host waits for nothing."""
    from support.faultproxy import FaultProxy

    class Left:
        """Takes the place of the event on which the handler waits."""

        def __init__(self):
            self.waits = []

        def is_set(self):
            return False

        def wait(self, seconds):
            self.waits.append(seconds)

    with FaultProxy(zookeeper.ensemble.servers[0].port) as proxy:
        fleet = [hosts(f"host-{n}", hosts=[f"127.0.0.1:{proxy.port}"]) for n in range(8)]
        handlers = [host.discovery._connection._client._handler for host in fleet]
        for host, handler in zip(fleet, handlers, strict=True):
            host.complete()
            monkeypatch.setattr(handler, "left", Left())
        proxy.cut()
        for host in fleet:
            host.until(lambda report: report.details["connections"] == 2 and report.complete, what="back")
        waits = [handler.left.waits for handler in handlers]
        monkeypatch.undo()
        assert {len(some) for some in waits} == {1}
        assert len({seconds for (seconds,) in waits}) == len(fleet), "each another"
        assert max(seconds for (seconds,) in waits) <= min(LONGEST_WAIT, 10.0 / 20)


def test_it_is_found_by_its_entry_point():
    from importlib.metadata import entry_points

    (entry,) = entry_points(group="lighthouse.discovery", name="zookeeper")
    assert entry.load() is ZookeeperDiscovery
