"""The short way of a sync: only what changed is looked at, and whatever else is wrong is found when everything is compared."""

import os
import random
import socket
import stat
import subprocess
from dataclasses import replace

import pytest

from lighthouse.haproxy import memory
from lighthouse.haproxy.document import parse
from lighthouse.haproxy.process import HAProxyProcess
from lighthouse.haproxy.sockets import Sockets
from lighthouse.haproxy.talk import Dialogue
from lighthouse.node import Node
from lighthouse.peer import Peer
from support.haproxy import Load, backends, balancer, cluster, get
from support.ports import free_port
from support.wait import until

pytestmark = pytest.mark.versions

KINDS = {"dynamic": {}, "fixed": {"backend": ["balance source"]}, "sticky": {"backend": ["cookie S insert"]}}


def nodes(*numbers):
    return [Node(f"n{number}", "127.0.0.1", 9000 + number) for number in numbers]


def clusters(**members):
    return [cluster(name, found, **KINDS.get(name, {})) for name, found in sorted(members.items())]


def in_file(paths, backend):
    return {member.server: member.address for member in parse(paths.file.read_text()).backends()[backend].members}


def agree(paths, *names):
    return all(in_file(paths, name) == paths.servers(name) for name in names)


@pytest.fixture
def no_long_way(monkeypatch):
    """Forbid to read everything, or to let HAProxy judge the file, from the moment it is called."""

    def forbid():
        def refuse(*_args, **_more):
            raise AssertionError("the long way was taken")

        monkeypatch.setattr(Sockets, "running", refuse)
        monkeypatch.setattr(HAProxyProcess, "check", refuse)

    return forbid


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_of_members_takes_the_short_way(paths, kind, no_long_way):
    made = balancer(paths)
    made.sync(clusters(**{kind: nodes(1, 2)}, other=nodes(9)))
    no_long_way()
    for members in (nodes(1, 2, 3), nodes(2, 3), nodes(3, 4), [Node("n3", "127.0.0.2", 9003)], []):
        report = made.sync(clusters(**{kind: members}, other=nodes(9)))
        assert report["degraded"] is None
        assert report["servers"] == {kind: {node.name: "up" for node in members}, "other": {"n9:9009": "up"}}
        assert agree(paths, kind, "other")
    assert stat.S_IMODE(os.stat(paths.file).st_mode) == 0o600


def asked_for(made, clusters, monkeypatch):
    """What HAProxy is told and asked in the course of a sync, and its report."""
    asked, ask = [], Dialogue.ask

    def note(self, *commands):
        asked.extend(commands)
        ask(self, *commands)

    with monkeypatch.context() as patch:
        patch.setattr(Dialogue, "ask", note)
        return made.sync(clusters), len(asked)


def changed(paths, what):
    """A balancer and its cluster that something is not as it should be with, for long, and what its report says of it."""
    port = free_port()
    bad = {
        "quarantined": {"backend": ["balance source", "nonsense"]},
        "pending": {"backend": ["balance source", "timeout queue 1s"]},
        "note": {"backend": ["balance source"], "port": None, "frontend": ["maxconn 9"]},
    }.get(what, {"backend": ["balance source"]})
    made = balancer(
        paths,
        restart_interval=60 if what == "pending" else 0,
        **({"global": ["nonsense"]} if what == "global" else {}),
    )
    return made, lambda *numbers: cluster("bad", nodes(*numbers), **({"port": port} | bad))


@pytest.mark.parametrize("what", ["quarantined", "pending", "note", "global"])
def test_what_is_refused_or_waits_makes_no_change_of_members_longer(paths, no_long_way, monkeypatch, what):
    """HAProxy is asked and told as much as without. Only a cluster in quarantine may be cured by members of its own."""
    made = balancer(paths)
    good = cluster("bad", nodes(1), port=free_port(), backend=["balance source"])
    made.sync([good, *clusters(dynamic=nodes(1))])
    _, usual = asked_for(made, [good, *clusters(dynamic=nodes(1, 2))], monkeypatch)
    made, bad = changed(paths, what)
    report = made.sync([bad(1), *clusters(dynamic=nodes(1, 2))])
    kept = ("degraded", "quarantined", "pending", "notes")
    before = {key: report[key] for key in kept}
    assert any(before.values())
    no_long_way()
    report, count = asked_for(made, [bad(1), *clusters(dynamic=nodes(1, 2, 3))], monkeypatch)
    assert (count, {key: report[key] for key in kept}) == (usual, before)
    assert (report["again"] is not None) == (what == "pending"), "it is called for at its time"
    report = made.sync([bad(*(1, 2, 3)[: 1 if what == "quarantined" else 3]), *clusters(dynamic=nodes(2, 3))])
    assert {key: report[key] for key in kept} == before
    assert set(report["servers"]["bad"].values()) == {"up"}
    assert agree(paths, "bad", "dynamic")


def test_limits_and_weights_take_the_short_way(paths, no_long_way):
    made = balancer(paths)
    options = {"server_metadata": ["weight", "maxconn"]}
    made.sync([cluster("web", [], **options)])
    no_long_way()
    for metadata in ({"maxconn": 3}, {"maxconn": 4, "weight": 7}, {"weight": 0}, {}):
        made.sync([cluster("web", [Node("n1", "127.0.0.1", 9001, metadata)], **options)])
        limit, weight = (
            paths.ask("show stat web 4 -1").splitlines()[1].split(",")[6],
            paths.ask("get weight web/n1:9001").split()[0],
        )
        assert (limit, weight) == (str(metadata.get("maxconn", "")), str(metadata.get("weight", 1)))


def test_what_waits_for_a_reload_is_told_as_long_as_it_waits(paths, no_long_way):
    made = balancer(paths)
    options = {"backend": ["balance source"], "server_metadata": ["weight", "backup"]}
    heavy, spare = Node("heavy", "127.0.0.1", 9001, {"weight": 7}), Node("spare", "127.0.0.1", 9002, {"backup": True})
    made.sync([cluster("web", [], **options)])
    no_long_way()
    for members, waiting in (
        ([heavy], {heavy.name}),
        ([heavy, spare], {heavy.name, spare.name}),
        ([spare], {spare.name}),
    ):
        report = made.sync([cluster("web", members, **options)])
        assert set(report["waiting"].get("web", {})) == waiting
        assert report["last"]["reload"] is None


def test_what_waits_for_one_is_told_when_another_changes(paths, no_long_way):
    made, spare = balancer(paths), Node("spare", "127.0.0.1", 9009, {"backup": True})
    made.sync([cluster("web", [spare], server_metadata=["backup"])])
    assert made.sync([cluster("web", [spare])])["waiting"]["web"].keys() == {spare.name}
    no_long_way()
    for others in (nodes(1), nodes(1, 2), nodes(2)):
        assert made.sync([cluster("web", [spare, *others])])["waiting"]["web"].keys() == {spare.name}


def test_what_a_change_of_members_brings_beside_members_takes_the_long_way(paths):
    made, free = balancer(paths, local_peer="here"), free_port()

    def sync(count, weight):
        nodes = [Node("n", "127.0.0.1", 9001 + n, peer=Peer(f"p{n}", f"127.0.1.{n}", 7)) for n in range(count)]
        heavy = Node("heavy", "127.0.0.1", 9, {"weight": weight})
        report = made.sync([cluster("db", nodes, peers=free), cluster("web", [heavy], server_metadata=["weight"])])
        return paths.file.read_text().count("\tpeer p"), report["refused"].keys()

    assert sync(1, 7) == (1, set())
    assert sync(2, 7) == (2, set())
    assert sync(2, "7") == (2, {"web"})
    assert sync(2, 7) == (2, set())


def test_a_worker_that_is_being_replaced_is_not_believed(paths, monkeypatch):
    made, exchange, running, read = balancer(paths), Sockets.exchange, Sockets.running, []

    def stopping(*args):
        answers, found = exchange(*args)
        return answers, replace(found, stopping=True)

    def reading(*args):
        read.append(args)
        return running(*args)

    made.sync(clusters(a=nodes(1)))
    monkeypatch.setattr(Sockets, "exchange", stopping)
    monkeypatch.setattr(Sockets, "running", reading)
    made.sync(clusters(a=nodes(1, 2)))
    assert read
    assert agree(paths, "a")


def test_drift_where_nothing_changed_is_healed_in_the_set_time(paths, monkeypatch):
    made = balancer(paths)
    made.sync(clusters(a=nodes(1), b=nodes(2, 3)))
    for command in (
        "disable server b/n2:9002",
        "set server b/n3:9003 addr 127.0.0.9 port 99",
        "add server b/own 127.0.0.1:1;enable server b/own",
    ):
        paths.ask(command)
    healed = made.sync(clusters(a=nodes(1, 2), b=nodes(2, 3)))["drift"]["healed"]
    assert (agree(paths, "a"), agree(paths, "b"), healed) == (True, False, 0), "only what changed was looked at"
    monkeypatch.setattr(memory, "VERIFY", 0.3)
    numbers = iter(range(10, 1000))

    def changing_all_the_time():
        return made.sync(clusters(a=nodes(1, next(numbers)), b=nodes(2, 3)))["drift"]["healed"]

    assert until(changing_all_the_time, what="the drift to be found") == 3
    assert agree(paths, "a", "b")


def test_without_a_change_everything_is_compared_at_once(paths):
    made = balancer(paths)
    same = clusters(a=nodes(1), b=nodes(2))
    made.sync(same)
    paths.ask("disable server b/n2:9002")
    assert made.sync(same)["drift"]["healed"] == 1
    assert agree(paths, "a", "b")


def test_drift_in_the_cluster_that_changed_is_counted_and_healed_at_once(paths, no_long_way):
    made = balancer(paths)
    made.sync(clusters(dynamic=nodes(1, 2), fixed=nodes(1, 2)))
    paths.ask("disable server dynamic/n1:9001;set server fixed/slot1 addr 127.0.0.9 port 99")
    until(
        lambda: " 127.0.0.9 " in paths.ask("show servers state fixed"), what="the address"
    )  # a moment later since 3.0
    no_long_way()
    report = made.sync(clusters(dynamic=nodes(1, 2, 3), fixed=nodes(1, 2, 3)))
    assert report["drift"]["healed"] == 2
    assert report["drift"]["last"]["what"] == "dynamic/n1:9001 has another state, fixed/slot1 has another address"
    assert agree(paths, "dynamic", "fixed")


def reload_as_it_is(paths, _text):
    paths.master("reload")


def reload_an_older_file(paths, text):
    paths.file.write_text(text)
    paths.master("reload")


def end(paths, _text):
    paths.stop()


def reload_something_else(paths, text):
    paths.file.write_text(text.replace("backend b\n", "backend b\n\ttimeout queue 7s\n"))
    paths.master("reload")


@pytest.mark.parametrize("what", [reload_as_it_is, reload_an_older_file, end, reload_something_else])
def test_a_haproxy_that_was_replaced_is_not_taken_for_the_one_that_is_known(paths, what):
    """The very next sync, although only one cluster changed, compares everything."""
    made = balancer(paths)
    made.sync(clusters(a=nodes(1), b=nodes(1, 2), fixed=nodes(1, 2)))
    text = paths.file.read_text()
    made.sync(clusters(a=nodes(1), b=nodes(2, 3), fixed=nodes(2, 3)))
    old = set(paths.pids())
    what(paths, text)
    if what is not end:
        until(lambda: set(paths.pids()) - old, what="a new worker")
    report = made.sync(clusters(a=nodes(1, 2), b=nodes(2, 3), fixed=nodes(2, 3)))
    assert report["degraded"] is None
    assert report["drift"]["healed"] == (1 if what in (reload_as_it_is, end) else 2)
    assert bool(report["last"]["reload"]) is (what is reload_something_else)
    assert agree(paths, "a", "b", "fixed")
    assert "timeout queue" not in paths.file.read_text()
    assert report["servers"]["b"] == {"n2:9002": "up", "n3:9003": "up"}


def test_whatever_somebody_types_is_healed(paths):
    """Random changes of members amid random commands of others; then everything is compared once."""
    dice = random.Random(3)
    made, now = balancer(paths), {name: nodes(*range(4)) for name in KINDS}
    made.sync(clusters(**now))
    for number in range(60):
        for _ in range(dice.randint(0, 3)):
            name = dice.choice(list(KINDS))
            server = dice.choice(sorted(in_file(paths, name)) or ["none"])
            paths.ask(
                dice.choice(
                    [
                        f"disable server {name}/{server}",
                        f"set server {name}/{server} state drain",
                        f"set server {name}/{server} addr 127.0.0.9 port 99",
                        f"set server {name}/{server} weight 0",
                        f"disable server {name}/{server};del server {name}/{server}" if name == "dynamic" else "help",
                        f"add server {name}/own 127.0.0.1:1;enable server {name}/own",
                    ]
                )
            )
        changed = dice.choice(list(KINDS))
        now[changed] = nodes(*dice.sample(range(8), dice.randint(0, 5)))
        made.sync(clusters(**now))
        assert agree(paths, changed), number
        if number % 5 == 4:
            report = made.sync(clusters(**now))
            assert agree(paths, *KINDS), number
            assert {state for states in report["servers"].values() for state in states.values()} <= {"up"}
    assert paths.reloads() == 0


def test_the_file_is_judged_afterwards_and_taken_back_if_it_is_refused(paths):
    """What HAProxy takes at its socket it should take from the file too. Should it not, the next start must not fail for it."""
    refuses = paths.root / "refuses"
    program = paths.root / "haproxy"
    program.write_text(
        f'#!/bin/sh\n[ "$1" = -c ] && [ -e {refuses} ] && {{ echo "[ALERT] (1) : no" >&2; exit 1; }}\nexec haproxy "$@"\n'
    )
    program.chmod(0o755)
    made = balancer(paths, binary=str(program))
    made.sync(clusters(a=nodes(1)))
    good = paths.file.read_text()
    with socket.socket() as squatter:  # what was accepted last, and could not be loaded, is no way back
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        bind = f"bind localhost:{squatter.getsockname()[1]}"
        report = made.sync([cluster("a", nodes(1), port=free_port(), frontend=[bind])])
        assert "goes on with the old one" in report["degraded"]
    assert made.sync(clusters(a=nodes(1)))["degraded"] is None
    assert paths.file.read_text() == good
    refuses.touch()
    assert made.sync(clusters(a=nodes(1, 2)))["degraded"] is None
    assert paths.file.read_text() != good
    for numbers in ((1, 2), (1, 2), (1, 2, 3)):
        report = made.sync(clusters(a=nodes(*numbers)))
        assert "the file is not up to date" in report["degraded"]
        assert paths.file.read_text() == good
        assert set(report["servers"]["a"].values()) == {"up"}
    refuses.unlink()
    made._tools.refusals.hasten(0)
    assert made.sync(clusters(a=nodes(1, 2, 3)))["degraded"] is None
    assert agree(paths, "a")


def accepted(paths):
    return subprocess.run(["haproxy", "-c", "-f", paths.file], capture_output=True, check=False).returncode == 0


def test_a_server_that_lines_name_keeps_its_line_when_it_leaves(paths):
    """HAProxy neither accepts a file without it nor deletes it: it is a free server until its member is back."""
    port, other = free_port(), free_port()
    with backends("a", "b", "c") as (a, b, c):
        name = a.node.name
        users = [
            cluster("db", [b], port=other, frontend=[f"http-request return status 202 if {{ srv_is_up(web/{name}) }}"]),
            cluster("follower", [b], server_options=f"track web/{name}"),
        ]

        def everyone(*members, **more):
            options = {"backend": [f"use-server '{name}' if TRUE"], "server_options": "check inter 100ms"} | more
            return [cluster("web", members, port=port, **options), *users]

        made = balancer(paths)
        made.sync(everyone(a, b))
        text = paths.file.read_text()
        with Load(port) as load:
            until(lambda: load.ok["a"] > 10, what="requests at the one that the rule names")
            assert not load.ok["b"]
            [effect] = made.preview(everyone(b)).effects
            assert effect.what == f"disable server {name}: it has left, and its line stays, because others name it"
            for members in ((b,), (b, c), (c,), (b,)):
                assert made.sync(everyone(*members))["degraded"] is None
                assert accepted(paths)
                load.wait_for(10)
                assert agree(paths, "web")
            until(lambda: made.sync(everyone(b))["leaving"] == {}, what="the end of the last connections")
            until(lambda: get(other) == (200, "b"), what="the word that it is not up")
            assert made.preview(everyone(b)).effects == ()
            report = made.sync(everyone(a, b))
            load.wait_for(10)
            assert report["drift"]["healed"] == 0
        assert load.failed == []
        assert paths.file.read_text() == text
        made.sync(everyone(b))
        paths.stop()
        made = balancer(paths)
        assert made.sync(everyone(b))["degraded"] is None
        assert get(port) == (200, "b")
        made.sync(everyone(a, b))
        until(lambda: get(port) == (200, "a"), what="its return to an HAProxy that never had it")
        assert made.sync(everyone(a, b))["last"] == {"commands": 0, "start": None, "reload": None}
        assert (paths.reloads(), paths.file.read_text()) == (0, text)
        made.sync(everyone(b))
        users.clear()
        assert made.sync(everyone(b, backend=[]))["degraded"] is None
        assert name not in paths.file.read_text()


def test_a_rule_for_a_server_that_never_was_there_is_judged_again_when_it_comes(paths):
    made, port = balancer(paths), free_port()
    with backends("a", "b") as (a, b):
        made.sync([cluster("web", [b], port=port)])
        for number in range(2):
            ruled = {"port": port, "backend": [f"use-server {a.node.name} if TRUE", f"timeout queue {number + 1}s"]}
            report = made.sync([cluster("web", [b], **ruled)])
            assert "unable to find server" in report["quarantined"]["web"]
            assert get(port) == (200, "b")
            if number:
                paths.stop()
                for file in paths.root.glob("haproxy.cfg*"):
                    file.unlink()
                made = balancer(paths)
                assert made.sync([cluster("web", [b], **ruled)])["quarantined"].keys() == {"web"}
            assert made.sync([cluster("web", [a, b], **ruled)])["quarantined"] == {}
            assert get(port) == (200, "a")
            made.sync([cluster("web", [b], port=port)])


def test_so_is_a_line_of_another_cluster(paths):
    made = balancer(paths)
    rule = {"frontend": ["http-request deny if { srv_is_up(web/n1:9001) }"], "port": free_port()}
    made.sync([cluster("web", nodes(2)), cluster("db", nodes(3), port=rule["port"])])
    for found in (nodes(2), nodes(2, 4)):
        assert made.sync([cluster("web", found), cluster("db", nodes(3), **rule)])["quarantined"].keys() == {"db"}
    assert made.sync([cluster("web", nodes(1, 2)), cluster("db", nodes(3), **rule)])["quarantined"] == {}


def test_a_cluster_that_was_changed_in_place_is_noticed(paths):
    made, found = balancer(paths), clusters(a=nodes(1), b=nodes(1))
    made.sync(found)
    found[0].nodes.append(nodes(2)[0])
    made.sync(found)
    assert agree(paths, "a")
    assert len(paths.servers("a")) == 2
