"""An HAProxy that runs and does not answer, or whose socket belongs to something else."""

import contextlib
import os
import signal
import socket
import threading
from pathlib import Path

import pytest

from lighthouse.errors import BalancerError
from lighthouse.haproxy.deadline import CALL
from lighthouse.haproxy.document import parse
from lighthouse.haproxy.process import HAProxyProcess
from support.haproxy import backends, balancer, cluster, get
from support.ports import free_port
from support.wait import until

pytestmark = pytest.mark.versions


def stopped(pid):
    """The signal reaches the threads of a process one after another."""
    tasks = list(Path(f"/proc/{pid}/task").iterdir())
    return all(") T " in (task / "stat").read_text() for task in tasks)


def test_a_stopped_haproxy_is_not_started_twice(paths, monkeypatch):
    made = balancer(paths)
    made.sync([])
    pids = paths.pids()
    monkeypatch.setattr("lighthouse.haproxy.sockets.ANSWER", 0.2 / CALL)
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


def test_one_whose_socket_is_full_is_not_replaced(paths, monkeypatch):
    """It has room for so few connections that Lighthouse holds none, and people find room."""
    paths.config["global"] = ["stats maxconn 2"]
    made = balancer(paths)
    with backends("a", "b") as (a, b), contextlib.ExitStack() as stack:
        made.sync([cluster("web", [a])])
        pids = paths.pids()
        held = [stack.enter_context(connected(paths)) for _ in range(2)]
        for connection in held:
            connection.sendall(b"prompt\n")
            assert connection.recv(100)  # both are served, so none of ours is in the way
        with contextlib.suppress(BlockingIOError):
            while True:
                stack.enter_context(connected(paths))
        monkeypatch.setattr("lighthouse.haproxy.sockets.ANSWER", 0.2 / CALL)
        for call in (made.sync, made.preview):
            with pytest.raises(BalancerError, match=r"all connections of .* are in use: .* raise `stats maxconn`"):
                call([cluster("web", [a, b])])
        assert paths.pids() == pids
        monkeypatch.undo()
        stack.pop_all().close()
        report = made.sync([cluster("web", [a, b])])
        assert (len(paths.servers("web")), paths.pids(), report["drift"]["healed"]) == (2, pids, 0)


@contextlib.contextmanager
def connected(paths):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.setblocking(False)
        connection.connect(paths.config["socket_file"])
        connection.settimeout(10)
        yield connection


def test_a_master_that_is_stopped_keeps_nothing_but_a_reload_waiting(paths, monkeypatch):
    monkeypatch.setattr("lighthouse.haproxy.sockets.ANSWER", 0.2 / CALL)
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
    monkeypatch.setattr("lighthouse.haproxy.reader.APPEAR", 0.1 / CALL)
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
