"""Clusters that HAProxy refuses cost only themselves, and reloads keep their distance: against a real HAProxy."""

import socket
import string
import subprocess
from dataclasses import replace

import pytest

from lighthouse.cluster import Cluster
from lighthouse.errors import NodeError
from lighthouse.haproxy.document import parse
from lighthouse.node import Node
from lighthouse.preview import Way
from support.haproxy import Load, backends, balancer, cluster, get
from support.hostile import KEYS, hostile
from support.ports import free_port
from support.wait import until

pytestmark = pytest.mark.versions

NODE = Node("a", "127.0.0.1", 9)


def section(paths, header):
    return parse(paths.file.read_text()).section(header)


def test_a_refused_cluster_keeps_its_last_good_lines_and_the_others_go_on(paths):
    made, port, other = balancer(paths), free_port(), free_port()
    with backends("a", "b") as (a, b):
        made.sync([cluster("web", [a], port=port, backend=["balance first"])])
        bad = cluster("web", [b], port=port, backend=["balance first", "blance x"])
        with Load(port) as load:
            report = made.sync([bad, cluster("db", [a], port=other, frontend=["maxconn 9"])])
            until(lambda: load.ok["b"], what="requests at b")
        assert load.failed == []
        assert set(report["quarantined"]) == {"web"}
        assert "unknown keyword 'blance'" in report["quarantined"]["web"]
        assert report["quarantined"]["web"].endswith("`blance x`")
        assert report["degraded"].startswith("cluster web is quarantined: line ")
        assert section(paths, "backend web").lines == ("balance first",)
        assert section(paths, "frontend db:in").lines[0] == "maxconn 9"
        assert get(other) == (200, "a")
        assert get(port) == (200, "b"), "its members follow the registry as always"
        assert paths.reloads() == 1
        # Nothing is asked again for a while, by this process or after a restart of HAProxy and ours.
        assert made.sync([bad, cluster("db", [a], port=other, frontend=["maxconn 9"])])["last"]["reload"] is None
        bad.nodes = [a.node, b.node]
        report = made.sync([bad, cluster("db", [a], port=other, frontend=["maxconn 9"])])
        assert report["leaving"] == {}
        assert {item.name for item in section(paths, "backend web").members} == set(paths.servers("web"))
        assert len(paths.servers("web")) == 2
        bad.nodes = [b.node]
        paths.file.unlink()
        report = made.sync([bad, cluster("db", [a], port=other, frontend=["maxconn 9"])])
        assert (report["last"]["reload"], get(port)) == (None, (200, "b")), "what runs is known without the file"
        assert [item.name for item in section(paths, "backend web").members] == [b.node.name]
        paths.stop()
        report = balancer(paths).sync([bad, cluster("db", [b], port=other, frontend=["maxconn 9"])])
        assert set(report["quarantined"]) == {"web"}
        assert get(port) == (200, "b")
        assert get(other) == (200, "b")
        report = made.sync(
            [cluster("web", [b], port=port, backend=["balance leastconn"]), cluster("db", [b], port=other)]
        )
        assert report["quarantined"] == {}
        assert report["degraded"] is None
        assert section(paths, "backend web").lines == ("balance leastconn",)


def test_several_are_found_among_many(paths):
    made = balancer(paths)
    good = {f"c{number:02}": {"backend": ["balance first"]} for number in range(30)}
    made.sync([cluster(name, [NODE], **options) for name, options in good.items()])
    bad = {"c03": {"backend": ["nonsense"]}, "c17": {"server_options": "chek"}, "new": {"backend": ["balance what"]}}
    fine = {name: {"backend": ["balance random"]} for name in good}
    report = made.sync([cluster(name, [NODE], **options) for name, options in (fine | bad).items()])
    assert set(report["quarantined"]) == set(bad)
    assert section(paths, "backend c03").lines == ("balance first",)
    assert section(paths, "backend c04").lines == ("balance random",)
    assert section(paths, "backend new") is None
    assert report["servers"]["new"] == {NODE.name: "pending"}


def test_a_complaint_that_names_no_line(paths, monkeypatch):
    """As a fault that shows only when all is put together: it is found by trying without one half, then the other."""
    monkeypatch.setattr("lighthouse.haproxy.process.places", lambda *_: {})
    made = balancer(paths)
    names = [f"c{number}" for number in range(9)]
    made.sync([cluster(name, [NODE]) for name in names])
    bad = ("c2", "c7")
    clusters = [cluster(name, [NODE], backend=["nonsense" if name in bad else "balance first"]) for name in names]
    with monkeypatch.context() as patch:
        patch.setattr("lighthouse.haproxy.searching.SLICE", 0)
        for tries in (1, 2):
            report = made.sync(clusters)
            assert (
                f"the search for the lines that are the cause goes on, after {tries} tries: line " in report["degraded"]
            )
            assert (report["quarantined"], report["again"]) == ({}, 1.0)
            clusters = [replace(item, nodes=[*item.nodes, Node(f"b{tries}", "127.0.0.1", 10)]) for item in clusters]
        assert set(paths.servers("c3")) == {"a:9", "b1:10"}, "members go on"
    report = made.sync(clusters)
    assert set(report["quarantined"]) == set(bad)
    assert section(paths, "backend c3").lines == ("balance first",)
    assert set(paths.servers("c3")) == set(paths.servers("c7")) == {"a:9", "b1:10", "b2:10"}


def test_a_line_of_everyone_is_not_put_on_a_cluster(paths):
    made = balancer(paths)
    made.sync([cluster("web", [NODE])])
    report = balancer(paths, **{"global": ["nonsense"]}).sync([cluster("web", [NODE], backend=["balance first"])])
    assert report["quarantined"] == {}
    assert "not in force" in report["degraded"]
    assert "(global): unknown keyword 'nonsense'" in report["degraded"]
    assert section(paths, "backend web").lines == ()


@pytest.mark.parametrize("whose", ["cluster", "global"])
def test_slots_grow_under_the_lines_that_stay(paths, whose):
    """Members join whatever is refused, and so do those of the others; by a reload if there is no slot, at its time."""
    port, own, bad = free_port(), ["balance source"], ["nonsense"]
    wrong = {"global": bad} if whose == "global" else {}

    def clusters(node, web, db=1):
        nodes = [
            [replace(node, host=f"{name}{number}") for number in range(count)]
            for name, count in (("w", web), ("d", db))
        ]
        lines = [*own, *(bad if whose == "cluster" else [])]
        return [cluster("web", nodes[0], port=port, backend=lines), cluster("db", nodes[1], backend=own)]

    with backends("a") as (a,):
        balancer(paths).sync([cluster("web", [a], port=port, backend=own), cluster("db", [a], backend=own)])
        with Load(port) as load:
            report = balancer(paths, restart_interval=60, **wrong).sync(clusters(a.node, 12))
            assert "backend web" in report["pending"]
            made = balancer(paths, **wrong)
            effects = made.preview(clusters(a.node, 12)).effects
            assert "slots" in " ".join(line.what for line in effects if line.way is Way.RELOAD)
            report = made.sync(clusters(a.node, 12))
            assert report["last"]["reload"] == "backend web needs 18 slots for its members"
            load.wait_for(5)
        assert load.failed == []
        assert (len(paths.servers("web")), set(report["servers"]["web"].values())) == (12, {"up"})
        assert section(paths, "backend web").lines == tuple(own)
        assert "unknown keyword 'nonsense'" in report["degraded"]
        made.sync(clusters(a.node, 12, 5))
        report = made.sync(clusters(a.node, 12, 5))
        assert report["last"] == {"commands": 0, "start": None, "reload": None}
        assert (len(paths.servers("db")), paths.reloads()) == (5, 1)
        paths.stop()
        report = balancer(paths, **wrong).sync(clusters(a.node, 40, 5))
        assert len(paths.servers("db")) == 5
        report = balancer(paths, **wrong).sync(clusters(a.node, 40, 5))
        assert set(report["servers"]["web"].values()) == {"up"}
        assert paths.reloads() == (whose == "global"), "what can be told before a start needs no reload after it"


def test_a_port_of_a_quarantined_cluster_is_not_shared(paths):
    made, port, other = balancer(paths), free_port(), free_port()
    with backends("a", "b") as (a, b):
        made.sync([cluster("web", [a], port=port)])
        report = made.sync([cluster("api", [b], port=port), cluster("web", [a], port=other, backend=["nonsense"])])
        assert set(report["quarantined"]) == {"api", "web"}
        assert "is still that of frontend web:in" in report["quarantined"]["api"]
        assert {get(port) for _ in range(4)} == {(200, "a")}
        elsewhere = cluster("api", [b], port=free_port(), frontend=[f"bind 127.0.0.2:{port}"])
        report = made.sync([elsewhere, cluster("web", [a], port=other, backend=["nonsense"])])
        assert report["quarantined"].keys() == {"web"}, "the same port of another address is nobody else's business"
        assert get(port, host="127.0.0.2") == (200, "b")


def test_who_listens_at_a_port_keeps_it(paths):
    """Whatever another file says; also over a restart of HAProxy and ours."""
    port, other = free_port(), free_port()
    with backends("a", "b") as (a, b):
        balancer(paths).sync([cluster("web", [a], port=port), cluster("sticky", [b], port=other)])
        thief = {"thief": {"port": port, "upstreams": [{"host": "127.0.0.1", "port": b.port}]}}
        made, clusters = (
            balancer(paths, proxies=thief),
            [cluster("web", [a], port=port), cluster("sticky", [b], port=other)],
        )
        clusters.append(cluster("aaa", [b], port=port))
        refused = {line.where for line in made.preview(clusters).effects if line.way is Way.REFUSED}
        assert refused == {"cluster aaa", "haproxy"}
        with Load(port) as load:
            for _ in range(2):
                report = made.sync(clusters)
                assert report["quarantined"] == {
                    "aaa": f"port {port} belongs to cluster web, which listens there already; choose another"
                }
                assert f"proxy thief: port {port} belongs to cluster web" in report["degraded"]
            clusters[0] = cluster("web", [a], port=other)
            report = made.sync(clusters)
            assert report["quarantined"]["web"].endswith("choose another, until then it stays where it listens")
            load.wait_for(20)
        assert (load.failed, set(load.ok)) == ([], {"a"})
        assert get(other) == (200, "b")
        paths.stop()
        made = balancer(paths, proxies=thief)
        assert set(made.sync(clusters)["quarantined"]) == {"web", "aaa"}
        assert [get(port), get(other)] == [(200, "a"), (200, "b")]
        assert "thief" not in paths.file.read_text()


def test_what_others_still_name_stays_when_it_is_removed(paths):
    """By a line, a table, peers or a server: HAProxy would refuse the file as a whole. So it is after a restart of everything."""
    ports = {name: free_port() for name in ("a", "b", "c", "e", "meta", "peers", "px")}
    upstream = {"port": ports["px"], "upstreams": [{"host": "127.0.0.1", "port": 9}]}
    table = "stick-table type ip size 1k"
    metas = {"m": {"port": ports["meta"], "frontend": ["default_backend b"]}}
    door = ["tcp-request connection accept", "declare capture request len 5", "http-request capture src len 9"]
    proxied = {"px": upstream | {"options": [table, *door, "default_backend b"]}}
    with backends("a", "b", "b2") as (a, b, b2):
        track = f"track b/{b.node.name}"
        users = [
            cluster("a", [a], port=ports["a"], frontend=["use_backend b if TRUE"]),
            cluster(
                "c", [a], port=ports["c"], backend=["stick-table type ip size 2k peers b", "stick on src table b:in"]
            ),
            cluster("d", [a], backend=["http-request track-sc0 src table px"], server_options=track),
        ]
        lines = {"frontend": [table], "backend": [f"{table} peers b"], "server_options": "check"}
        removed = cluster("b", [b, b2], port=ports["b"], peers=ports["peers"], **lines)
        more = {"meta_clusters": metas, "local_peer": "me"}
        balancer(paths, **more, proxies=proxied).sync([removed, *users])
        made, now = balancer(paths, **more), [*users, cluster("e", [a], port=ports["e"])]
        plan = {(line.way, line.where) for line in made.preview(now).effects}
        assert plan == {
            *((Way.RELOAD, header) for header in ("frontend e:in", "backend e", "frontend b:in", "listen px")),
            *((Way.RELOAD, header) for header in ("backend b:in", "backend px")),
            *((Way.REFUSED, where) for where in ("cluster a", "cluster c", "cluster d", "haproxy")),
        }
        with Load(ports["a"]) as load:
            report = made.sync(now)
            load.wait_for(20)
        assert (load.failed, set(load.ok)) == ([], {"b", "b2"})
        for _ in range(2):
            assert (report["quarantined"], report["pending"]) == ({}, None)
            assert (
                "cluster a: a line `use_backend` (frontend a:in) still names b, which is configured no more: backend b stays, with "
                "the servers known last, until that line goes, or b comes back" in report["degraded"]
            )
            assert "frontend m:in: a line `default_backend` (frontend m:in) still names b" in report["degraded"]
            assert "cluster d: a line `server_options` (backend d) still names b" in report["degraded"]
            assert {get(ports["a"])[1], get(ports["meta"])[1]} <= {"b", "b2"}
            assert [get(ports[name]) for name in ("c", "e")] == [(200, "a")] * 2
            with pytest.raises(ConnectionRefusedError):
                get(ports["b"])
            with pytest.raises(ConnectionRefusedError):
                get(ports["px"])
            assert " id=me(local" in paths.ask("show peers"), "a name among peers that it has only for what stays"
            assert made.preview(now).effects[0].way is Way.REFUSED, "nothing would change"
            assert not any(line.way is Way.RELOAD for line in made.preview(now).effects)
            paths.stop()
            made = balancer(paths, **more)
            report = made.sync(now)
        users = [
            cluster("a", [a], port=ports["a"]),
            cluster("c", [a], port=ports["c"]),
            cluster("e", [a], port=ports["e"]),
        ]
        report = balancer(paths).sync(users)
        assert report["degraded"] is None
        assert not any(header in paths.file.read_text() for header in ("backend b", "peers b", "backend px"))


# -- the distance between reloads ----------------------------------------------------------------------------------------------


def edits(made, count, port, node):
    for number in range(count):
        yield made.sync([cluster("web", [node], port=port, backend=[f"timeout queue {number + 1}s"])])


def test_fifty_edits_are_one_reload(paths):
    made, port = balancer(paths, restart_interval=60), free_port()
    with backends("a", "b") as (a, b):
        made.sync([cluster("web", [a], port=port)])
        with Load(port) as load:
            for report in edits(made, 50, port, b):
                assert report["last"]["reload"] is None
                assert report["pending"] == "lines of backend web changed"
                assert 0 < report["again"] <= 60
                assert report["degraded"] is None
            until(lambda: load.ok["b"], what="the new member, who waits for no reload")
            assert section(paths, "backend web").lines == ()
            assert [item.name for item in section(paths, "backend web").members] == [b.node.name], "nor does the file"
            made._tools.pace._last -= 60
            report = made.sync([cluster("web", [b], port=port, backend=["timeout queue 50s"])])
            assert report["last"]["reload"] == "lines of backend web changed"
            assert report["pending"] is None
            load.wait_for(10)
        assert load.failed == []
        assert paths.reloads() == 1
        assert section(paths, "backend web").lines == ("timeout queue 50s",)


def test_the_reload_that_waited_comes_by_itself(paths):
    made, port = balancer(paths, restart_interval=0.5), free_port()
    made.sync([cluster("web", [NODE], port=port)])
    assert len(list(edits(made, 20, port, NODE))) == 20
    until(
        lambda: made.sync([cluster("web", [NODE], port=port, backend=["timeout queue 20s"])])["pending"] is None,
        what="the reload",
    )
    assert section(paths, "backend web").lines == ("timeout queue 20s",)


def test_a_fresh_process_keeps_the_distance(paths):
    balancer(paths, restart_interval=60).sync([cluster("web", [NODE])])
    report = balancer(paths, restart_interval=60).sync([cluster("web", [NODE], backend=["balance first"])])
    assert report["pending"]


def test_no_reload_while_too_many_old_processes_linger(paths):
    made, port = balancer(paths, max_old_workers=2, defaults=["mode tcp"]), free_port()
    with backends("a") as (a,):
        made.sync([cluster("web", [a], port=port)])
        kept = []
        try:
            for number in range(2):
                kept.append(socket.create_connection(("127.0.0.1", port)))
                until(lambda: "127.0.0.1" in paths.ask("show sess"), what="a session")
                made.sync([cluster("web", [a], port=port, backend=[f"timeout queue {number + 1}s"])])
            report = made.sync([cluster("web", [a], port=port, backend=["timeout queue 9s"])])
            assert "2 old HAProxy processes" in report["degraded"]
            assert report["pending"] == "lines of backend web changed"
            assert report["haproxy"]["old_workers"] == 2
        finally:
            for connection in kept:
                connection.close()
        until(lambda: made.sync([cluster("web", [a], port=port, backend=["timeout queue 9s"])])["degraded"] is None)
        assert section(paths, "backend web").lines == ("timeout queue 9s",)


# -- what comes from the registry ----------------------------------------------------------------------------------------------


def test_hostile_records_never_reach_the_file(paths):
    nodes, refused, count = [], 0, 0
    for record in hostile():
        count += 1
        try:
            nodes.append(Node.from_mapping(record))
        except NodeError:
            refused += 1
    assert count > 1000
    assert refused > 100
    assert len(nodes) > 100
    made = balancer(paths)
    options = {"server_metadata": list(KEYS)}
    report = made.sync(
        [cluster("web", nodes, **options), cluster("fixed", nodes, backend=["balance source"], **options)]
    )
    assert report["degraded"] is None
    text = paths.file.read_bytes()
    assert text.isascii()
    assert b"evil" not in text
    for line in text.decode().split("\n"):
        if line.startswith("\tserver "):
            assert set(line) <= set(string.ascii_letters + string.digits + "\t _.:-[]#"), line
            assert len(line.split()) <= 6, line
    assert made.sync(
        [cluster("web", nodes, **options), cluster("fixed", nodes, backend=["balance source"], **options)]
    )["last"] == {
        "commands": 0,
        "start": None,
        "reload": None,
    }
    flat = repr(report)
    assert "\x1b" not in flat
    assert flat.isprintable()
    for cluster_report in report["refused"].values():
        for name, why in cluster_report.items():
            assert name.isprintable()
            assert why.isprintable()
            assert len(why) < 1000


def test_peers_that_are_still_needed_go_on(paths):
    """Those of a cluster in quarantine, and those that a line names: in their place, without a reload."""
    made, table = balancer(paths, local_peer="me"), "stick-table type ip size 1k peers p"
    other, port = cluster("z", [NODE], port=free_port()), free_port()
    made.sync([other, cluster("p", [NODE], port=port, backend=[table], peers=free_port())])
    before = paths.file.read_text()
    report = made.sync([other, cluster("p", [NODE], backend=["nonsense"])])
    assert report["quarantined"].keys() == {"p"}
    assert paths.file.read_text() == before
    report = made.sync([other, cluster("p", [NODE], port=port, backend=[table])])
    assert report["quarantined"] == {}
    assert report["degraded"] == (
        "cluster p: a line `stick-table` (backend p) still names the peers of p, which are configured no more: they stay until "
        "that line goes, or they come back"
    )
    assert paths.file.read_text() == before
    assert paths.reloads() == 0
    assert " id=me(local" in paths.ask("show peers")


def test_server_options_that_are_refused_once_there_is_a_member(paths):
    """Without one there is no line to judge. It joins neither at run time nor by a file, and nobody else waits for that."""
    made, options = balancer(paths), {"server_options": "ssl verify none crt /nonexistent.pem"}
    for nodes in ([], [NODE], [NODE, Node("b", "127.0.0.1", 9)]):
        lines = [f"timeout queue {len(nodes) + 1}s"]
        report = made.sync([cluster("web", nodes, **options), cluster("db", [NODE], backend=lines)])
        assert section(paths, "backend db").lines == tuple(lines)
        assert report["quarantined"].keys() == ({"web"} if nodes else set())
        assert section(paths, "backend web").members == ()
        assert subprocess.run(["haproxy", "-c", "-f", paths.file], capture_output=True, check=False).returncode == 0
    assert "unable to stat SSL certificate" in report["quarantined"]["web"]
    reloads = paths.reloads()
    assert made.sync([cluster("web", nodes, **options), cluster("db", [NODE], backend=lines)])["pending"] is None
    assert paths.reloads() == reloads == 2


def test_what_an_earlier_build_wrote_stays_as_it_was(paths):
    """Its frontends had their cluster's name alone. What is set apart in the very step of the upgrade keeps its lines."""
    port, meta = free_port(), free_port()

    def made(*lines):
        return balancer(paths, meta_clusters={"api": {"port": meta, "frontend": ["mode http", *lines]}})

    with backends("a", "b") as (a, b):
        web = Cluster("web", nodes=[a.node], meta_cluster="api")
        made().sync([replace(web, options={"port": port, "acl": "path /"})])
        paths.stop()
        now = parse(paths.file.read_text())
        older = [replace(item, header=item.header.removesuffix(":in")) for item in now.sections]
        paths.file.write_text(replace(now, sections=tuple(older)).text())
        socket_file, pid_file = paths.config["socket_file"], paths.config["pid_file"]
        master = f"{socket_file}.master,mode,600"
        subprocess.run(["haproxy", "-W", "-D", "-S", master, "-p", pid_file, "-f", paths.file], check=True)
        bad = replace(web, options={"port": port, "acl": "path /", "backend": ["nonsense"]})
        report = made("nonsense").sync([bad, cluster("db", [b])])
        assert report["quarantined"].keys() == {"web"}
        assert "frontend api:in is set apart" in report["degraded"]
        assert paths.reloads() == 1
        assert get(port) == get(meta) == (200, "a")
        headers = [item.header for item in parse(paths.file.read_text()).sections]
        assert headers == ["global", "defaults", "frontend api:in", "frontend web:in", "backend db", "backend web"]
