"""A real HAProxy that is too old: the status and the log say so, and what it can do is done."""

from lighthouse.cli.document import document
from support.consumer import Consumer
from support.haproxy import Load, backends, balancer, cluster, get
from support.ports import free_port
from support.wait import until


def test_it_is_told_and_members_change_all_the_same(paths, version, caplog):
    port = free_port()
    told = f"HAProxy {version} is older than 2.4, the oldest that Lighthouse supports: upgrade it"
    with backends("a", "b", "c") as (a, b, c):
        made = balancer(paths)
        report = made.sync([cluster("web", [a], port=port)])
        assert report["degraded"] == told
        with Load(port) as load:
            for members in ([a, b], [b, c], [c]):
                report = made.sync([cluster("web", members, port=port)])
                assert set(paths.servers("web").values()) == {f"127.0.0.1:{item.port}" for item in members}
                load.wait_for(5)
            assert paths.reloads() == 0
            report = made.sync([cluster("web", [c], port=port), cluster("db", [a])])
            assert report["last"]["reload"] == "backend db is new"
            load.wait_for(5)
        assert load.failed == []
        bad = cluster("bad", [a], backend=["nonsense x"])
        report = made.sync([cluster("web", [a], port=port), cluster("db", [a]), bad])
        assert "unknown keyword 'nonsense'" in report["quarantined"]["bad"]
        assert told in report["degraded"]
        assert get(port) == (200, "a")
    assert [line.message for line in caplog.records if line.levelname == "WARNING" and version in line.message] == [
        f"HAProxy {version} takes no new servers at run time (2.6 does): each backend has declared slots, and a reload makes more",
        told,
    ]


def test_the_status_of_the_host_says_it(tmp_path, paths, version):
    consumer = Consumer(tmp_path / "host", paths)
    consumer.record("a")
    try:
        consumer.stack.start()
        told = f"balancer haproxy: HAProxy {version} is older than 2.4, the oldest that Lighthouse supports: upgrade it"
        until(lambda: told in document(consumer.stack.status())["problems"], what="the status to say it")
        consumer.record("b")
        until(lambda: len(paths.servers("web")) == 2, what="a member that joins")
    finally:
        consumer.stack.stop()


def test_a_reload_that_fails_leaves_what_ran(paths, version):
    port = free_port()
    with backends("a", "b", "squatter") as (a, b, squatter):
        made = balancer(paths)
        made.sync([cluster("web", [a], port=port)])
        taken = cluster("db", [b], frontend=[f"bind localhost:{squatter.port}"], port=free_port())
        report = made.sync([cluster("web", [a], port=port), taken])
        assert "HAProxy cannot start with it and goes on with the old one" in report["degraded"]
        assert report["haproxy"]["old_workers"] == 0
        assert get(port) == (200, "a")
        made.sync([cluster("web", [b], port=port)])
        assert get(port) == (200, "b")
