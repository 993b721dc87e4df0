"""The balancer against a real HAProxy: members at run time, the rest by reload, and no failed request."""

import os
import random
import select
import shutil
import signal
import socket
import stat
import subprocess

import pytest

from lighthouse.errors import BalancerError
from lighthouse.haproxy.deadline import CALL
from lighthouse.haproxy.document import Document, parse
from lighthouse.haproxy.ended import Ended
from lighthouse.haproxy.ports import Ports
from lighthouse.haproxy.stanzas.section import Section
from lighthouse.haproxy.versions import parsed
from lighthouse.node import Node
from lighthouse.preview import Way
from support.haproxy import Backend, Load, backends, balancer, cluster, get
from support.pki import Authority
from support.ports import free_port
from support.wait import until

NODE = Node("a", "127.0.0.1", 9)


def addresses(*members):
    return {item.node.name: f"127.0.0.1:{item.port}" for item in members}


def in_file(paths, backend):
    return {member.name: member.address for member in parse(paths.file.read_text()).backends()[backend].members}


def settled(made, *clusters):
    """Sync until no server is leaving any more."""

    def look():
        report = made.sync(clusters)
        return report if not report["leaving"] else None

    return until(look, what="the last server to leave")


def test_start_join_leave_move(paths):
    made, port = balancer(paths), free_port()
    with backends("a", "b", "c") as (a, b, c):
        report = made.sync([cluster("web", [a, b], port=port)])
        assert report["servers"] == {"web": {a.node.name: "up", b.node.name: "up"}}
        assert report["degraded"] is None
        assert report["haproxy"]["version"] in paths.ask("show info")
        assert report["haproxy"]["pid"] == paths.pid()
        with Load(port) as load:
            load.wait_for(20)
            made.sync([cluster("web", [a, b, c], port=port)])
            until(lambda: load.ok["c"], what="requests at c")
            made.sync([cluster("web", [b, c], port=port)])
            assert paths.servers("web") == addresses(b, c)
            with Backend("a2") as new:  # b's host, another port
                made.sync([cluster("web", [b, c, Node("b", "127.0.0.1", new.port)], port=port)])
                until(lambda: load.ok["a2"], what="requests at the new address")
                made.sync([cluster("web", [b, c], port=port)])
            load.wait_for(20)
        assert load.failed == []
        settled(made, cluster("web", [b, c], port=port))
        assert paths.reloads() == 0
        assert in_file(paths, "web") == paths.servers("web") == addresses(b, c)
        report = made.sync([cluster("web", [b, c], port=port)])
        assert report["last"] == {"commands": 0, "start": None, "reload": None}


def test_a_new_address_under_the_same_name(paths):
    """The name says port 80, the server that HAProxy has was put elsewhere by hand."""
    made, port = balancer(paths), free_port()
    with backends("a", "b") as (a, b):
        made.sync([cluster("web", [a], port=port)])
        paths.ask(f"set server web/{a.node.name} addr 127.0.0.1 port {b.port}")
        until(lambda: get(port) == (200, "b"), what="the change")
        report = made.sync([cluster("web", [a], port=port)])
        assert get(port) == (200, "a")
        assert (report["last"]["start"], report["last"]["reload"]) == (None, None)


def test_joined_servers_are_checked_like_those_of_the_file(paths):
    made, port = balancer(paths), free_port()
    dead = Node("dead", "127.0.0.1", free_port())
    options = {"port": port, "backend": ["default-server inter 100ms fall 1"], "server_options": "check"}
    with backends("a") as (a,):
        made.sync([cluster("web", [a], **options)])
        made.sync([cluster("web", [a, dead], **options)])
        until(
            lambda: made.sync([cluster("web", [a, dead], **options)])["servers"]["web"][dead.name] == "down",
            what="HAProxy's own check to fail",
        )
        assert paths.reloads() == 0
        assert {get(port) for _ in range(4)} == {(200, "a")}


@pytest.mark.versions
def test_reload_hands_the_listeners_over(paths, monkeypatch):
    made, port = balancer(paths), free_port()
    with backends("a", "b") as (a, b):
        made.sync([cluster("web", [a], port=port)])
        with Load(port) as load:
            for number in range(5):
                report = made.sync([cluster("web", [a], port=port, backend=[f"timeout queue {number + 1}s"])])
                assert report["last"]["reload"] == "lines of backend web changed"
                load.wait_for(10)
            report = made.sync([cluster("db", [b]), cluster("web", [a, b], port=port)])
            assert report["last"]["reload"] == "backend db is new, lines of backend web changed"
            load.wait_for(10)
        assert load.failed == []
        assert report["degraded"] is None
        assert paths.reloads() == 6
        assert sorted(os.listdir(paths.root)) == ["haproxy.cfg", "haproxy.cfg.good", "pid", "s", "s.master"]
        monkeypatch.setattr("lighthouse.haproxy.reconcile.SOON", 0)
        made.sync([cluster("db", [b]), cluster("web", [a, b], port=port)])
        assert sorted(os.listdir(paths.root)) == ["haproxy.cfg", "pid", "s", "s.master"], "it has lived for a while"


def test_a_refused_line_changes_nothing_but_members(paths):
    made, port = balancer(paths), free_port()
    with backends("a", "b") as (a, b):
        made.sync([cluster("web", [a], port=port)])
        before = parse(paths.file.read_text())
        bad = cluster("db", [a], backend=["blance first"])
        with Load(port) as load:
            report = made.sync([bad, cluster("web", [a, b], port=port)])
            until(lambda: load.ok["b"], what="requests at b")
        assert load.failed == []
        assert "(backend db): unknown keyword 'blance'" in report["degraded"]
        assert report["servers"]["db"] == {a.node.name: "pending"}
        assert paths.reloads() == 0
        assert parse(paths.file.read_text()).skeleton == before.skeleton
        assert in_file(paths, "web") == paths.servers("web") == addresses(a, b)
        report = made.sync([cluster("db", [a]), cluster("web", [a, b], port=port)])
        assert report["degraded"] is None
        assert report["servers"]["db"] == {a.node.name: "up"}


def test_a_port_in_use_is_noticed_before_it_hurts(paths):
    """`haproxy -c` binds nothing, and a reload that cannot bind refuses all connections for two seconds."""
    made, port = balancer(paths), free_port()
    with backends("a", "b", "squatter", "other") as (a, b, squatter, other):
        made.sync([cluster("web", [a], port=port)])
        clusters = [cluster("db", [a], port=squatter.port), cluster("web", [a, b], port=port)]
        range_of_ports = [f"bind ipv4@127.0.0.1:{free_port()},127.0.0.1:{other.port}-{other.port}"]
        clusters.append(cluster("range", [a], port=free_port(), frontend=range_of_ports))
        for name, place in (("away", "203.0.113.9:9991"), ("path", "unix@/nonexistent/dir/s")):
            clusters.append(cluster(name, [a], port=free_port(), frontend=[f"bind {place}"]))
        clusters.append(cluster("bad", [a], port=free_port(), backend=["use-server nosuch if TRUE"]))
        told = {line.where for line in made.preview(clusters).effects if line.way is Way.REFUSED}
        assert told == {f"cluster {name}" for name in ("db", "range", "away", "path", "bad")}
        with Load(port) as load:
            for _ in range(3):
                report = made.sync(clusters)
                assert set(report["quarantined"]) == {"db", "range", "away", "path", "bad"}
            until(lambda: load.ok["b"], what="requests at b")
        assert load.failed == []
        assert f"frontend range:in: cannot listen on 127.0.0.1:{other.port}" in report["degraded"]
        assert f"frontend db:in: cannot listen on 127.0.0.1:{squatter.port}" in report["degraded"]
        assert (
            "frontend away:in: cannot listen on 203.0.113.9:9991: this host has no such address" in report["degraded"]
        )
        assert "listen on /nonexistent/dir/s: there is no directory /nonexistent/dir" in report["degraded"]
        assert paths.reloads() == 0
        assert in_file(paths, "web") == addresses(a, b)
        assert list(parse(paths.file.read_text()).backends()) == ["web"]
    assert made.sync(clusters[:2])["degraded"] is None


def test_which_addresses_of_haproxy_are_its_own():
    """To have a port of one address is not to have it of another, nor of all if that shows; to have it of all is to have each."""

    def document(*binds):
        return Document((), tuple(Section(f"frontend f{number}", (line,)) for number, line in enumerate(binds)))

    with socket.create_server(("127.0.0.2", 0)) as squatter:
        port = squatter.getsockname()[1]
        wanted = document(f"bind 127.0.0.2:{port}-{port} ssl", f"bind 127.0.0.1:{port}", f"bind *:{port}", "bind /s")
        for own, taken in (("127.0.0.1", {"f0", "f2"}), ("127.0.0.2", set()), ("", set()), (None, {"f0", "f2"})):
            ports = Ports(*([document(f"bind {own}:{port}")] if own is not None else []))
            assert {header.split()[1] for header in ports.taken(wanted)} == taken, own
        assert Ports(held=True).taken(wanted) == {}
        lines = (f"127.0.0.2:{port} ssl crt '/a b'", f"127.0.0.2:{port} interface lo", f"127.0.0.2:{port} namespace x")
        lines = (*lines, "203.0.113.9:1", "203.0.113.9:1 transparent", "$HOST:1", "abns@x", "/nonexistent/s", "/tmp/s")
        wanted = document(*(f"bind {line}" for line in lines))
        ports = Ports()
        assert {header.split()[1] for header in ports.taken(wanted)} == {"f0", "f1", "f3", "f7"}
        assert {item.header.split()[1] for item in ports.suspects(wanted)} == {"f1", "f2", "f5", "f6"}
    with socket.create_server(("0.0.0.0", 0)) as squatter:
        port = squatter.getsockname()[1]
        places = (f":::{port} v6only", f"[::]:{port} v6only", f"ipv6@:{port} v6only", f"ipv6@*:{port}", f":::{port}")
        wanted = document(*(f"bind {place}" for place in places))
        assert {header.split()[1] for header in Ports().taken(wanted)} == {"f3", "f4"}


def test_a_port_is_not_shared_with_a_stranger(paths):
    """HAProxy itself would: another one on the port would get half of the connections."""
    made = balancer(paths)
    made.sync([])
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        stranger.bind(("127.0.0.1", free_port()))
        stranger.listen()
        report = made.sync([cluster("web", [], port=stranger.getsockname()[1])])
        assert "another program has it" in report["degraded"]
        assert paths.reloads() == 0
    port = free_port()
    made.sync([cluster("web", [], port=port)])
    reloads, wide = paths.reloads(), cluster("web", [], port=port, frontend=[f"bind *:{port}"])
    with socket.create_server(("127.0.0.2", port)):
        assert f"cannot listen on *:{port}: another program has it" in made.sync([wide])["degraded"]
    assert paths.reloads() == reloads
    assert made.sync([wide])["degraded"] is None, "beside HAProxy itself it can"


@pytest.mark.versions
def test_a_listener_with_which_haproxy_cannot_start_is_set_apart(paths):
    """A port of a host name, which is not tried beforehand. It cost connections once, and costs nobody else anything after that."""
    made, port = balancer(paths), free_port()
    with backends("a", "b", "squatter") as (a, b, squatter):
        made.sync([cluster("web", [a], port=port)])
        bad = {"frontend": [f"bind localhost:{squatter.port}"]}
        clusters = [cluster("web", [a, b], port=port, **bad), cluster("db", [a], port=free_port())]
        report = made.sync(clusters)
        assert "goes on with the old one" in report["degraded"]
        tells = parsed(report["haproxy"]["version"]) >= (2, 7)
        assert ("Address already in use" if tells else "its own log may say why") in report["degraded"]
        assert report["haproxy"]["old_workers"] == 0
        assert in_file(paths, "web") == paths.servers("web") == addresses(a, b)
        assert "failed: 0" in paths.master("show proc")
        with Load(port) as load:
            report = made.sync(clusters)
            assert set(report["quarantined"]) == {"web"}
            assert f"could not start with `bind localhost:{squatter.port}`, " in report["quarantined"]["web"]
            assert "frontend db:in is new" in report["last"]["reload"]
            reloads = paths.reloads()
            clusters[1] = cluster("db", [a], backend=["balance first"])
            assert made.sync(clusters)["last"]["reload"]
            refused = [line for line in made.preview(clusters).effects if line.way is Way.REFUSED]
            assert [line.where for line in refused] == ["cluster web"]
            assert made.sync(clusters)["last"]["reload"] is None
            load.wait_for(20)
        assert load.failed == []
        assert paths.reloads() == reloads + 1
        assert "localhost" not in paths.file.read_text()


def test_a_reload_that_fails_too_slowly_to_be_seen_is_not_made_again(paths, monkeypatch):
    """Each would refuse all connections for two seconds, and a busy host is late."""
    made, port = balancer(paths), free_port()
    with backends("a", "squatter") as (a, squatter):
        made.sync([cluster("web", [a], port=port)])
        clusters = [
            cluster("web", [a], port=port),
            cluster("db", [a], port=free_port(), frontend=[f"bind localhost:{squatter.port}"]),
        ]
        with monkeypatch.context() as patch:
            patch.setattr("lighthouse.haproxy.lifecycle.RELOAD", 0.3 / CALL)
            with pytest.raises(BalancerError, match=r"has not ended its reload within \S+ s of the 8 s"):
                made.sync(clusters)
        until(lambda: "failed: 1" in loaded(paths), what="the end of the reload")
        with Load(port) as load:
            for _ in range(3):
                report = made.sync([*clusters, cluster("more", [a])])
            assert list(report["quarantined"]) == ["db"]
            assert report["servers"]["more"] == {a.node.name: "up"}
            load.wait_for(20)
        assert load.failed == []
        assert paths.reloads() == 2


@pytest.mark.versions
def test_a_reload_that_takes_longer_than_a_sync_is_not_held_against_what_it_brought(paths, monkeypatch):
    """As one with large certificate stores on a busy host: for once its end is not waited for, and it succeeds."""
    slow, gate, port, new = paths.root / "slow.lua", paths.root / "gate", free_port(), free_port()
    waiting = f'while true do local gate = io.open("{gate}") if not gate then break end gate:close() end'
    slow.write_text(f'if os.getenv("HAPROXY_MWORKER") then {waiting} end\n')  # not while it is judged
    made = balancer(paths, **{"global": [f"lua-load {slow}"]})
    with backends("a") as (a,):
        clusters = [cluster("web", [a], port=port), cluster("new", [a], port=new)]
        made.sync(clusters[:1])
        gate.touch()
        with monkeypatch.context() as patch:
            patch.setattr("lighthouse.haproxy.lifecycle.RELOAD", 0.3 / CALL)
            with pytest.raises(BalancerError, match=r"has not ended its reload within \S+ s of the 8 s"):
                made.sync(clusters)
        gate.unlink()
        until(lambda: "new:in" in stats(paths), what="the end of the reload")
        assert made.sync(clusters)["degraded"] is None
        # What was thought of it meanwhile keeps nothing from being put right, and nobody from coming back.
        paths.ask("shutdown frontend new:in")
        made._tools.memory.forget()
        assert "new:in was shut down" in (made.sync(clusters)["last"]["reload"] or "")
        assert get(new) == (200, "a")
        made.sync(clusters[:1])
        report = made.sync(clusters)
        assert (report["degraded"], report["quarantined"]) == (None, {})
        assert get(new) == (200, "a")


def stats(paths):
    """What HAProxy serves; nothing while it does not listen."""
    try:
        return paths.ask("show stat")
    except OSError:
        return ""


def loaded(paths):
    """What the master says; nothing while it does not listen."""
    try:
        return paths.master("show proc")
    except OSError:
        return ""


def test_unknown_is_not_empty(paths):
    made, port = balancer(paths), free_port()
    with backends("a", "b") as (a, b):
        made.sync([cluster("web", [a, b], port=port)])
        paths.ask(f"set server web/{b.node.name} state maint")
        text = paths.file.read_text()
        report = made.sync([cluster("web", None, port=port)])
        assert paths.file.read_text() == text
        assert report["servers"] == {"web": {a.node.name: "up", b.node.name: "maint"}}
        assert report["last"] == {"commands": 0, "start": None, "reload": None}
        report = balancer(paths).sync([cluster("web", None, port=port, backend=["balance leastconn"])])
        assert report["last"]["reload"]
        assert in_file(paths, "web") == addresses(a, b)
        paths.stop()
        made.sync([cluster("new", None), cluster("web", None, port=port, backend=["balance leastconn"])])
        assert paths.servers("web") == addresses(a, b), "the last known members serve on"
        assert paths.servers("new") == {}
        made.sync([cluster("web", [], port=port)])
        assert get(port)[0] == 503


def test_haproxy_killed(paths):
    made, port = balancer(paths), free_port()
    with backends("a", "b") as (a, b):
        made.sync([cluster("web", [a, b], port=port)])
        old = paths.pid()
        paths.stop()
        report = made.sync([cluster("web", [a, b], port=port)])
        assert report["haproxy"]["pid"] != old
        assert paths.servers("web") == addresses(a, b)
        assert get(port)[0] == 200


def test_the_end_of_haproxy_is_noticed_at_once(paths):
    made, clusters = balancer(paths), [cluster("web", [NODE])]
    assert made.watch_fd() is None
    made.sync(clusters)
    for _ in range(2):
        assert not readable(made.watch_fd(), 0)
        old = paths.pid()
        os.kill(old, signal.SIGKILL)
        assert readable(made.watch_fd(), 30)
        paths.stop()
        report = made.sync(clusters)
        assert (report["last"]["start"], report["drift"]["last"]["what"]) == ("it did not run", "HAProxy had ended")
        assert paths.pid() != old


def test_a_reload_by_someone_else_is_noticed_too(paths):
    made, clusters = balancer(paths), [cluster("web", [NODE])]
    made.sync(clusters)
    old = set(paths.pids())
    os.kill(paths.pid(), signal.SIGUSR2)
    report = until(lambda: (found := made.sync(clusters))["drift"]["healed"] and found, what="drift")
    assert (report["drift"]["healed"], report["degraded"]) == (1, None)
    until(lambda: len(old & set(paths.pids())) == 1, what="the end of the old worker, with which nobody talks any more")
    assert not readable(made.watch_fd(), 0)


def test_a_process_that_ended_and_is_named_all_the_same_is_somebody_else():
    ended = Ended()
    with subprocess.Popen(["sleep", "600"]) as one, subprocess.Popen(["sleep", "600"]) as other:
        ended.watch({one.pid, other.pid})
        one.kill()
        assert readable(ended.fileno(), 30)
        for _ in range(2):
            ended.watch({one.pid, other.pid})
            assert not readable(ended.fileno(), 0)
        other.kill()
        assert readable(ended.fileno(), 30)
    ended.watch({one.pid, other.pid, 2**22 + 1})
    assert ended.fileno() is None


def readable(fd, within):
    return bool(select.select([fd], [], [], within)[0])


def test_only_the_master_killed(paths):
    """Its worker ends by itself soon after; whenever that is, there is one HAProxy in the end."""
    made, port = balancer(paths), free_port()
    with backends("a") as (a,):
        made.sync([cluster("web", [a], port=port)])
        old = paths.pids()
        os.kill(paths.pid(), 9)

        def healed():
            try:
                report = made.sync([cluster("web", [a], port=port)])
            except BalancerError:
                return False
            return report["degraded"] is None and not set(old) & set(paths.pids())

        until(healed, what="a whole HAProxy")
        until(lambda: len(paths.pids()) == 2, what="one master and one worker")
        assert get(port) == (200, "a")


def test_members_change_while_the_directory_of_the_master_socket_is_gone(paths, tmp_path):
    """A new master could not make its socket there either, and would cost the one that serves."""
    folder = tmp_path / "folder"
    folder.mkdir()
    made = balancer(paths, master_socket_file=str(folder / "master"))
    made.sync([cluster("web", [NODE])])
    shutil.rmtree(folder)
    for count in range(1, 4):
        nodes = [Node(f"n{number}", "127.0.0.1", 9) for number in range(count)]
        report = made.sync([cluster("web", nodes)])
        assert set(report["servers"]["web"].values()) == {"up"}
        assert len(report["servers"]["web"]) == count
        assert "cannot be reloaded gracefully" in made.sync([cluster("web", nodes)])["degraded"]
    folder.mkdir()
    report = until(
        lambda: (found := made.sync([cluster("web", nodes)]))["degraded"] is None and found, what="a new master"
    )
    assert len(report["servers"]["web"]) == count


@pytest.mark.parametrize("gone", ["s", "s.master"])
def test_a_socket_deleted_by_hand(paths, gone):
    """HAProxy cannot make it again by a reload, so a new process takes over; connections are not refused meanwhile."""
    made, port = balancer(paths), free_port()
    with backends("a", "b", "squatter") as (a, b, squatter):
        made.sync([cluster("web", [a], port=port)])
        old = paths.pids()
        (paths.root / gone).unlink()
        clusters = [cluster("web", [a, b], port=port), cluster("db", [a], port=squatter.port)]
        way = "start" if gone == "s" else "reload"
        assert (way, "haproxy") in [(item.way.value, item.where) for item in made.preview(clusters).effects]
        with Load(port) as load:
            report = made.sync(clusters)
            until(lambda: not set(old) & set(paths.pids()), what="the end of the old process")
            load.wait_for(20)
        assert load.failed == []
        assert report["degraded"].startswith(
            f"cluster db is quarantined: frontend db:in: cannot listen on 127.0.0.1:{squatter.port}"
        )
        assert report["last"][way]
        assert len(paths.pids()) == 2
        assert paths.servers("web") == addresses(a, b)
    assert made.sync(clusters)["degraded"] is None


def test_a_fresh_balancer_on_an_equal_state_does_nothing(paths):
    clusters = [cluster("web", [Node("a", "127.0.0.1", 9)], port=free_port())]
    balancer(paths).sync(clusters)
    before = os.stat(paths.file).st_mtime_ns, os.stat(paths.file).st_ino, paths.pids()
    report = balancer(paths).sync(clusters)
    assert report["last"] == {"commands": 0, "start": None, "reload": None}
    assert before == (os.stat(paths.file).st_mtime_ns, os.stat(paths.file).st_ino, paths.pids())
    assert paths.reloads() == 0


def test_drift_is_healed(paths):
    made = balancer(paths)
    with backends("a", "b", "c") as (a, b, c):
        clusters = [cluster("web", [a, b, c], port=free_port(), server_options="check inter 100ms")]
        made.sync(clusters)
        wanted = addresses(a, b, c)
        paths.ask(f"disable server web/{a.node.name}")
        paths.ask(f"set server web/{b.node.name} state drain;disable health web/{b.node.name}")
        paths.ask(f"disable server web/{c.node.name};del server web/{c.node.name}")
        paths.ask("add server web/stranger:1 127.0.0.1:1;enable server web/stranger:1")
        assert paths.servers("web") != wanted
        report = made.sync(clusters)
        assert set(report["servers"]["web"].values()) == {"up"}
        assert paths.servers("web") == wanted
        assert settled(made, *clusters)["degraded"] is None
        assert paths.reloads() == 0


def test_a_file_changed_by_hand_is_written_again(paths):
    made, clusters = balancer(paths), [cluster("web", [Node("a", "127.0.0.1", 9)])]
    made.sync(clusters)
    text = paths.file.read_text()
    paths.file.write_text("rubbish")
    assert made.sync(clusters)["last"] == {"commands": 0, "start": None, "reload": None}
    assert paths.file.read_text() == text
    paths.file.unlink()
    made.sync(clusters)
    assert paths.file.read_text() == text
    assert stat.S_IMODE(os.stat(paths.file).st_mode) == 0o600


def test_a_busy_server_leaves_when_its_connections_end(paths):
    made, port = balancer(paths), free_port()
    with backends("a", "b") as (a, b):
        paths.config["defaults"] = ["mode tcp", "balance first"]
        made = balancer(paths)
        made.sync([cluster("web", [a, b], port=port)])
        with socket.create_connection(("127.0.0.1", port)) as old:
            until(lambda: b"127.0.0.1" in paths.ask("show sess").encode(), what="a session")
            report = made.sync([cluster("web", [b], port=port)])
            assert [item["node"] for item in report["leaving"]["web"]] == [a.node.name]
            assert report["degraded"] is None
            assert in_file(paths, "web") == addresses(b)
            assert get(port) == (200, "b")
            old.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert b"200" in old.recv(100), "the old connection is served to its end"
        settled(made, cluster("web", [b], port=port))
        assert a.node.name not in paths.ask("show servers state web")
        assert paths.reloads() == 0


@pytest.mark.parametrize(
    "options",
    [
        {"backend": ["balance source"]},
        {"backend": ["cookie S insert"]},
        {"server_options": "ssl verify required ca-file {}"},
    ],
    ids=["source", "cookie", "file"],
)
def test_a_backend_that_takes_no_server_at_run_time(paths, options, tmp_path):
    made, port = balancer(paths), free_port()
    if "server_options" in options:  # HAProxy reads no new file while it runs
        options = {"server_options": options["server_options"].format(Authority(tmp_path).ca_file)}
    with backends("a", "b") as (a, b):
        made.sync([cluster("web", [], port=port, **options)])
        report = made.sync([cluster("web", [a, b], port=port, **options)])
        assert report["servers"]["web"] == {a.node.name: "up", b.node.name: "up"}
        assert report["degraded"] is None
        reloads = paths.reloads()
        # What cannot be told from the lines is found out with the first join; from then on there are slots too.
        assert reloads == (1 if "server_options" in options else 0)
        assert (report["last"]["reload"] is not None) == bool(reloads)
        made.sync([cluster("web", [b], port=port, **options)])
        assert list(paths.servers("web").values()) == [f"127.0.0.1:{b.port}"]
        for members in ([a], [a, b], [b], []) * 3:
            report = made.sync([cluster("web", members, port=port, **options)])
            assert sorted(paths.servers("web").values()) == sorted(addresses(*members).values())
            assert report["servers"]["web"] == {item.node.name: "up" for item in members}
        assert paths.reloads() == reloads


def test_the_file_equals_what_runs_after_many_changes(paths):
    dice = random.Random(7)
    made, port = balancer(paths), free_port()
    with backends(*"abcdef") as servers:
        made.sync([cluster("web", servers, port=port), cluster("db", [])])
        with Load(port, rate=100) as load:
            for number in range(100):
                clusters = [
                    cluster("web", [servers[0], *dice.sample(servers, dice.randint(1, 5))], port=port),
                    cluster("db", dice.sample(servers, dice.randint(0, 3))),
                ]
                if dice.random() < 0.1:
                    made = balancer(paths)
                assert made.sync(clusters)["degraded"] is None, number
                for name in ("web", "db"):
                    assert in_file(paths, name) == paths.servers(name), number
            load.wait_for(1)
        assert load.failed == []
        assert paths.reloads() == 0


def test_ipv6_members(paths):
    made, node = balancer(paths), Node("six", "::1", free_port())
    mapped = Node("mapped", "::ffff:127.0.0.1", free_port())
    made.sync([cluster("web", [])])
    report = made.sync([cluster("web", [node, mapped])])
    assert set(report["servers"]["web"].values()) == {"up"}
    assert made.sync([cluster("web", [node, mapped])])["last"]["commands"] == 0
    assert paths.reloads() == 0
