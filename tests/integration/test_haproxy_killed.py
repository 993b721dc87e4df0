"""The balancer is killed at some point of a start or a reload, and the next one heals what is left."""

import pytest

from lighthouse.haproxy.document import parse
from lighthouse.haproxy.files import ConfigFile
from lighthouse.haproxy.lifecycle import Lifecycle
from lighthouse.haproxy.trial import Trial
from lighthouse.node import Node
from support.haproxy import Load, backends, balancer, cluster, get
from support.ports import free_port
from support.wait import until

pytestmark = pytest.mark.versions

NODE = Node("a", "127.0.0.1", 9)


class Killed(BaseException):
    """Stands for SIGKILL at a certain point: nothing catches it."""


def killed(*args, **kwargs):
    raise Killed


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
