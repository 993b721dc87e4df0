"""A disk that takes no file: members change all the same, the report says which file and why, and it heals by itself."""

import pytest

from lighthouse.errors import BalancerError
from lighthouse.haproxy import files, lifecycle
from lighthouse.haproxy.document import parse
from lighthouse.haproxy.errors import RejectedError
from lighthouse.node import Node
from support.disk import FULL, disk
from support.haproxy import backends, balancer, cluster, get
from support.haproxy_service import Service, as_ordinary_user
from support.ports import free_port

A, B, C = (Node(name, "127.0.0.1", 9) for name in "abc")


@pytest.fixture
def room(paths, monkeypatch):
    """The disk of the configuration file alone; sockets and processes have theirs."""
    with disk(paths.root / "disk", monkeypatch) as made:
        paths.config["config_file"] = str(made.path / "haproxy.cfg")
        yield made
        paths.stop()


def is_told(report, paths):
    assert f"cannot write {paths.file}.candidate: {FULL}; make room on the file system of" in report["degraded"]
    assert report["degraded"].count("cannot write") == 1
    assert sorted(path.name for path in paths.file.parent.iterdir() if path.name != "filler") == ["haproxy.cfg"]


@pytest.mark.parametrize("lines", [[], ["balance source"]], ids=["dynamic", "slots"])
def test_members_need_no_disk_and_the_rest_comes_when_there_is_room(paths, room, lines):
    made, port = balancer(paths), free_port()
    with backends("a", "b", "c") as (a, b, c):
        made.sync([cluster("web", [a], port=port, backend=lines)])
        whole = paths.file.read_text()
        room.fill()
        for members in ([a, b], [b], [b, c]):  # the short way, then the long one
            report = made.sync([cluster("web", members, port=port, backend=lines)])
            is_told(report, paths)
            assert report["servers"]["web"] == {item.node.name: "up" for item in members}
            assert set(paths.servers("web").values()) == {f"127.0.0.1:{item.port}" for item in members}
        report = made.sync([cluster("web", [c], port=port, backend=lines), cluster("db", [A])])
        is_told(report, paths)
        assert report["servers"] == {"web": {c.node.name: "up"}, "db": {A.name: "pending"}}
        assert (get(port), paths.file.read_text()) == ((200, "c"), whole)
        room.free()
        report = made.sync([cluster("web", [c], port=port, backend=lines), cluster("db", [A])])
        assert (report["degraded"], report["last"]["reload"]) == (None, "backend db is new")
        found = parse(paths.file.read_text()).backends()
        assert [member.name for member in found["web"].members] == [c.node.name]
        assert (report["servers"]["db"], get(port)) == ({A.name: "up"}, (200, "c"))


@pytest.mark.parametrize("lines", [[], ["balance source"]], ids=["dynamic", "slots"])
def test_haproxy_is_started_with_what_is_on_disk_and_gets_its_members_then(paths, room, lines):
    port = free_port()
    with backends("a", "b") as (a, b):
        balancer(paths).sync([cluster("web", [a], port=port, backend=lines)])
        paths.stop()
        room.fill()
        report = balancer(paths).sync([cluster("web", [b], port=port, backend=lines), cluster("db", [A])])
        is_told(report, paths)
        assert report["servers"] == {"web": {b.node.name: "up"}, "db": {A.name: "pending"}}
        assert get(port) == (200, "b")


def test_without_any_file_it_says_why_it_cannot_start(paths, room):
    room.fill()
    with pytest.raises(BalancerError, match=f"{FULL}; make room"):
        balancer(paths).sync([cluster("web", [A])])
    assert paths.pids() == []


def test_a_new_file_waits_until_what_works_is_kept(paths, monkeypatch):
    made = balancer(paths)
    made.sync([cluster("web", [A])])
    whole, write = paths.file.read_text(), files._write

    def refusing(path, text):
        if ".good" in path:
            raise files._unwritten(path, OSError(files.errno.EROFS, "Read-only file system"))
        write(path, text)

    monkeypatch.setattr(files, "_write", refusing)
    report = made.sync([cluster("web", [A, B]), cluster("db", [A])])
    assert "haproxy.cfg.good.candidate: Read-only file system; make the file system of" in report["degraded"]
    assert report["servers"] == {"web": {A.name: "up", B.name: "up"}, "db": {A.name: "pending"}}
    assert (report["last"]["reload"], paths.file.read_text()) == (None, whole)
    monkeypatch.undo()
    assert made.sync([cluster("web", [A, B]), cluster("db", [A])])["degraded"] is None


def test_the_way_back_from_a_bad_reload_needs_no_room(paths, room, monkeypatch):
    made, port = balancer(paths), free_port()
    with backends("a", "b") as (a, b):
        made.sync([cluster("web", [a], port=port)])
        real, calls = lifecycle.Lifecycle.reload, []

        def failing(*args):
            calls.append(args)
            if len(calls) == 1:
                room.fill()
                raise RejectedError("it does not come up")
            return real(*args)

        monkeypatch.setattr(lifecycle.Lifecycle, "reload", failing)
        report = made.sync([cluster("web", [a, b], port=port), cluster("db", [A])])
        assert "it does not come up" in report["degraded"]
        assert FULL in report["degraded"]
        assert list(parse(paths.file.read_text()).backends()) == ["web"]
        assert set(paths.servers("web")) == {a.node.name, b.node.name}
        paths.stop()  # what is on disk starts
        assert balancer(paths).sync([cluster("web", [b], port=port)])["servers"] == {"web": {b.node.name: "up"}}


def test_a_file_that_may_not_be_read_is_written_anew(paths):
    balancer(paths).sync([cluster("web", [A])])
    paths.file.chmod(0)
    report, _ = as_ordinary_user(paths.config, cluster("web", [A, B]))
    assert (report["degraded"], report["servers"]) == (None, {"web": {A.name: "up", B.name: "up"}})
    assert len(parse(paths.file.read_text()).backends()["web"].members) == 2
    paths.file.unlink()
    paths.file.mkdir()
    report = balancer(paths).sync([cluster("web", [B])])
    assert report["degraded"].startswith(f"cannot write {paths.file}: Is a directory; remove the directory that is")
    assert report["servers"] == {"web": {B.name: "up"}}


def test_an_haproxy_of_a_service_goes_on_too(paths, room, tmp_path):
    service = Service(tmp_path)
    service.config["config_file"] = str(room.path / "haproxy.cfg")
    service.file.touch()
    try:
        made = service.start().balancer()
        made.sync([cluster("web", [A])])
        service.end()
        room.fill()
        report = made.sync([cluster("web", [A, B])])
        assert FULL in report["degraded"]
        assert "start its service" in report["degraded"]
        service.start()
        report = made.sync([cluster("web", [B, C]), cluster("db", [A])])
        assert FULL in report["degraded"]
        assert report["servers"] == {"web": {B.name: "up", C.name: "up"}, "db": {A.name: "pending"}}
    finally:
        service.end()
