"""Ports against a real HAProxy: which listeners it takes side by side, and what one costs whose port is taken."""

import itertools
import re
import subprocess

import pytest

from lighthouse.haproxy.binds import places_of
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.process import HAProxyProcess
from lighthouse.haproxy.stanzas.section import Section
from lighthouse.node import Node
from lighthouse.preview import Way
from support.haproxy import Backend, backends, balancer, cluster, get, haproxy
from support.ports import free_port, is_free
from support.wait import until

pytestmark = pytest.mark.versions

NODE = Node("a", "127.0.0.1", 9)
FORMS = (
    *("127.0.0.1:{}", "127.0.0.2:{}", "*:{}", ":{}", "0.0.0.0:{} v6only", "ipv4@:{}", "[::ffff:127.0.0.1]:{}"),
    *("[::1]:{}", ":::{}", "[::]:{} v4v6", "[::]:{} v6only", "ipv6@:{} v4v6 v6only", "[0::0]:{} v6only"),
)


def on_one_port(*forms):
    port = free_port()
    return [form.format(port) for form in forms]


def test_listeners_clash_where_haproxy_finds_that_they_do(tmp_path):
    """With ``noreuseport`` it says at a start which it cannot bind; it accepts all of them otherwise, and shares connections."""
    pairs = list(itertools.starmap(on_one_port, itertools.combinations(FORMS, 2)))
    lines = ["global", "noreuseport", "defaults", "timeout client 1s", "timeout server 1s", "timeout connect 1s"]
    for number, (one, other) in enumerate(pairs):
        lines += [f"frontend {number}a", f"bind {one}", f"frontend {number}b", f"bind {other}"]
    file = tmp_path / "haproxy.cfg"
    file.write_text("\n".join(lines) + "\n")
    done = subprocess.run(["haproxy", "-db", "-f", file], capture_output=True, text=True, check=False, timeout=60)
    refused = {int(number) for number in re.findall(r"frontend (\d+)[ab]: (?:protocol \w+: )?cannot bind", done.stderr)}
    assert refused, done.stderr
    for number, pair in enumerate(pairs):
        document = Document((), tuple(Section("frontend x", (f"bind {place}",)) for place in pair))
        (_, one), (_, other) = places_of(document)
        assert (number in refused) == one.meets(other) == other.meets(one), pair


def test_one_has_all_of_ipv4_and_another_all_of_ipv6(paths):
    made, port = balancer(paths), free_port()
    with backends("a", "b") as (a, b):
        made.sync([cluster("six", [b], port=free_port(), frontend=[f"bind [::]:{port} v4v6"])])
        assert get(port) == get(port, host="::1") == (200, "b")
        web = cluster("web", [a], port=port, frontend=[f"bind *:{port}"])
        clusters = [web, cluster("six", [b], port=free_port(), frontend=[f"bind [::]:{port} v6only"])]
        assert made.sync(clusters)["degraded"] is None
        reloads = paths.reloads()
        assert get(port, host="127.0.0.2") == (200, "a")
        assert get(port, host="::1") == (200, "b")
        clusters[1] = cluster("six", [b], port=free_port(), frontend=[f"bind [::]:{port} v4v6"])
        report = made.sync(clusters)
        assert f"port {port} belongs to cluster web, which listens there already" in report["quarantined"]["six"]
        assert paths.reloads() == reloads
        assert get(port, host="::1") == (200, "b"), "until then it stays where it listens"


def test_a_port_in_use(paths):
    with backends("squatter") as (squatter,):
        report = balancer(paths).sync([cluster("web", [NODE], port=squatter.port), cluster("db", [NODE])])
        assert "frontend web:in: cannot listen" in report["degraded"]
        assert "another program has it" in report["degraded"]
        assert report["servers"] == {"web": {NODE.name: "pending"}, "db": {NODE.name: "up"}}
    report = balancer(paths).sync([cluster("web", [NODE], port=squatter.port), cluster("db", [NODE])])
    assert report["degraded"] is None
    assert report["servers"]["web"] == {NODE.name: "up"}


def test_a_port_that_is_taken_at_a_start_costs_its_own_listener_only(paths, monkeypatch):
    """As after a reboot at which another program was faster. The ports were HAProxy's before, and are tried again each time."""
    with backends("a", "web", "page", "proxy") as (a, *squatters):
        web, page, proxy = (item.port for item in squatters)
        port = free_port()
        upstreams = [{"host": "127.0.0.1", "port": a.port}]
        more = {
            "stats": {"port": page, "bind_address": "127.0.0.1"},
            "proxies": {"p": {"port": proxy, "upstreams": upstreams}},
        }
        clusters = [cluster("web", [a], port=web), cluster("db", [a], port=port)]
        for item in squatters:
            item.stop()
        made = balancer(paths, **more)
        assert made.sync(clusters)["degraded"] is None
        paths.stop()
        for item in (port, web, page, proxy):
            until(lambda item=item: is_free(item), what="the end of HAProxy's sockets")
        with Backend("web", web), Backend("page", page), Backend("proxy", proxy):
            for _ in range(2):
                report = made.sync(clusters)
                assert (
                    f"frontend web:in: cannot listen on 127.0.0.1:{web}: another program has it" in report["degraded"]
                )
                assert f"listen stats: cannot listen on 127.0.0.1:{page}" in report["degraded"]
                assert f"listen p: cannot listen on 127.0.0.1:{proxy}" in report["degraded"]
                assert report["servers"] == {"web": {a.node.name: "pending"}, "db": {a.node.name: "up"}}
                assert [get(item)[1] for item in (port, web)] == ["a", "web"]
            # Another change goes on meanwhile, and HAProxy is not asked again and again; a listener that moves stays.
            clusters[1] = cluster("db", [a], port=port, backend=["balance leastconn"])
            asked = checked(monkeypatch)
            lines = [(item.way, item.where) for item in made.preview(clusters).effects]
            refused = [(Way.REFUSED, where) for where in ("listen p", "listen stats", "cluster web")]
            assert set(lines) == {*refused, (Way.RELOAD, "backend db")}
            for reload in ("lines of backend db changed", None, None):
                assert made.sync(clusters)["last"]["reload"] == reload
            assert len(asked) == 2
            assert "balance leastconn" in paths.file.read_text()
        report = made.sync(clusters)
        assert (report["degraded"], report["servers"]["web"]) == (None, {a.node.name: "up"})
        assert [get(item)[1] for item in (port, web, proxy)] == ["a"] * 3


def test_a_listener_whose_new_port_is_taken_stays_where_it_is(paths):
    with backends("a", "squatter") as (a, squatter):
        proxy = {"upstreams": [{"host": "127.0.0.1", "port": a.port}], "port": free_port()}
        balancer(paths, proxies={"p": proxy}).sync([])
        moved = {"p": proxy | {"port": squatter.port}}
        made = balancer(paths, proxies=moved)
        assert made.preview([]).effects[0].what.endswith("(it stays as it was)")
        report = made.sync([cluster("web", [a])])
        assert f"listen p: cannot listen on 127.0.0.1:{squatter.port}" in report["degraded"]
        assert report["servers"] == {"web": {a.node.name: "up"}}
        assert get(proxy["port"]) == (200, "a")
        # Somebody else is to have the port that it has, and waits for it.
        made, web = balancer(paths, proxies=moved), cluster("web", [squatter], port=proxy["port"])
        report = made.sync([web])
        assert (report["last"]["reload"], report["quarantined"].keys()) == (None, {"web"})
        assert "is still that of listen p, which is set apart" in report["quarantined"]["web"]
        assert report["servers"] == {"web": {squatter.node.name: "up"}}
        assert get(proxy["port"]) == (200, "a")
        squatter.stop()
        web.nodes = [a.node]
        assert made.sync([web])["degraded"] is None
        assert [get(port) for port in (proxy["port"], squatter.port)] == [(200, "a")] * 2


def checked(monkeypatch):
    """What HAProxy is asked to judge from now on."""
    asked, check = [], HAProxyProcess.check

    def noting(process, path, *args):
        asked.append(path)
        return check(process, path, *args)

    monkeypatch.setattr(HAProxyProcess, "check", noting)
    return asked


def test_a_port_is_not_shared_with_another_haproxy_at_a_start(paths, tmp_path_factory):
    port = free_port()
    with haproxy(tmp_path_factory.mktemp("other")) as other:
        balancer(other).sync([cluster("web", [NODE], port=port)])
        report = balancer(paths).sync([cluster("web", [NODE], port=port)])
        assert "another program has it" in report["quarantined"]["web"]
        assert str(port) not in paths.file.read_text()


@pytest.mark.parametrize("new", [True, False], ids=["new", "known"])
def test_a_listener_with_which_it_cannot_be_started_costs_itself_only(paths, new):
    port = free_port()
    with backends("a", "squatter") as (a, squatter):
        web = cluster("web", [a], port=port)
        if not new:
            balancer(paths).sync([web])
            paths.stop()
        report = balancer(paths).sync(
            [web, cluster("db", [a], port=free_port(), frontend=[f"bind localhost:{squatter.port}"])]
        )
        assert list(report["quarantined"]) == ["db"]
        assert f"`bind localhost:{squatter.port}`" in report["quarantined"]["db"]
        assert get(port) == (200, "a")
