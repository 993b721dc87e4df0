"""The HAProxy program: away, broken for a while, or never done with its check."""

import re
import shutil

import pytest

from lighthouse.errors import BalancerError
from lighthouse.haproxy.deadline import CALL
from lighthouse.haproxy.document import parse
from lighthouse.node import Node
from support.haproxy import backends, balancer, cluster, get
from support.ports import free_port

pytestmark = pytest.mark.versions

NODE = Node("a", "127.0.0.1", 9)


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


def test_a_program_that_takes_its_time_gets_more_of_it_where_calls_may_take_longer(paths, tmp_path):
    """For its judgement and its start, as on a busy host or with many certificates."""
    program = tmp_path / "bin" / "haproxy"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\n[ "$1" = -v ] || sleep 0.8\nexec {shutil.which("haproxy")} "$@"\n')
    program.chmod(0o700)
    made = balancer(paths, binary=str(program))
    made.call_deadline = 1.0
    with pytest.raises(
        BalancerError, match=r"`haproxy -c` did not end within .* s of the 1 s that `deadlines.call` allows"
    ):
        made.sync([])
    made = balancer(paths, binary=str(program))
    made.call_deadline = 60.0
    assert made.sync([])["degraded"] is None


def test_a_program_that_never_ends_its_check(paths, tmp_path, monkeypatch):
    program = tmp_path / "slow"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o700)
    monkeypatch.setattr("lighthouse.haproxy.process.CHECK", 0.2 / CALL)
    with pytest.raises(BalancerError, match="or it waits for a resolver that does not answer"):
        balancer(paths, binary=str(program)).sync([])


def test_each_change_is_judged_once(paths, tmp_path):
    """A judgement takes most of the time of a sync where there are large certificate stores."""
    calls, program, port = tmp_path / "calls", tmp_path / "bin" / "haproxy", free_port()
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho " $* " >>{calls}\nexec {shutil.which("haproxy")} "$@"\n')
    program.chmod(0o700)
    made = balancer(paths, binary=str(program))

    def judgements(*clusters):
        calls.write_text("")
        report = made.sync(clusters)
        assert report["degraded"] is None
        return calls.read_text().count(" -c "), report["last"]["reload"] is not None

    web = cluster("web", [NODE], port=port)
    assert judgements(web) == (1, False)
    assert judgements(cluster("web", [NODE], port=port, backend=["timeout queue 3s"])) == (1, True)
    paths.stop()
    assert judgements(web) == (1, False)
    assert judgements(web, cluster("db", [NODE])) == (1, True)


def test_what_runs_is_judged_until_there_is_a_judgement_and_not_at_every_sync(paths, tmp_path):
    """A file that its lines name is gone; then the program fails for a while; then HAProxy ends."""
    calls, broken, page = tmp_path / "calls", tmp_path / "broken", tmp_path / "503.http"
    program, port = tmp_path / "bin" / "haproxy", free_port()
    program.parent.mkdir()
    program.write_text(
        f"#!/bin/sh\ncase \" $* \" in *' -c '*) echo x >>{calls}; [ -e {broken} ] && exit 9;; esac\n"
        f'exec {shutil.which("haproxy")} "$@"\n'
    )
    program.chmod(0o700)
    page.write_text("HTTP/1.0 503 No\r\n\r\n")
    made, nodes = balancer(paths, binary=str(program)), [Node("a", "127.0.0.1", number) for number in range(9, 13)]

    def asked(count):
        calls.write_text("")
        made._tools.memory.forget()
        report = made.sync([cluster("web", nodes[:count], port=port, backend=[f"errorfile 503 {page}"])])
        assert len(paths.servers("web")) == count
        return calls.read_text().count("x"), report["degraded"] or ""

    assert asked(1) == (1, "")
    page.unlink()
    tries = [asked(2) for _ in range(3)]
    assert [number for number, _ in tries] == [1, 0, 0]
    assert all("the file is not up to date: " in told and "503.http" in told for _, told in tries)
    page.write_text("HTTP/1.0 503 No\r\n\r\n")
    made._tools.refusals.hasten(0)  # as after a minute
    assert asked(2) == (1, "")
    broken.touch()
    assert [asked(3), asked(3)] == [(1, ""), (0, "")]
    assert len(parse(paths.file.read_text()).backends()["web"].members) == 3
    broken.unlink()
    made._tools.refusals.hasten(0)
    assert [asked(3), asked(3)] == [(1, ""), (0, "")], "it was written without a judgement, and gets it now"
    for count in (4, 3):
        made.sync([cluster("web", nodes[:count], port=port, backend=[f"errorfile 503 {page}"])])
    assert made._tools.file.unjudged, "by the short way"
    paths.stop()
    assert [asked(3)[0], asked(3)[0]] == [1, 0], "at a start, and no more"


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
        monkeypatch.setattr("lighthouse.haproxy.process.CHECK", 0.2 / CALL)
        paths.stop()
        clusters = [cluster("web", [b], port=port), cluster("db", [a])]
        for _ in range(2):
            report = made.sync(clusters)
            assert re.search(
                r"did not end within \S+ s of the 8 s that `deadlines.call` allows: raise that", report["degraded"]
            )
            assert "cannot write" not in report["degraded"]
            assert report["servers"] == {"web": {b.node.name: "up"}, "db": {a.node.name: "pending"}}
            assert get(port) == (200, "b")
        assert [item.name for item in parse(paths.file.read_text()).backends()["web"].members] == [b.node.name]
        asked = len(hanging.read_text().split())
        made.sync(clusters)
        assert len(hanging.read_text().split()) == asked, "it takes up no more time of a sync"
        hanging.unlink()
        made._tools.refusals.hasten(0)
        assert made.sync(clusters)["degraded"] is None


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
