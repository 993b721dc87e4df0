"""What others type at HAProxy's socket, or do to its process: found, counted and healed, also if Lighthouse was away meanwhile."""

import contextlib
import os
import random
import re
import socket
import threading

import pytest

from lighthouse.node import Node
from lighthouse.preview import Way
from support.haproxy import backends, balancer, cluster, get, of_stat, state
from support.ports import free_port
from support.wait import until

pytestmark = pytest.mark.versions


def nodes(*numbers):
    return [Node(f"n{number}", "127.0.0.1", 9000 + number) for number in numbers]


@pytest.mark.parametrize("lines", [[], ["balance leastconn", "cookie S insert"]], ids=["servers", "slots"])
def test_drift_is_counted_and_healed(paths, lines):
    made, port = balancer(paths), free_port()
    clusters = [cluster("web", nodes(1, 2, 3, 4), port=port, backend=lines, server_options="check inter 1h")]
    assert made.sync(clusters)["drift"] == {"healed": 0, "last": None}
    first, second, third, fourth = paths.servers("web")
    before = paths.servers("web"), state(paths, "web", "srv_uweight")
    paths.ask(f"disable server web/{first};set server web/{second} addr 127.0.0.7 port 77")
    paths.ask(f"set server web/{third} weight 9;disable health web/{fourth}")
    report = made.sync(clusters)
    assert report["drift"]["healed"] == 4
    assert report["drift"]["last"]["what"].startswith(
        f"web/{first} has another state, web/{second} has another address"
    )
    assert (paths.servers("web"), state(paths, "web", "srv_uweight")) == before
    assert int(state(paths, "web", "srv_check_state")[fourth]) & 4
    assert made.sync(clusters)["drift"]["healed"] == 4
    made.sync([cluster("web", nodes(1, 2, 5), port=port, backend=lines, server_options="check inter 1h")])
    assert made.sync(clusters)["drift"]["healed"] == 4, "what Lighthouse does itself is none"


TYPED = {  # by cluster: its options; what is typed about one of its servers, and what that is called
    "tls": ({"server_options": "ssl verify none"}, "ssl off", "has another setting of ssl"),
    "fixed": (
        {"server_options": "ssl verify none", "backend": ["balance source"]},
        "ssl off",
        "has another setting of ssl",
    ),
    "plain": (
        {"server_options": "no-ssl", "backend": ["default-server ssl verify none"]},
        "ssl on",
        "has another setting of ssl",
    ),
    "down": ({}, "health down", "was put down"),
    "stopping": ({"backend": ["balance uri"]}, "health stopping", "was put down"),
}


def everything(paths):
    columns = ("srv_op_state", "srv_admin_state", "srv_uweight", "srv_use_ssl")
    seen = {column: {name: state(paths, name, column) for name in TYPED} for column in columns}
    seen["srv_use_ssl"] = {
        name: {each: use == "1" for each, use in found.items()} for name, found in seen["srv_use_ssl"].items()
    }
    return seen | {"slim": {name: of_stat(paths, name, "slim") for name in TYPED}}


def test_whatever_is_typed_about_a_server_is_healed(paths, caplog):
    """While Lighthouse looks on, and while it is away."""
    clusters = [cluster(name, nodes(1, 2), **options) for name, (options, *_) in TYPED.items()]
    made = balancer(paths)
    made.sync(clusters)
    assert made.sync(clusters)["last"]["commands"] == 0
    before = everything(paths)
    for away in (False, True):
        caplog.clear()
        for name, (_, command, _) in TYPED.items():
            answer = paths.ask(f"set server {name}/{min(paths.servers(name))} {command}").strip()
            assert answer in {"", "server ssl setting updated."}
        assert everything(paths) != before
        if away:
            assert [effect.way for effect in balancer(paths).preview(clusters).effects] == [Way.RUNTIME] * len(TYPED)
            made = balancer(paths)
        report = made.sync(clusters)
        assert report["drift"]["healed"] == (0 if away else len(TYPED))
        found = [name for name, (*_, what) in TYPED.items() if re.search(f"{name}/[^ ]+ {what}", caplog.text)]
        assert away or found == list(TYPED)
        assert everything(paths) == before
        assert made.sync(clusters)["last"] == {"commands": 0, "start": None, "reload": None}
    assert paths.reloads() == 0


def limits(paths):
    info = [line for line in paths.ask("show info").splitlines() if re.match(r"Maxconn:|\w+RateLim", line)]
    return info, [line.split(",")[:7] for line in paths.ask("show stat -1 1 -1").splitlines()]


def test_what_somebody_types_about_frontends_and_limits_is_healed(paths):
    """While Lighthouse looks on, and while it is away: the file counts, and where it is silent, with what HAProxy began."""
    typed = [
        *(f"set maxconn frontend {name} 1" for name in ("web:in", "db:in", "stats")),
        *(
            f"set rate-limit {what} global 1"
            for what in ("connections", "sessions", "ssl-sessions", "http-compression")
        ),
        *("set maxconn global 3", "disable frontend web:in"),
    ]
    paths.config |= {"global": ["maxconnrate 90", "maxcomprate 5"], "stats": {"port": free_port()}}
    with backends("a") as (a,):
        port = free_port()
        clusters = [cluster("web", [a], port=port, frontend=['maxconn "70"']), cluster("db", [a], port=free_port())]
        made = balancer(paths)
        made.sync(clusters)
        assert made.sync(clusters)["drift"]["healed"] == 0
        before = limits(paths)
        for away in (False, True):
            assert paths.ask(";".join(typed)).split() == []
            assert limits(paths) != before
            if away:
                assert [effect.way for effect in balancer(paths).preview(clusters).effects] == [Way.RUNTIME] * len(
                    typed
                )
                made = balancer(paths)
            assert made.sync(clusters)["drift"]["healed"] == len(typed)
            assert limits(paths) == before
            assert made.sync(clusters)["last"] == {"commands": 0, "start": None, "reload": None}
        assert get(port) == (200, "a")
        assert paths.reloads() == 0


def test_what_only_a_reload_heals(paths):
    """While Lighthouse looks on, and while it is away."""
    made, port = balancer(paths), free_port()
    with backends("a") as (a,):
        server = f"web/{a.node.name}"
        clusters = [cluster("web", [a], port=port, server_options=f"check inter 1h port {a.port} # slow")]
        made.sync(clusters)
        typed = (
            "shutdown frontend web:in",
            f"set server {server} check-port 1",
            f"set server {server} check-addr 127.0.0.9",
        )
        for number, command in enumerate((*typed, *typed), 1):
            paths.ask(command)
            if number > len(typed):
                assert [effect.way for effect in balancer(paths).preview(clusters).effects] == [Way.RELOAD]
                made = balancer(paths)
            until(lambda m=made, n=number: m.sync(clusters) and paths.reloads() == n, what=f"what undoes {command}")
            assert get(port) == (200, "a")
            assert made.sync(clusters)["drift"]["healed"] == (1 if number > len(typed) else number), command
        assert made.sync(clusters)["last"]["reload"] is None


def test_a_file_that_somebody_changes_is_put_right_and_counted_once(paths, caplog):
    made = balancer(paths)
    a, b = [Node(name, "127.0.0.1", 9) for name in "ab"]
    made.sync([cluster("web", [a])])
    spoils = {
        "edited": lambda: paths.file.write_text(paths.file.read_text() + "\nlisten x\n\tbind 127.0.0.1:1\n"),
        "deleted": paths.file.unlink,
        "replaced": lambda: (paths.file.unlink(), paths.file.mkdir()),
    }
    for number, (how, spoil) in enumerate(spoils.items(), 1):
        for nodes in ([a], [a, b]):  # with nothing else to do, and along with a change
            made.sync([cluster("web", [a])])
            right = paths.file.read_text()
            spoil()
            caplog.clear()
            report = made.sync([cluster("web", nodes)])
            assert report["drift"]["last"]["what"] == f"{paths.file} was {how}"
            assert f"{paths.file} was {how}" in caplog.text
            if how == "replaced":
                assert "remove the directory" in report["degraded"]
                assert made.sync([cluster("web", nodes)])["drift"] == report["drift"], "it is counted once"
                paths.file.rmdir()
            assert made.sync([cluster("web", [a])])["drift"]["healed"] == 2 * number - (nodes == [a])
            assert paths.file.read_text() == right
    paths.file.touch()
    assert made.sync([cluster("web", [a])])["drift"]["healed"] == 6, "it says what it said"
    assert paths.reloads() == 0


def test_a_limit_that_somebody_changed_is_counted(paths):
    """Whether or not nodes may set limits."""
    made, node = balancer(paths), Node("a", "127.0.0.1", 9, {"maxconn": 5})
    clusters = [
        cluster("free", [node], server_metadata=["maxconn"]),
        cluster("plain", [node], server_options="maxconn 3"),
        cluster("range", [node], server_options="minconn 2 maxconn 4"),
        cluster("slots", [node], backend=["balance source"]),
    ]
    made.sync(clusters)
    limits = {"free": {"a:9": "5"}, "plain": {"a:9": "3"}, "slots": of_stat(paths, "slots", "slim")}
    for count, name in enumerate(limits, 1):
        server = next(iter(limits[name]))
        paths.ask(f"set maxconn server {name}/{server} 77")
        report = made.sync(clusters)
        assert report["drift"]["healed"] == count
        assert report["drift"]["last"]["what"] == f"{name}/{server} has another limit"
        assert of_stat(paths, name, "slim") == limits[name]
    assert made.sync(clusters)["last"]["commands"] == 0, "a limit that HAProxy derives is left alone"
    assert set(of_stat(paths, "slots", "slim").values()) == {""}


AIMS = (  # of checks and agents
    *(
        "",
        "check",
        "check port 77",
        "check addr 127.0.0.2",
        "port 77 addr 127.0.0.2",
        "check addr localhost port 5",
        "check port 077",
    ),
    *("agent-port 5 port 7 check agent-check", "agent-check agent-port 8 agent-addr 127.0.0.3", "check addr [::1]"),
    *(
        "check ssl verify none port 443",
        "check send-proxy",
        "agent-check agent-port 8 check addr 127.0.0.4 agent-addr 127.0.0.5",
    ),
)


def test_where_checks_go_is_foretold(paths):
    """For servers of the file, of slots, and for those that join."""
    kinds = ([], ["default-server port 9 agent-port 4 addr 127.0.0.8 inter 1h agent-inter 1h"], ["balance source"])
    options = [{"server_options": aim, "backend": lines} for aim in AIMS for lines in kinds]

    def clusters(*numbers):
        return [cluster(f"c{number}", nodes(*numbers), **each) for number, each in enumerate(options)]

    made = balancer(paths)
    made.sync(clusters(1, 2))
    made.sync(clusters(2, 3))
    report = made.sync(clusters(2, 3))
    assert (report["drift"]["last"], paths.reloads()) == (None, 0)
    assert balancer(paths).preview(clusters(2, 3)).effects == ()


@contextlib.contextmanager
def fickle_agent(dice):
    """Its port; each answer is another one."""
    answers = [b"up", b"ready", b"drain", b"maint", b"down", b"ready 50%", b"up 100%", b"maxconn:3"]

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(dice.choice(answers) + b"\n")

    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def test_what_nobody_typed_is_no_drift(paths):
    """Random changes of members under options of every kind, on the short way and on the long one."""
    dice = random.Random(11)
    with fickle_agent(random.Random(12)) as port:
        own = {"server_metadata": ["weight", "maxconn", "backup"]}
        kinds = {
            "tls": {"server_options": "ssl verify none check inter 1h maxconn 40 minconn 4"},
            "port": {"server_options": "check inter 1h port 7 addr 127.0.0.9 agent-check agent-port 1 agent-inter 1h"},
            "fixed": {"backend": ["balance uri"], "server_options": "check inter 1h"},
            "sticky": {"backend": ["cookie S insert"], "server_options": "weight 3 maxconn '7'", **own},
            "default": {"backend": ["default-server ssl verify none maxconn 6"], **own},
            "track": {
                "backend": ["server leader 127.0.0.1:9 check inter 50ms"],
                "server_options": "track track/leader",
            },
            "agent": {"server_options": f"agent-check agent-port {port} agent-inter 20ms"},
        }

        def members(kind, least=1):
            metadata = (
                [{}, {"weight": 9}, {"maxconn": 5}, {"weight": 0, "maxconn": 1}] if "server_metadata" in kind else [{}]
            )
            chosen = dice.sample(range(8), dice.randint(least, 8))
            return [Node(f"n{number}", "127.0.0.1", 9000 + number, dice.choice(metadata)) for number in chosen]

        now = {name: members(kind, 8) for name, kind in kinds.items()}
        made = balancer(paths)
        for number in range(120):
            name = dice.choice(list(now))
            now[name] = members(kinds[name])
            if number % 40 == 39:
                made = balancer(paths)
            clusters = [cluster(key, now[key], **kinds[key]) for key in now]
            for _ in range(dice.choice([1, 1, 1, 2])):  # the second time everything is compared
                report = made.sync(clusters)
            assert (report["drift"]["last"], report["degraded"], report["last"]["reload"]) == (None, None, None), number
        assert paths.reloads() == 0


def test_a_restart_by_someone_else_is_counted(paths):
    made, port = balancer(paths), free_port()
    clusters = [cluster("web", nodes(1), port=port)]
    made.sync(clusters)
    paths.master("reload")
    old = paths.pids()
    report = until(lambda: (r := made.sync(clusters))["drift"]["healed"] and r, what="the drift to be seen")
    until(lambda: len(paths.pids()) == 2, what="the old worker to end")
    assert report["drift"]["last"]["what"] == "HAProxy was restarted or reloaded"
    paths.stop()
    report = made.sync(clusters)
    assert report["drift"]["healed"] == 2
    assert report["drift"]["last"]["what"] == "HAProxy had ended"
    assert os.getpid() not in old
