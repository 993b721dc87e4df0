"""The socket client: against a real HAProxy, and against peers that behave badly."""

import os
import socket
import threading
import time

import pytest

from lighthouse.errors import BalancerError
from lighthouse.haproxy import control as control_names
from lighthouse.haproxy import judge
from lighthouse.haproxy.balancer import HAProxy
from lighthouse.haproxy.control import HAProxyControl
from lighthouse.haproxy.deadline import Deadline
from lighthouse.haproxy.errors import (
    BrokenOffError,
    CommandError,
    NoAnswerError,
    NotRunningError,
    RejectedError,
    UnknownCommandError,
    UnknownServerError,
)
from lighthouse.haproxy.errors import PermissionError as NoAdminError
from lighthouse.haproxy.sockets import Sockets
from lighthouse.haproxy.stanzas.stanza import Stanza
from support.haproxy import backends, balancer, cluster, haproxy


@pytest.fixture(scope="module")
def control(tmp_path_factory):
    with haproxy(tmp_path_factory.mktemp("control")) as paths, backends("a") as (a,):
        paths.config["global"] = [f"stats socket {paths.root}/user mode 600 level user"]
        made = HAProxy()
        made.apply_config(paths.config)
        made.sync([cluster("web", [a])])
        yield Sockets(paths.config["socket_file"], paths.config["socket_file"] + ".master")


def test_errors_by_class(control):
    for command, kind in [
        ("bogus", UnknownCommandError),
        ("enable server web/nobody", UnknownServerError),
        ("enable server nowhere/a", UnknownServerError),
    ]:
        with pytest.raises(kind) as caught:
            control.command(command, Deadline(5))
        assert isinstance(caught.value, CommandError)
        assert isinstance(caught.value, BalancerError)


def test_a_socket_without_admin(control):
    path = os.path.join(os.path.dirname(control.socket_file), "user")
    with pytest.raises(NoAdminError):
        Sockets(path, "").command("enable server web/a", Deadline(5))


def test_each_answer_belongs_to_its_command(control):
    answers = control.batch(
        ["show env NOTHING", "bogus", "enable server web/x", "show env LIGHTHOUSE_SKELETON"], Deadline(5)
    )
    assert answers[0] == "Variable not found"
    assert answers[1].startswith("Unknown command")
    assert answers[2] == "No such server."
    assert answers[3].startswith("LIGHTHOUSE_SKELETON=")


def test_by_the_names_of_lighthouse_1_0(paths):
    """A script that used the documented class goes on working."""
    more = paths.config | {"global": [f"stats socket {paths.root}/user mode 600 level user"]}
    files = [paths.config[name] for name in ("config_file", "socket_file", "pid_file")]
    made = HAProxyControl(*files)
    with pytest.raises(NotRunningError):
        made.get_info()
    with pytest.raises(BalancerError, match="there is no"):
        made.restart()
    with backends("a") as (a,):
        web = cluster("web", [a])
        balancer(paths, **more).sync_file([web])
        name = a.node.name
        assert made.get_version()[:2] >= (2, 4)
        assert made.get_info()["Name"] == "HAProxy"
        (node,) = made.get_active_nodes()["web"]
        assert (node["svname"], node["status"], node["addr"]) == (name, "no check", f"127.0.0.1:{a.port}")
        made.disable_node("web", name)
        assert made.get_active_nodes()["web"][0]["status"] == "MAINT"
        made.enable_node("web", name)
        assert made.get_active_nodes()["web"][0]["status"] == "no check"
        for service, node_name in (("nowhere", name), ("web", "nobody"), ("web", "a\nb"), ("web;show info", "a")):
            with pytest.raises(control_names.UnknownServerError):
                made.enable_node(service, node_name)
        with pytest.raises(control_names.UnknownCommandError) as caught:
            made.send_command("bogus")
        assert isinstance(caught.value, control_names.HAProxyControlError)
        with pytest.raises(control_names.PermissionError):
            HAProxyControl(files[0], f"{paths.root}/user", files[2]).disable_node("web", name)
        worker = made.get_info()["Pid"]
        made.restart()
        assert (paths.reloads(), made.get_info()["Pid"] == worker) == (1, False)
        paths.stop()
        made.restart()
        assert [node["svname"] for node in made.get_active_nodes()["web"]] == [name]
        paths.file.write_text(paths.file.read_text() + "nonsense\n")
        with pytest.raises(RejectedError, match="nonsense"):
            made.restart()


def test_a_word_of_a_check_with_a_comma_moves_no_column(monkeypatch):
    made = HAProxyControl("/config", "/socket", "/pid")
    monkeypatch.setattr(made, "send_command", lambda _: '# pxname,svname,last_chk,mode,\nweb,a,"L7OK, fine",http,')
    assert made.get_active_nodes() == {"web": [{"svname": "a", "last_chk": "L7OK, fine", "mode": "http", "": ""}]}


def test_a_line_is_judged_however_many_were_before(monkeypatch):
    monkeypatch.setattr(judge, "_spent", judge.TOTAL_TIMEOUT)
    stanza = Stanza("backend", "x")
    assert stanza.is_valid_line("option redispatch")
    assert not stanza.is_valid_line("utter nonsense of today")


def test_a_large_batch(control):
    """More than fits into the buffers of the socket in either direction."""
    answers = control.batch(["show servers state"] * 2000 + ["show env NOTHING"], Deadline(60))
    assert len(answers) == 2001
    assert answers[-1] == "Variable not found"
    assert len(set(answers[:-1])) <= 60  # the times in it may differ


def test_processes(control):
    processes = control.processes(Deadline(5))
    assert processes.worker == control.running(Deadline(5)).pid
    assert (processes.reloads, processes.failed, processes.old_workers) == (0, 0, 0)


class Peer:
    """A UNIX socket server that does what it is told with each connection."""

    def __init__(self, path, behave):
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(path)
        self._server.listen()
        self._behave = behave
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        try:
            while True:
                connection, _ = self._server.accept()
                with connection:
                    self._behave(connection)
        except OSError:
            pass

    def close(self):
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()


def drip(connection):
    while True:
        connection.sendall(b"x")
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("behave", "error"),
    [
        (lambda connection: threading.Event().wait(1), NoAnswerError),
        (drip, NoAnswerError),
        (lambda connection: None, BrokenOffError),
        (lambda connection: (connection.recv(1000), connection.sendall(b"\n> \n\n> ")), BrokenOffError),
        (lambda connection: (connection.recv(1000), connection.sendall(b"junk\xff")), BrokenOffError),
    ],
    ids=["silent", "dripping", "closing", "half an answer", "garbage"],
)
def test_bad_peers(tmp_path, behave, error):
    path = str(tmp_path / "s")
    peer = Peer(path, behave)
    try:
        with pytest.raises(error) as caught:
            Sockets(path, path).batch(["show info", "show servers state"], Deadline(0.3))
        assert type(caught.value) is error
    finally:
        peer.close()


def test_nothing_there(tmp_path):
    path = tmp_path / "s"
    with pytest.raises(NotRunningError, match="no HAProxy listens"):
        Sockets(str(path), "").running(Deadline(1))
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    with pytest.raises(NotRunningError):
        Sockets(str(path), "").running(Deadline(1))


def test_an_answer_of_another_kind_is_an_error_of_ours(tmp_path):
    path = str(tmp_path / "s")
    peer = Peer(path, lambda connection: (connection.recv(1000), connection.sendall(b"\n> a" * 9 + b"\n> ")))
    try:
        with pytest.raises(BalancerError, match="cannot be read"):
            Sockets(path, path).running(Deadline(5))
    finally:
        peer.close()
