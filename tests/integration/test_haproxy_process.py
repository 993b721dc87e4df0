"""Starting HAProxy: it outlives its starter, starts once only, and says clearly why it cannot; and every point of a kill heals."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from lighthouse.errors import BalancerError
from lighthouse.haproxy.document import parse
from lighthouse.haproxy.files import ConfigFile
from lighthouse.haproxy.lifecycle import Lifecycle
from lighthouse.haproxy.options import HAProxySettings
from lighthouse.haproxy.process import HAProxyProcess
from lighthouse.haproxy.trial import Trial
from lighthouse.node import Node
from lighthouse.preview import Way
from support.haproxy import Backend, Load, backends, balancer, cluster, get, haproxy
from support.ports import free_port
from support.wait import until

pytestmark = pytest.mark.versions

NODE = Node("a", "127.0.0.1", 9)


class Killed(BaseException):
    """Stands for SIGKILL at a certain point: nothing catches it."""


def killed(*args, **kwargs):
    raise Killed


def test_it_survives_the_process_group_of_its_starter(paths):
    program = textwrap.dedent(f"""
        import os, time
        from lighthouse.cluster import Cluster
        from lighthouse.haproxy.balancer import HAProxy
        os.setsid()
        kept, _ = os.pipe()
        os.set_inheritable(kept, True)
        balancer = HAProxy()
        balancer.apply_config({paths.config!r})
        balancer.sync([Cluster("web", nodes=[])])
        print("done", flush=True)
        time.sleep(60)
    """)
    starter = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    try:
        assert starter.stdout.readline() == b"done\n"
        pid = paths.pid()
        os.killpg(starter.pid, signal.SIGKILL)
    finally:
        starter.kill()
        starter.wait()
        starter.stdout.close()
    assert paths.pid() == pid
    assert os.getsid(pid) != starter.pid
    assert paths.ask("show info").startswith("Name: HAProxy")
    assert balancer(paths).sync([cluster("web", [])])["haproxy"]["pid"] == pid
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    for name in "012":
        assert os.readlink(f"/proc/{pid}/fd/{name}") == "/dev/null"


def test_sockets_and_files_are_private(paths):
    balancer(paths).sync([cluster("web", [])])
    for name in os.listdir(paths.root):
        assert os.stat(paths.root / name).st_mode & 0o077 == 0, name


@pytest.mark.parametrize("binary", ["/nonexistent/haproxy", "no-such-haproxy"])
def test_a_missing_program(paths, binary):
    with pytest.raises(BalancerError, match="install HAProxy"):
        balancer(paths, binary=binary).sync([])


def test_a_program_that_goes_away_while_it_runs(paths, tmp_path):
    """Nothing needs it until a reload or a start does, and then it is too late."""
    real, program = shutil.which("haproxy"), tmp_path / "haproxy"
    program.symlink_to(real)
    made, clusters = balancer(paths, binary=str(program)), [cluster("web", [NODE])]
    assert made.sync(clusters)["degraded"] is None
    program.unlink()
    report = made.sync(clusters)
    assert "install HAProxy" in report["degraded"]
    assert report["servers"]["web"] == {NODE.name: "up"}
    program.symlink_to(real)
    assert made.sync(clusters)["degraded"] is None


def test_a_program_that_never_ends_its_check(paths, tmp_path, monkeypatch):
    program = tmp_path / "slow"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o700)
    monkeypatch.setattr("lighthouse.haproxy.process.CHECK_TIMEOUT", 0.2)
    with pytest.raises(BalancerError, match="did not end in time"):
        balancer(paths, binary=str(program)).sync([])


def test_a_missing_directory(paths):
    made = balancer(paths, config_file="/nonexistent/dir/haproxy.cfg")
    with pytest.raises(BalancerError, match="make the directory /nonexistent/dir"):
        made.sync([])


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
        for item in (web, page, proxy):
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
            assert len(asked) == 3
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
        # Somebody else wants the port that it has.
        made = balancer(paths, proxies=moved)
        assert made.sync([cluster("web", [a], port=proxy["port"])])["last"]["reload"]
        assert paths.file.read_text().count(f":{proxy['port']}") == 1


def checked(monkeypatch):
    """What HAProxy is asked to judge from now on."""
    asked, check = [], HAProxyProcess.check

    def noting(process, path, *args):
        asked.append(path)
        return check(process, path, *args)

    monkeypatch.setattr(HAProxyProcess, "check", noting)
    return asked


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def test_a_port_is_not_shared_with_another_haproxy_at_a_start(paths, tmp_path_factory):
    port = free_port()
    with haproxy(tmp_path_factory.mktemp("other")) as other:
        balancer(other).sync([cluster("web", [NODE], port=port)])
        report = balancer(paths).sync([cluster("web", [NODE], port=port)])
        assert "another program has it" in report["quarantined"]["web"]
        assert str(port) not in paths.file.read_text()


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
def test_a_configuration_that_haproxy_accepts_and_does_not_live_with_is_taken_back(paths, runs, also_quarantined):
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
        made._tools.refusals.forget()  # as after a minute
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
        made._tools.refusals.forget()
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
    monkeypatch.setattr("lighthouse.haproxy.starting.IDLE_RETRY", 0.5)
    deadly, port = paths.root / "deadly.lua", free_port()
    deadly.write_text("core.register_task(function() os.exit(3) end)\n")
    with backends("a") as (a,):
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


def test_a_check_without_an_end_keeps_nobody_from_starting_what_was_good(paths, tmp_path, monkeypatch):
    hanging, port = tmp_path / "hanging", free_port()
    program = tmp_path / "bin" / "haproxy"
    program.parent.mkdir()
    program.write_text(
        f"#!/bin/sh\ncase \" $* \" in *' -c '*) [ -e {hanging} ] && echo x >>{hanging} && exec sleep 600;; esac\n"
        f'exec {shutil.which("haproxy")} "$@"\n'
    )
    program.chmod(0o700)
    with backends("a", "b") as (a, b):
        made = balancer(paths, binary=str(program))
        made.sync([cluster("web", [a], port=port)])
        hanging.touch()
        monkeypatch.setattr("lighthouse.haproxy.process.CHECK_TIMEOUT", 0.2)
        paths.stop()
        clusters = [cluster("web", [b], port=port), cluster("db", [a])]
        for _ in range(2):
            report = made.sync(clusters)
            assert "did not end in time: see that a resolver answers" in report["degraded"]
            assert "cannot write" not in report["degraded"]
            assert report["servers"] == {"web": {b.node.name: "up"}, "db": {a.node.name: "pending"}}
            assert get(port) == (200, "b")
        assert [item.name for item in parse(paths.file.read_text()).backends()["web"].members] == [b.node.name]
        asked = len(hanging.read_text().split())
        made.sync(clusters)
        assert len(hanging.read_text().split()) == asked, "it takes up no more time of a sync"
        hanging.unlink()
        made._tools.refusals.forget()
        assert made.sync(clusters)["degraded"] is None


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


def test_a_program_that_is_broken_for_a_while(paths, tmp_path):
    """As amid an upgrade: a library is missing. HAProxy itself runs on; once the program is whole again, it is used at once."""
    program, port = tmp_path / "bin" / "haproxy", free_port()
    program.parent.mkdir()

    def become(line):
        new = program.with_suffix(".new")
        new.write_text(f"#!/bin/sh\n{line}\n")
        new.chmod(0o700)
        new.replace(program)

    whole = f'exec {shutil.which("haproxy")} "$@"'
    become(whole)
    with backends("a", "b") as (a, b):
        made = balancer(paths, binary=str(program))
        made.sync([cluster("web", [a], port=port)])
        clusters = [cluster("web", [b], port=port), cluster("db", [a])]
        for line, told in (("echo no libssl >&2; exit 127", "exit code 127: no libssl"), ("kill -9 $$", "signal 9")):
            become(line)
            report = made.sync(clusters)
            assert f"`haproxy -c` {'failed with' if '127' in told else 'was killed by'} {told}" in report["degraded"]
            assert report["quarantined"] == {}
            assert report["servers"] == {"web": {b.node.name: "up"}, "db": {a.node.name: "pending"}}
            assert [item.name for item in parse(paths.file.read_text()).backends()["web"].members] == [b.node.name]
        become(whole)
        assert made.sync(clusters)["degraded"] is None
        paths.stop()
        become("exit 1")
        for _ in range(2):
            with pytest.raises(
                BalancerError, match=r"HAProxy cannot be started: .* failed with exit code 1: it gave no"
            ):
                made.sync(clusters[:1])
        become(whole)
        assert made.sync(clusters[:1])["degraded"] is None
        assert get(port) == (200, "b")


def stopped(pid):
    """The signal reaches the threads of a process one after another."""
    tasks = list(Path(f"/proc/{pid}/task").iterdir())
    return all(") T " in (task / "stat").read_text() for task in tasks)


def test_a_stopped_haproxy_is_not_started_twice(paths, monkeypatch):
    made = balancer(paths)
    made.sync([])
    pids = paths.pids()
    monkeypatch.setattr("lighthouse.haproxy.sockets.TIMEOUT", 0.2)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    until(lambda: all(stopped(pid) for pid in pids), what="every thread of HAProxy to stop")
    try:
        with pytest.raises(BalancerError, match="does not answer"):
            made.sync([])
        assert paths.pids() == pids
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    until(lambda: paths.ask("show info"), what="HAProxy to go on")
    assert made.sync([])["haproxy"]["pid"] == paths.pid()


def test_a_master_that_is_stopped_keeps_nothing_but_a_reload_waiting(paths, monkeypatch):
    monkeypatch.setattr("lighthouse.haproxy.sockets.TIMEOUT", 0.2)
    port = free_port()
    with backends("a", "b") as (a, b):
        made = balancer(paths)
        made.sync([cluster("web", [a], port=port)])
        master = paths.pid()
        os.kill(master, signal.SIGSTOP)
        until(lambda: stopped(master), what="every thread of the master to stop")
        clusters = [cluster("web", [b], port=port), cluster("db", [a])]
        try:
            report = made.sync(clusters)
            assert f"not in force: HAProxy at {paths.root}/s.master does not answer" in report["degraded"]
            assert report["servers"] == {"web": {b.node.name: "up"}, "db": {a.node.name: "pending"}}
            assert get(port) == (200, "b")
            assert list(parse(paths.file.read_text()).backends()) == ["web"]
        finally:
            os.kill(master, signal.SIGCONT)
        until(lambda: "master" in paths.master("show proc"), what="the master to go on")
        until(lambda: made.sync(clusters)["degraded"] is None, what="a sync")
        assert paths.servers("db")


def test_one_that_serves_and_cannot_be_replaced_is_left_alone(paths, monkeypatch):
    """A start that fails may cost it connections, so that it is not tried as often as where nothing runs."""
    monkeypatch.setattr("lighthouse.haproxy.starting.IDLE_RETRY", 0)
    monkeypatch.setattr("lighthouse.haproxy.reader.APPEAR_TIMEOUT", 0.1)
    starts, start, port = [], HAProxyProcess.start, free_port()
    with backends("a") as (a,):
        made, clusters = balancer(paths), [cluster("web", [a], port=port)]
        made.sync(clusters)
        (paths.root / "s").unlink()
        (paths.root / "s").mkdir()
        monkeypatch.setattr(HAProxyProcess, "start", lambda *args: (starts.append(args), start(*args)))
        for _ in range(3):
            with pytest.raises(BalancerError, match=r"cannot be started: .*UNIX socket"):
                made.sync(clusters)
        assert len(starts) == 1
        assert get(port) == (200, "a")


def answer(listener):
    with contextlib.suppress(OSError):
        while True:
            with listener.accept()[0] as connection:
                connection.recv(1000)
                connection.sendall(b"what?\n\n")


def test_whatever_answers_in_the_place_of_the_master_members_change(paths):
    made, master = balancer(paths), paths.root / "s.master"
    with backends("a", "b") as (a, b), socket.socket(socket.AF_UNIX) as other:
        made.sync([cluster("web", [a])])
        master.unlink()
        other.bind(str(master))
        other.listen()
        answering = threading.Thread(target=answer, args=(other,))
        answering.start()
        report = balancer(paths).sync([cluster("web", [b])])
        other.shutdown(socket.SHUT_RDWR)
        answering.join()
        assert report["servers"] == {"web": {b.node.name: "up"}}
        assert "does not answer" in report["degraded"]


def test_a_process_that_executes_a_program_has_not_ended(paths, tmp_path):
    """As HAProxy's master does at each reload. It has no command line for a moment, which is long on a busy host."""
    program = tmp_path / "again"
    program.write_text('#!/bin/sh\nexec "$0"\n')
    program.chmod(0o700)
    process = HAProxyProcess(HAProxySettings.from_mapping(paths.config))
    busy = subprocess.Popen([program])
    try:
        gone = process.gone([busy.pid])
        assert not any(gone() for _ in range(3000))
        assert not process.gone([])()
    finally:
        busy.kill()
        until(gone, what="its end, whether its parent has taken note or not")
        busy.wait()
    assert gone()


def test_one_that_is_just_starting_is_waited_for(paths, monkeypatch):
    """The starter is killed right after the start: the next one must not start a second HAProxy on the same ports."""
    port = free_port()
    clusters = [cluster("web", [NODE], port=port)]
    monkeypatch.setattr(Lifecycle, "_ready", killed)
    with pytest.raises(Killed):
        balancer(paths).sync(clusters)
    monkeypatch.undo()
    report = balancer(paths).sync(clusters)
    assert report["degraded"] is None
    assert report["haproxy"]["pid"] == paths.pid()
    assert sorted(paths.pids()) == sorted([report["haproxy"]["pid"], report["haproxy"]["worker_pid"]])


POINTS = [
    (ConfigFile, "commit"),  # a candidate lies about
    (Trial, "begin"),  # all done
    (Lifecycle, "reload"),  # the new file is in place and not loaded
    (Lifecycle, "_has_reloaded"),  # the reload is on its way
    (Lifecycle, "_ready"),
]


@pytest.mark.parametrize(("owner", "method"), POINTS, ids=[name for _, name in POINTS])
@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_a_kill_at_any_point_of_a_reload_is_healed(paths, monkeypatch, owner, method, known):
    port = free_port()
    with backends("a", "b", "c") as (a, b, c):
        balancer(paths).sync([cluster("web", [a], port=port)])
        with Load(port) as load:
            clusters = [cluster("web", [a, b], port=port), cluster("db", [c])]
            monkeypatch.setattr(owner, method, killed)
            with pytest.raises(Killed):
                balancer(paths).sync(clusters)
            monkeypatch.undo()
            if not known:
                clusters[0].nodes = None
            report = until(lambda: balancer(paths).sync(clusters), what="a sync")
            assert report["degraded"] is None
            load.wait_for(20)
        assert load.failed == []
        assert paths.servers("web") == {item.node.name: f"127.0.0.1:{item.port}" for item in (a, b)}
        assert paths.servers("db") == {c.node.name: f"127.0.0.1:{c.port}"}
        assert parse(paths.file.read_text()).backends().keys() == {"web", "db"}
        until(lambda: len(paths.pids()) == 2, what="one master and one worker")


def test_a_kill_before_a_bad_reload_still_finds_the_way_back(paths, monkeypatch):
    port = free_port()
    with backends("a", "b", "squatter") as (a, b, squatter):
        balancer(paths).sync([cluster("web", [a], port=port)])
        clusters = [
            cluster("web", [a], port=port),
            cluster("db", [b], frontend=[f"bind localhost:{squatter.port}"], port=free_port()),
        ]
        monkeypatch.setattr(Lifecycle, "reload", killed)
        with pytest.raises(Killed):
            balancer(paths).sync(clusters)
        monkeypatch.undo()
        report = balancer(paths).sync(clusters)
        assert "goes on with the old one" in report["degraded"]
        assert list(parse(paths.file.read_text()).backends()) == ["web"]
        assert get(port) == (200, "a")


def test_a_haproxy_that_was_started_otherwise_is_taken_over(paths):
    """As lighthouse 1.0 did: without a master, on the same files."""
    port = free_port()
    with backends("a", "b") as (a, b):
        paths.file.write_text(
            f"global\n\tdaemon\n\tstats socket {paths.config['socket_file']} mode 600 level admin\n"
            f"defaults\n\tmode http\n\ttimeout connect 1s\n\ttimeout client 9s\n\ttimeout server 9s\n"
            f"frontend entry\n\tbind 127.0.0.1:{port}\n\tdefault_backend web\n"
            f"backend web\n\tserver {a.node.name} 127.0.0.1:{a.port}\n"
        )
        subprocess.run(["haproxy", "-f", paths.file, "-p", paths.config["pid_file"]], check=True)
        until(lambda: get(port) == (200, "a"), what="the old HAProxy")
        old = paths.pids()
        report = balancer(paths).sync([cluster("web", None, port=port), cluster("db", [b])])
        assert report["degraded"] is None
        assert report["servers"]["web"] == {a.node.name: "up"}
        assert report["last"]["reload"].startswith("HAProxy runs a configuration that is not ours")
        until(lambda: not set(old) & set(paths.pids()), what="the end of the old HAProxy")
        assert get(port) == (200, "a")
        assert balancer(paths).sync([cluster("web", [a, b], port=port), cluster("db", [b])])["last"]["reload"] is None


def test_other_paths_need_another_process(paths):
    """A reload would read the old file again."""
    balancer(paths).sync([cluster("web", [NODE])])
    old = paths.pids()
    other = str(paths.root / "other.cfg")
    try:
        report = balancer(paths, config_file=other).sync([cluster("web", [NODE])])
        assert report["degraded"] is None
        until(lambda: not set(old) & set(paths.pids()), what="the end of the old HAProxy")
        assert report["servers"] == {"web": {NODE.name: "up"}}
        assert paths.ask("show info").startswith("Name")
    finally:
        paths.config["config_file"] = other
        paths.stop()
