"""What a sync would do is told without doing it, and then it does exactly that."""

import gc
import os
import random
from dataclasses import replace

import pytest

from lighthouse.cluster import Cluster
from lighthouse.errors import BalancerError, LighthouseError
from lighthouse.haproxy import layout
from lighthouse.haproxy.host_name import HostName
from lighthouse.node import Node
from lighthouse.preview import Way
from support.haproxy import balancer, cluster, haproxy
from support.haproxy_service import Service
from support.ports import free_port
from support.wait import until

A, B, C = (Node(name, "127.0.0.1", 9) for name in "abc")
MOVED = Node("a", "127.0.0.2", 9)
PORT, OTHER = free_port(), free_port()

WEB = cluster("web", [A, B], port=PORT)
STICKY = cluster("old", [A], backend=["balance source"])


def state_of(paths):
    """All that a preview could change: files, sockets, processes, what HAProxy runs."""
    files = {}
    for name in sorted(os.listdir(paths.root)):
        found = os.lstat(paths.root / name)
        content = (paths.root / name).read_bytes() if os.path.isfile(paths.root / name) else b""
        files[name] = (found.st_ino, found.st_mode, found.st_mtime_ns, content)
    if not paths.pids():
        return files
    servers = [line.split()[:9] + line.split()[10:] for line in paths.ask("show servers state").splitlines()]
    processes = [line.split()[:3] for line in paths.master("show proc").splitlines()]
    return files, sorted(paths.pids()), servers, processes, paths.ask("show stat -1 7 -1").count("\n")


def previewed(paths, made, clusters):
    """The preview, which changed nothing."""
    gc.collect()  # a balancer of an earlier test has begun a conversation, perhaps with an old worker
    until(lambda: not paths.pids() or len(paths.pids()) == 2, what="the end of old workers")
    until(lambda: not paths.pids() or "old" not in paths.master("show proc"), what="the master to know of it")
    before = state_of(paths)
    found = made.preview(clusters)
    assert state_of(paths) == before
    return found


def told(found):
    return [(item.way.value, item.where, item.what) for item in found.effects]


RUNTIME = {
    "nothing": ([WEB], [WEB], []),
    "join": ([WEB], [cluster("web", [A, B, C], port=PORT)], [("runtime", "backend web", "add server c:9 127.0.0.1:9")]),
    "leave": (
        [WEB],
        [cluster("web", [A], port=PORT)],
        [("runtime", "backend web", "remove server b:9 once its connections have ended")],
    ),
    "move": (
        [WEB],
        [cluster("web", [MOVED, B], port=PORT)],
        [("runtime", "backend web", "change server a:9: addr 127.0.0.2 port 9")],
    ),
    "slot": ([STICKY], [cluster("old", [A, B], backend=["balance source"])], [
        ("runtime", "backend old", "add server b:9 127.0.0.1:9 in slot2")
    ]),
    "weight": (
        [cluster("web", [A], server_metadata=["weight"])],
        [cluster("web", [replace(A, metadata={"weight": 7})], server_metadata=["weight"])],
        [("runtime", "backend web", "change server a:9: weight 7")],
    ),
    "unknown": ([WEB], [cluster("web", None, port=PORT)], []),
}  # fmt: skip

RELOAD = {
    "line": (
        [WEB],
        [cluster("web", [A, B], port=PORT, backend=["timeout queue 3s", "balance leastconn"])],
        [("reload", "backend web", "timeout queue added; balance added")],
    ),
    "port": (
        [WEB],
        [cluster("web", [A, B], port=OTHER)],
        [("reload", "frontend web:in", f"bind 127.0.0.1:{PORT} removed; bind 127.0.0.1:{OTHER} added")],
    ),
    "options": (
        [WEB],
        [cluster("web", [A, B], port=PORT, server_options="maxconn 5")],
        [("reload", "backend web", "the server options changed")],
    ),
    "new and gone, and a member": (
        [WEB],
        [cluster("db", [A, B]), cluster("web", [A, B, C])],
        [
            ("runtime", "backend web", "add server c:9 127.0.0.1:9"),
            ("reload", "backend db", "is new, with 2 servers"),
            ("reload", "frontend web:in", "is gone"),
        ],
    ),
    "slots": (
        [STICKY],
        [cluster("old", [Node("a", "127.0.0.1", port) for port in range(9, 19)], backend=["balance source"])],
        ("reload", "backend old", "it needs 15 slots for its members"),
    ),
}

SECRET = cluster("web", [A, B], port=PORT, frontend=["mode http", "stats auth admin:hunter2"])


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with haproxy(tmp_path_factory.mktemp("preview")) as found:
        yield found


def settle(paths, clusters):
    """Have these run, with nothing left to do: what an earlier test left is leaving, and gone by the second sync."""
    made = balancer(paths)
    for _ in range(2):
        report = made.sync(clusters)
    assert report["degraded"] is None
    assert told(previewed(paths, balancer(paths), clusters)) == []


@pytest.mark.versions
@pytest.mark.parametrize("case", RUNTIME | RELOAD)
def test_the_preview_is_what_the_sync_does(shared, case):
    before, after, expected = (RUNTIME | RELOAD)[case]
    settle(shared, before)
    made = balancer(shared)
    found = told(previewed(shared, made, after))
    assert expected in found if isinstance(expected, tuple) else found == expected
    report = made.sync(after)
    assert report["degraded"] is None
    assert (report["last"]["reload"] is not None) == (case in RELOAD)
    assert (report["last"]["commands"] > 0) == any(way == "runtime" for way, *_ in found)
    assert told(balancer(shared).preview(after)) == []


def drawn(dice):
    """Clusters by chance: members, weights, lines, slots, a frontend, and now and then a line that HAProxy refuses."""
    found = []
    for name in dice.sample(["web", "db", "old"], dice.randint(1, 3)):
        nodes = [replace(node, metadata={"weight": dice.choice([1, 5])}) for node in dice.sample([A, B, C, MOVED], 3)]
        by_name = {node.name: node for node in nodes[: dice.randint(0, 3)]}
        lines = dice.choice([[], [], ["retries 1"], ["balance source"], ["blance first"]])
        port = PORT if name == "web" and dice.random() < 0.8 else None
        found.append(cluster(name, list(by_name.values()), port=port, backend=lines, server_metadata=["weight"]))
    return found


def test_changes_by_chance_are_foretold(shared):
    dice = random.Random(11)
    for number in range(25):
        clusters = drawn(dice)
        made = balancer(shared, max_old_workers=1000)  # they end when they get round to it
        ways = {way for way, *_ in told(made.preview(clusters))}
        report = made.sync(clusters)
        assert (report["last"]["reload"] is not None) == ("reload" in ways), number
        assert bool(report["quarantined"]) == ("refused" in ways), number
        assert report["last"]["commands"] or "runtime" not in ways, number
        assert {way for way, *_ in told(balancer(shared).preview(clusters))} <= {"refused"}, number


def test_no_line_of_the_operator_is_shown(shared):
    settle(shared, [WEB])
    found = previewed(shared, balancer(shared), [SECRET])
    assert told(found) == [("reload", "frontend web:in", "mode added; stats auth added")]


def test_what_haproxy_refuses(shared):
    settle(shared, [WEB])
    bad = cluster("db", [A], backend=["blance first"])
    made = balancer(shared)
    found = told(previewed(shared, made, [bad, cluster("web", [A], port=PORT), cluster("more", [B])]))
    assert ("reload", "backend more", "is new, with 1 server") in found
    assert ("runtime", "backend web", "remove server b:9 once its connections have ended") in found
    (refused,) = [item for item in found if item[0] == "refused"]
    assert refused[1] == "cluster db"
    assert "unknown keyword 'blance'" in refused[2]
    assert "db" in made.sync([bad, cluster("web", [A], port=PORT), cluster("more", [B])])["quarantined"]


def test_what_is_left_out(shared):
    settle(shared, [WEB])
    heavy = cluster("web", [replace(A, metadata={"weight": "much"}), B], port=PORT, server_metadata=["weight"])
    clusters = [heavy, cluster("xeb", [A], port=PORT)]
    found = previewed(shared, balancer(shared), clusters)
    [(_, where, what)] = [item for item in told(found) if item[0] == "refused"]
    assert (where, f"port {PORT} belongs to cluster web" in what) == ("cluster xeb", True)
    [note] = [note for note in found.notes if "announced" in note]
    assert note.startswith("cluster web: node a:9 is not taken as announced: weight 'much' ")


def test_names_that_are_taken(shared):
    """What the directory itself leaves out is refused. A node of the registry that nobody takes keeps no directory back."""
    settle(shared, [WEB])
    web = cluster("web", [A, B, C], port=PORT, backend=["server a:9 127.0.0.1:10", "server b:9 127.0.0.1:9"])
    pages = {"stats": {"port": free_port()}, "meta_clusters": {"meta": {"port": free_port()}}}
    proxies = {"web": {"port": OTHER, "upstreams": [{"host": "127.0.0.1", "port": 9}]}}
    clusters = [cluster("meta", [A], port=free_port()), cluster("stats", [A]), web]
    found = previewed(shared, balancer(shared, proxies=proxies, **pages), clusters)
    assert [what.partition(",")[0] for way, _, what in told(found) if way == "refused"] == [
        *("the proxy web is left out", "the stats page stats is left out", "the meta cluster meta is left out"),
    ]
    [note] = found.notes
    assert note.startswith(
        "cluster web: node a:9 is not taken: a line `server` of the cluster's own `backend` has its name "
    )


def test_a_silent_resolver_is_a_note_since_no_configuration_is_the_cause(shared, monkeypatch):
    def silent():
        raise LighthouseError("no answer")

    monkeypatch.setattr(layout, "HOST_NAME", HostName(silent))
    settle(shared, [WEB])
    found = previewed(shared, balancer(shared), [cluster("web", [A, B], port=PORT, peers=free_port())])
    assert {way for way, *_ in told(found)} == {"reload"}
    [note] = found.notes
    assert "the resolver does not tell the full name of this host" in note


def test_without_haproxy_all_is_a_start(tmp_path):
    with haproxy(tmp_path) as paths:
        clusters = [cluster("web", [A, B], port=OTHER), cluster("bad", [A], backend=["blance first"])]
        found = told(previewed(paths, balancer(paths), clusters))
        assert os.listdir(tmp_path) == []
        assert found[0][:2] == ("refused", "cluster bad")
        assert found[0][2].endswith("(it is left out)")
        assert ("start", "haproxy", "does not run") in found
        assert ("start", "frontend web:in", f"bind 127.0.0.1:{OTHER}") in found
        assert ("start", "backend web", "2 servers") in found


def test_one_that_runs_something_else(shared):
    settle(shared, [WEB])
    text = shared.file.read_text()
    shared.file.write_text("global\n")
    found = told(previewed(shared, balancer(shared), [WEB, STICKY]))
    assert found == [("reload", "haproxy", "it runs a configuration that is not ours or not the one on disk")]
    shared.file.write_text(text)


def test_one_of_a_service(tmp_path):
    service, db = Service(tmp_path), cluster("db", [A])
    try:
        found = told(previewed(service, service.balancer(), [db]))
        assert found[0][:2] == ("start", "haproxy")
        assert "its service has to start it" in found[0][2]
        service.start()
        service.balancer().sync([db])
        found = told(previewed(service, service.balancer(), [cluster("own", [A]), db]))
        assert [item[:2] for item in found] == [("refused", "cluster own")]
        assert "has the same name" in found[0][2]
    finally:
        service.end()


def test_it_says_when_haproxy_cannot_be_asked(tmp_path):
    with haproxy(tmp_path) as paths, pytest.raises(BalancerError, match="install HAProxy"):
        balancer(paths, binary="/nonexistent/haproxy").preview([Cluster("web")])


def test_the_words_for_it():
    assert [way.value for way in Way] == ["runtime", "reload", "start", "refused"]
