"""A start of HAProxy with a configuration in which something is bad: it costs itself only, or the last good one is started."""

import contextlib
from dataclasses import replace

import pytest

from lighthouse.errors import BalancerError
from lighthouse.haproxy.document import parse
from lighthouse.haproxy.process import HAProxyProcess
from lighthouse.node import Node
from lighthouse.preview import Way
from support.haproxy import Backend, backends, balancer, cluster, get
from support.ports import free_port, is_free
from support.wait import until

pytestmark = pytest.mark.versions


def test_it_starts_with_the_last_good_configuration_rather_than_not_at_all(paths):
    port = free_port()
    with backends("a", "b", "squatter") as (a, b, squatter):
        balancer(paths).sync([cluster("web", [a], port=port)])
        for bad in ({"port": squatter.port}, {"backend": ["nonsense"]}):
            paths.stop()
            report = balancer(paths).sync([cluster("web", [b], port=port), cluster("db", [a], **bad)])
            assert "cluster db is quarantined" in report["degraded"]
            assert get(port) == (200, "b")
            assert list(parse(paths.file.read_text()).backends()) == ["web"]


@pytest.mark.parametrize("also_quarantined", [False, True], ids=["whole", "in part"])
@pytest.mark.parametrize("runs", [True, False], ids=["running", "not running"])
def test_a_configuration_that_haproxy_accepts_and_does_not_live_with_is_taken_back(
    paths, runs, also_quarantined, caplog
):
    """Its master ends with its new worker, and takes the old one with it."""
    deadly, port = paths.root / "deadly.lua", free_port()
    deadly.write_text("core.register_task(function() os.exit(3) end)\n")
    with backends("a", "b") as (a, b):
        balancer(paths).sync([cluster("web", [a], port=port)])
        if not runs:
            paths.stop()
        made = balancer(paths, **{"global": [f"lua-load {deadly}"]})
        bad = [cluster("bad", [a], backend=["nonsense x"])] if also_quarantined else []
        report = made.sync([cluster("web", [b], port=port), *bad])
        assert "HAProxy ended" in report["degraded"]
        assert (report["servers"]["web"], get(port)) == ({b.node.name: "up"}, (200, "b"))
        assert "lua-load" not in paths.file.read_text()
        pid = paths.pid()
        for members in ([a, b], [a]):
            report = made.sync([cluster("web", members, port=port), *bad])
            assert "HAProxy ended" in report["degraded"]
            assert set(paths.servers("web")) == {item.node.name for item in members}
        assert paths.pid() == pid, "it is not tried again so soon"
        paths.stop()
        caplog.set_level("INFO")
        made.sync([cluster("web", [a], port=port), *bad])
        assert caplog.messages.count("starting HAProxy") == 1, "nor at a start"


def test_a_configuration_with_which_it_ends_a_little_later_is_taken_back_too(paths, monkeypatch):
    """It comes up and answers. One end may be by chance, so it is started with it once more."""
    for module in ("trial", "reconcile"):
        monkeypatch.setattr(f"lighthouse.haproxy.{module}.SOON", 600)
    deadly, port = paths.root / "deadly.lua", free_port()
    deadly.write_text("core.register_task(function() core.msleep(500) os.exit(3) end)\n")
    with backends("a") as (a,):
        clusters = [cluster("web", [a], port=port)]
        balancer(paths).sync(clusters)
        made = balancer(paths, **{"global": [f"lua-load {deadly}"]})
        assert made.sync(clusters)["degraded"] is None
        for _ in range(2):
            until(lambda: not paths.pids(), what="its end")
            report = made.sync(clusters)
        assert "ends soon afterwards, again and again" in report["degraded"]
        assert "lua-load" not in paths.file.read_text()
        assert get(port) == (200, "a")
        assert "again and again" in made.sync(clusters)["degraded"]


def test_the_last_good_version_stays_while_something_else_runs(paths, monkeypatch):
    """Its successor lives, but its file is lost, and the next one has to wait: there is nothing else to go back to."""
    monkeypatch.setattr("lighthouse.haproxy.reconcile.SOON", 600)
    deadly, port = paths.root / "deadly.lua", free_port()
    deadly.write_text("core.register_task(function() os.exit(3) end)\n")
    with backends("a") as (a,):
        clusters = [cluster("web", [a], port=port)]
        balancer(paths).sync(clusters)
        good = paths.file.read_text()
        balancer(paths).sync([cluster("web", [a], port=port, backend=["balance first"])])
        monkeypatch.setattr("lighthouse.haproxy.reconcile.SOON", 0)
        paths.file.unlink()
        made = balancer(paths, restart_interval=60, **{"global": [f"lua-load {deadly}"]})
        assert made.sync(clusters)["pending"]
        paths.stop()
        assert "HAProxy ended" in made.sync(clusters)["degraded"]
        assert paths.file.read_text() == good
        assert get(port) == (200, "a")


def test_lines_that_a_newer_haproxy_refuses_cost_their_own_cluster_only(paths):
    """As at the first start after an upgrade: they were good, so they are in the file, too."""
    port = free_port()
    with backends("a") as (a,):
        good = [cluster("web", [a], backend=["balance first"]), cluster("db", [a], port=port)]
        balancer(paths).sync(good)
        paths.stop()
        paths.file.write_text(paths.file.read_text().replace("balance first", "gone x"))
        report = balancer(paths).sync([cluster("web", [a], backend=["gone x"]), cluster("db", [a], port=port)])
        assert "unknown keyword 'gone'" in report["quarantined"]["web"]
        assert report["servers"] == {"web": {a.node.name: "pending"}, "db": {a.node.name: "up"}}
        assert get(port) == (200, "a")
        assert balancer(paths).sync(good)["degraded"] is None


def test_a_proxy_that_fails_for_reasons_outside_costs_itself_only(paths, tmp_path, caplog):
    """A file that is gone: the clusters are served, and the rest once it can be."""
    page, names = tmp_path / "503.http", ("a", "partner")
    upstream = {"host": "127.0.0.1"}
    with backends(*names) as (a, partner):
        port, proxy, meta = free_port(), free_port(), free_port()
        page.write_text("HTTP/1.0 503 No\r\n\r\n")
        lines = [f"errorfile 503 {page}"]
        more = {
            "proxies": {"p": {"port": proxy, "upstreams": [upstream | {"port": partner.port}], "options": lines}},
            "meta_clusters": {"m": {"port": meta, "frontend": lines}},
        }
        web = [cluster("web", [a], port=port, acl="path_beg /")]
        web[0].meta_cluster = "m"
        assert balancer(paths, **more).sync(web)["degraded"] is None
        assert get(proxy) == (200, "partner")
        # Another proxy is new and bad: the rest goes on.
        gone = [f"errorfile 503 {tmp_path / 'gone.http'}"]
        bad = {"n": {"port": free_port(), "upstreams": [upstream | {"port": 1}], "options": gone}}
        made = balancer(paths, **more | {"proxies": more["proxies"] | bad})
        refused = [line for line in made.preview(web).effects if line.way is Way.REFUSED]
        assert [(line.where, line.what.endswith("(it is left out)")) for line in refused] == [("listen n", True)]
        web = [replace(web[0], options={**web[0].options, "backend": ["balance first"]})]
        for reload in ("lines of backend web changed", None):
            report = made.sync(web)
            assert report["last"]["reload"] == reload
            assert "listen n is set apart: " in report["degraded"]
            assert "gone.http" in report["degraded"]
        # It worked once and does not any more.
        page.unlink()
        paths.stop()
        caplog.set_level("INFO")
        for _ in range(3):
            report = made.sync(web)
            assert get(port) == (200, "a")
            assert all(
                f"{header} is set apart" in report["degraded"] for header in ("listen n", "listen p", "frontend m:in")
            )
        assert caplog.messages.count("starting HAProxy") == 1
        page.write_text("HTTP/1.0 503 No\r\n\r\n")
        made._tools.refusals.hasten(0)  # as after a minute
        report = made.sync(web)
        assert [get(item)[1] for item in (port, proxy, meta)] == ["a", "partner", "a"]
        assert "listen p" not in report["degraded"]


def test_what_was_refused_while_it_ran_is_asked_again_at_a_start(paths):
    """A file that vanishes costs a running HAProxy a reload at most, and an ended one that cluster only, not everything."""
    page, port = paths.root / "503.http", free_port()
    page.write_text("HTTP/1.0 503 No\r\n\r\n")
    with backends("a") as (a,):
        web = cluster("web", [a], port=port)
        db = cluster("db", [a], frontend=[f"errorfile 503 {page}"], port=free_port())
        made = balancer(paths)
        assert made.sync([web, db])["degraded"] is None
        page.unlink()
        clusters = [cluster("web", [a], port=port, backend=["balance leastconn"]), db]
        assert "503.http" in made.sync(clusters)["degraded"], "and this is remembered"
        paths.stop()
        report = made.sync(clusters)
        assert "503.http" in report["quarantined"]["db"]
        assert report["servers"] == {"web": {a.node.name: "up"}, "db": {a.node.name: "pending"}}
        assert get(port) == (200, "a")
        # What is remembered of these is that web goes on with its last good lines, until their file vanishes, too.
        page.write_text("HTTP/1.0 503 No\r\n\r\n")
        clusters = [cluster("web", [a], port=port), db]
        made._tools.refusals.hasten(0)
        assert made.sync(clusters)["degraded"] is None
        clusters[1] = cluster("db", [a], frontend=["nonsense"], port=free_port())
        assert set(made.sync(clusters)["quarantined"]) == {"db"}
        page.unlink()
        paths.stop()
        report = made.sync(clusters)
        assert set(report["quarantined"]) == {"db"}
        assert report["servers"] == {"web": {a.node.name: "up"}, "db": {a.node.name: "pending"}}


def test_the_last_good_configuration_too_is_started_without_what_is_bad_in_it(paths):
    """Two faults at once: the new one kills HAProxy, and of the old one a port is taken and a file is gone."""
    deadly, page, port = paths.root / "deadly.lua", paths.root / "503.http", free_port()
    deadly.write_text("core.register_task(function() os.exit(3) end)\n")
    page.write_text("HTTP/1.0 503 No\r\n\r\n")
    with backends("a") as (a,):
        stats = {"port": free_port(), "bind_address": "127.0.0.1"}
        clusters = [cluster("web", [a], port=port), cluster("db", [a], frontend=[f"errorfile 503 {page}"])]
        clusters.append(cluster("api", [a], port=free_port()))
        balancer(paths, stats=stats).sync(clusters)
        paths.stop()
        page.unlink()
        until(lambda: is_free(stats["port"]), what="the end of HAProxy's sockets")
        with Backend("squatter", stats["port"]):
            made = balancer(paths, **{"stats": stats, "global": [f"lua-load {deadly}"]})
            report = made.sync(clusters)
        assert "HAProxy ended" in report["degraded"]
        assert f"listen stats: cannot listen on 127.0.0.1:{stats['port']}" in report["degraded"]
        assert report["degraded"].count("listen stats") == 1
        assert report["servers"]["web"] == {a.node.name: "up"}
        assert get(port) == (200, "a")


def test_while_nothing_can_be_started_it_is_tried_again_soon(paths, monkeypatch):
    """Whatever it is tried with: what is wanted, and what was good."""
    monkeypatch.setattr("lighthouse.haproxy.starting.IDLE_RETRY", 0.5)
    deadly, fine, port = paths.root / "deadly.lua", paths.root / "fine.lua", free_port()
    fine.write_text("")
    with backends("a") as (a,):
        balancer(paths, **{"global": [f"lua-load {fine}"]}).sync([cluster("web", [a], port=port)])
        paths.stop()
        for script in (deadly, fine):
            script.write_text("core.register_task(function() os.exit(3) end)\n")
        made = balancer(paths, **{"global": [f"lua-load {deadly}"]})
        for _ in range(2):
            with pytest.raises(BalancerError, match="HAProxy ended"):
                made.sync([cluster("web", [a], port=port)])
        deadly.write_text("")

        def synced():
            try:
                return made.sync([cluster("web", [a], port=port)])
            except BalancerError:
                return None

        assert until(synced, what="a start")["degraded"] is None
        assert get(port) == (200, "a")


def test_a_port_that_is_taken_while_a_configuration_is_judged(paths, monkeypatch):
    """HAProxy would share it with another HAProxy. Nothing is held against the configuration."""
    check, port = HAProxyProcess.check, free_port()
    with backends("a") as (a,), contextlib.ExitStack() as stack:

        def late(*args):
            check(*args)
            stack.enter_context(Backend("squatter", port))

        made, clusters = balancer(paths), [cluster("web", [a], port=port)]
        with monkeypatch.context() as patch:
            patch.setattr(HAProxyProcess, "check", late)
            with pytest.raises(BalancerError, match=f"cannot listen on 127.0.0.1:{port}: another program has it"):
                made.sync(clusters)
        assert paths.pids() == []
        stack.close()
        assert made.sync(clusters)["degraded"] is None
        assert get(port) == (200, "a")


def test_what_no_reload_cures_is_one_reload_for_a_while(paths, monkeypatch):
    """A frontend that would come back shut down; no HAProxy does that."""
    made, clusters = balancer(paths), [cluster("web", [Node("a", "127.0.0.1", 9)], port=free_port())]
    made.sync(clusters)
    monkeypatch.setattr("lighthouse.haproxy.reconcile.shut_down", lambda *_: {"web:in": "web:in is shut down"})
    reloads = []
    for hastened in (False, False, False, True, False):
        if hastened:
            made._tools.refusals.hasten(0)  # as after a minute
        made._tools.memory.forget()
        report = made.sync(clusters)
        reloads.append(report["last"]["reload"])
    assert reloads == ["web:in is shut down", None, None, "web:in is shut down", None]
    assert "web:in is shut down" in report["degraded"]
