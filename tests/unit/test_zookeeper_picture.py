"""The picture of a cluster, against a model of ZooKeeper."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighthouse.cluster import Cluster
from lighthouse.node import Node
from lighthouse.zookeeper import picture
from lighthouse.zookeeper.audit import AUDIT_LEAST
from lighthouse.zookeeper.messages import Answer, Changed, Failure, Kind
from lighthouse.zookeeper.names import Known, Names, Pending
from lighthouse.zookeeper.picture import Picture
from lighthouse.zookeeper.watcher import Watcher
from support.zookeeper_model import Model


def record(name="a", ip="10.0.0.1", port=80):
    return Node(name, ip, port).serialize().encode()


def unasked(_host):
    raise AssertionError("no name is to be looked up")


class View:
    """A picture with the model behind it."""

    def __init__(self, model):
        self.model = model
        self.picture = Picture("/s/web")
        self.told = []

    def ask(self, most=100):
        for request in list(self.picture.requests(most)):
            self.model.ask(request)

    def take(self, most=1000):
        for _ in range(min(most, len(self.model.out))):
            message = self.model.out.pop(0)
            if isinstance(message, Changed):
                self.picture.event(message)
            else:
                self.picture.take(message)
        if self.picture.conclude(unasked):
            self.told.append([node.name for node in self.picture.nodes])

    def settle(self):
        for _ in range(100):
            self.ask()
            if not self.model.out:
                return self
            self.take()
        raise AssertionError("it does not come to rest")


@pytest.fixture
def model():
    return Model("/s", "/s/web")


def test_it_is_told_once_complete_and_then_once_per_change(model):
    model.create("/s/web/1", record("a"))
    model.create("/s/web/2", record("b"))
    view = View(model)
    view.ask()
    view.take()
    view.ask(1)
    view.take()
    assert view.told == []
    assert view.picture.nodes is None
    view.settle()
    assert view.told == [["a:80", "b:80"]]
    model.set("/s/web/2", record("b", "10.0.0.2"))
    model.create("/s/web/3", record("c"))
    view.settle()
    model.delete("/s/web/1")
    view.settle()
    assert view.told[-1] == ["b:80", "c:80"]
    assert view.picture.current


def test_members_that_all_change_their_names_at_once_are_never_seen_as_none(model):
    for n in range(4):
        model.create(f"/s/web/{n}", record(f"a{n}"))
    view = View(model).settle()
    for n in range(4):
        model.delete(f"/s/web/{n}")
        model.create(f"/s/web/new{n}", record(f"b{n}"))
    while not view.picture.current or model.out:
        view.ask(1)
        view.take(1)
    assert all(view.told), view.told
    assert view.told[-1] == [f"b{n}:80" for n in range(4)]


def test_the_price_of_each_change(model):
    for n in range(100):
        model.create(f"/s/web/{n}", record(f"a{n}"))
    view = View(model).settle()
    prices = {}
    for what, change in {
        "first": lambda: None,
        "join": lambda: model.create("/s/web/new", record("new")),
        "change": lambda: model.set("/s/web/new", record("new", "10.0.0.9")),
        "takeover": lambda: (model.delete("/s/web/new"), model.create("/s/web/new", record("new"))),
        "leave": lambda: model.delete("/s/web/new"),
    }.items():
        before = model.reads()
        change()
        view.settle()
        prices[what] = model.reads() - before
    assert prices == {"first": 0, "join": 2, "change": 1, "takeover": 2, "leave": 1}


def test_a_takeover_is_no_change_of_members(model):
    model.create("/s/web/1", record())
    view = View(model).settle()
    model.delete("/s/web/1")
    model.create("/s/web/1", record())
    view.settle()
    assert view.told == [["a:80"]]


def test_a_cluster_that_comes_goes_and_comes_again():
    model = Model()
    view = View(model).settle()
    assert view.told == [[]], "a complete answer: there is none"
    model.create("/s")
    view.settle()
    assert view.told == [[]]
    model.create("/s/web")
    model.create("/s/web/1", record())
    view.settle()
    model.delete("/s/web/1")
    model.delete("/s/web")
    view.settle()
    assert view.told == [[], ["a:80"], []]
    assert [request.kind for request in model.asked[-2:]] == [Kind.CHILDREN, Kind.EXISTS]
    model.create("/s/web")
    model.create("/s/web/1", record())
    view.settle()
    assert view.told[-1] == ["a:80"]


def test_the_loss_of_the_connection_changes_nothing_until_everything_is_read_anew(model):
    model.create("/s/web/1", record("a"))
    model.create("/s/web/2", record("b"))
    view = View(model).settle()
    model.drop()
    view.picture.lost()
    assert not view.picture.current
    model.delete("/s/web/1")
    model.set("/s/web/2", record("b", "10.0.0.2"))
    view.ask()
    view.take()
    assert view.told == [["a:80", "b:80"]]
    view.settle()
    assert view.told[-1] == ["b:80"]
    assert view.picture.nodes[0].ip == "10.0.0.2"


@pytest.mark.parametrize("kind", [Kind.CHILDREN, Kind.GET])
def test_what_cannot_be_read_is_told_and_tried_again_and_members_stay(model, kind):
    model.create("/s/web/1", record("a"))
    view = View(model).settle()
    model.set("/s/web/1", record("b"))
    model.create("/s/web/2", record("c"))
    while view.picture.problem is None:
        view.take()
        view.ask()
        model.out[:] = [
            Answer(message.request, Failure.OTHER, text="MarshallingError") if message.request.kind is kind else message
            for message in model.out
        ]
    assert view.picture.problem
    assert view.told[-1] == (["b:80"] if kind is Kind.CHILDREN else ["a:80"])
    assert not view.picture.current
    view.picture.retry()
    view.settle()
    assert view.told[-1] == ["b:80", "c:80"]
    assert view.picture.problem is None


def test_one_record_that_may_not_be_read_costs_itself(model):
    model.create("/s/web/1", record("a"))
    view = View(model)
    view.ask()
    view.take()
    model.create("/s/web/2", record("b"))
    view.ask()
    model.out[:] = [
        Answer(answer.request, Failure.DENIED) if isinstance(answer, Answer) else answer for answer in model.out
    ]
    view.take()
    view.settle()
    assert view.told[-1] == ["b:80"]
    assert view.picture.refused == {"1": "this host has no permission to read it"}


def test_an_audit_finds_what_no_watch_told_and_counts_it_once(model):
    for n in range(5):
        model.create(f"/s/web/{n}", record(f"a{n}"))
    view = View(model).settle()
    model.lossy = True
    model.delete("/s/web/0")
    model.create("/s/web/9", record("z"))
    model.set("/s/web/1", record("a1", "10.0.0.9"))
    model.lossy = False
    view.settle()
    assert view.picture.missed == 0
    view.picture.audit()
    view.settle()
    assert view.picture.missed == 3
    assert view.told[-1] == ["a1:80", "a2:80", "a3:80", "a4:80", "z:80"]
    view.picture.audit()
    view.settle()
    assert view.picture.missed == 3
    model.delete("/s/web/9")
    view.settle()
    assert "z:80" not in view.told[-1], "the watches are in place again"


def test_audits_of_a_large_cluster_take_turns(model):
    size = 20 * AUDIT_LEAST
    for n in range(size):
        model.create(f"/s/web/{n:04}", record(f"a{n}"))
    view = View(model).settle()
    read = set()
    for _ in range(10):
        before = len(model.asked)
        view.picture.audit()
        view.settle()
        part = {request.path for request in model.asked[before:] if request.kind is Kind.GET}
        assert len(part) == size // 10
        read |= part
    assert len(read) == size
    assert view.picture.missed == 0


def test_a_change_during_an_audit_is_not_missed(model):
    model.create("/s/web/1", record("a"))
    model.create("/s/web/2", record("b"))
    view = View(model).settle()
    view.picture.audit()
    model.set("/s/web/1", record("a", "10.0.0.9"))
    model.delete("/s/web/2")
    view.ask()
    model.create("/s/web/3", record("c"))
    view.settle()
    assert view.picture.missed == 0
    assert view.told[-1] == ["a:80", "c:80"]


def test_the_event_of_what_is_being_read_costs_no_second_read(model):
    model.create("/s/web/1", record("a"))
    view = View(model).settle()
    before = model.reads()
    view.picture.audit()
    view.ask()
    view.take()
    model.set("/s/web/1", record("a", "10.0.0.9"))
    view.settle()
    assert view.picture.nodes[0].ip == "10.0.0.9"
    assert model.reads() - before == 2


CHANGES = st.sampled_from(["create", "delete", "set", "path", "ask", "ask one", "take", "take one", "audit", "drop"])


@given(st.lists(st.tuples(CHANGES, st.integers(0, 5)), max_size=60))
def test_whatever_happens_in_whatever_order_it_ends_right_and_misses_nothing(steps):
    model = Model("/s")
    view = View(model)
    for what, n in steps:
        path = f"/s/web/{n}"
        match what:
            case "create":
                model.create("/s/web")
                model.create(path, record(f"h{n}"))
            case "delete":
                model.delete(path)
            case "set":
                model.set(path, record(f"h{n}", f"10.0.0.{model.clock % 250 + 1}"))
            case "path" if not model.names("/s/web"):
                model.delete("/s/web")
            case "ask":
                view.ask()
            case "ask one":
                view.ask(1)
            case "take":
                view.take()
            case "take one":
                view.take(1)
            case "audit":
                view.picture.audit()
            case "drop":
                model.drop()
                view.picture.lost()
    view.settle()
    assert view.picture.current
    assert view.picture.missed == 0
    truth = sorted(
        (node.name, node.ip)
        for node in (Node.deserialize(model.znodes[f"/s/web/{name}"].data) for name in model.names("/s/web"))
    )
    assert [(node.name, node.ip) for node in view.picture.nodes] == truth


# More than is kept


def wide(name, size):
    return Node(name, "10.0.0.1", 80, {"m": "x" * size}).serialize().encode()


def test_a_cluster_of_more_bytes_than_are_kept_keeps_its_members_until_it_is_smaller(model, monkeypatch):
    monkeypatch.setattr(picture, "MAX_BYTES", 5000)
    model.create("/s/web/1", record("a"))
    view = View(model).settle()
    for n in range(20):
        model.create(f"/s/web/big{n}", wide(f"big{n}", 1000))
    reads = model.reads()
    view.settle()
    assert view.told == [["a:80"]]
    assert "/s/web holds more than 5000 bytes of records: shorten their metadata" in view.picture.trouble
    assert not view.picture.current
    assert model.reads() - reads == 21, "the list, and each record once"
    kept = [entry for _, entry in view.picture._entries.items() if entry.content is not None]
    assert len(kept) < 6, "what is left out takes no memory"
    model.delete("/s/web/1")
    view.settle()
    assert view.told == [["a:80"]]
    for n in range(2, 20):
        model.set(f"/s/web/big{n}", b"spoilt")
    view.settle()
    assert view.told[-1] == ["big0:80", "big1:80"], "also those that were left out before"
    assert view.picture.trouble is None
    assert view.picture.current


def test_a_cluster_of_more_children_than_are_followed_is_listed_in_its_time_only(model, monkeypatch):
    monkeypatch.setattr(picture, "MAX_RECORDS", 10)
    model.create("/s/web/1", record("a"))
    view = View(model).settle()
    for n in range(10):
        model.create(f"/s/web/x{n}", record(f"x{n}"))
    view.settle()
    assert (view.told, "more than 10 children" in view.picture.trouble) == ([["a:80"]], True)
    reads = model.reads()
    model.set("/s/web/1", record("b"))
    model.delete("/s/web/x0")
    view.settle()
    assert model.reads() - reads == 1, "the record; the list in its time"
    assert (view.told, view.picture.current) == ([["a:80"]], False)
    view.picture.retry()
    view.settle()
    assert view.told[-1] == ["b:80", *(f"x{n}:80" for n in range(1, 10))]
    assert view.picture.trouble is None
    model.drop()
    view.picture.lost()
    view.settle()
    assert view.picture.current


def test_a_cluster_that_changes_all_the_time_takes_no_other_its_turn(model):
    model.create("/s/api")
    model.create("/s/api/1", record("a"))
    for n in range(50):
        model.create(f"/s/web/{n}", record(f"b{n}"))
    watcher, told = Watcher(Names(lambda: None)), []
    for name in ("web", "api"):
        watcher.add(Cluster(name), lambda name=name: told.append(name), "/s")
    for now in range(20):
        for n in range(50):
            model.set(f"/s/web/{n}", record(f"b{n}", f"10.0.{now}.1"))
        for request in list(watcher.requests(now, 2)):
            model.ask(request)
        for message in list(model.out):
            watcher.event(message) if isinstance(message, Changed) else watcher.take(message, now)
        model.out.clear()
        watcher.tell(now)
    assert told == ["api"]
    assert (watcher.complete(now), watcher.unread(now)) == (True, ["web"]), "only itself is stale"


# All clusters


def settle(watcher, model):
    """Ask until there is nothing more to ask."""
    while requests := list(watcher.requests(0.0, 10)):
        for request in requests:
            model.ask(request)
        for message in list(model.out):
            watcher.event(message) if isinstance(message, Changed) else watcher.take(message, 0.0)
        model.out.clear()
        watcher.tell(0.0)


def test_answers_and_events_go_to_their_cluster(model):
    model.create("/s/api")
    model.create("/s/web/1", record("a"))
    model.create("/s/api/1", record("b"))
    watcher = Watcher(Names(lambda: None))
    clusters = {name: Cluster(name) for name in ("web", "api")}
    told = []
    for name, cluster in clusters.items():
        watcher.add(cluster, lambda name=name: told.append(name), "/s")

    settle(watcher, model)
    assert {name: [node.name for node in cluster.nodes] for name, cluster in clusters.items()} == {
        "web": ["a:80"],
        "api": ["b:80"],
    }
    model.create("/s/api/2", record("c"))
    for message in list(model.out):
        watcher.event(message)
    model.out.clear()
    told.clear()
    settle(watcher, model)
    assert told == ["api"]
    watcher.move("/other")
    assert clusters["web"].nodes
    assert not watcher.complete(0.0)
    watcher.remove("api")
    settle(watcher, model)
    assert [node.name for node in clusters["api"].nodes] == ["b:80", "c:80"]
    assert clusters["web"].nodes == []


def test_a_turn_does_not_look_at_clusters_of_which_nothing_is_heard(model, monkeypatch):
    watcher, looked = Watcher(Names(lambda: None)), set()
    for name in ("web", *map(str, range(5))):
        model.create(f"/s/{name}", b"")
        watcher.add(Cluster(name), lambda: None, "/s")

    settle(watcher, model)
    assert watcher.complete(0.0)
    for method in (Picture.requests, Picture.conclude):

        def noted(picture, *arguments, method=method):
            looked.add(picture.path)
            return method(picture, *arguments)

        monkeypatch.setattr(Picture, method.__name__, noted)
    model.create("/s/web/1", record("a"))
    for message in list(model.out):
        watcher.event(message)
    model.out.clear()
    settle(watcher, model)
    assert looked == {"/s/web"}
    assert [node.name for node in watcher.pictures["web"].nodes] == ["a:80"]


# Names


def test_a_host_that_is_known_by_name_only(model):
    model.create("/s/web/1", b'{"host": "db.example", "port": 80}')
    model.create("/s/web/2", record("a"))
    view = View(model)
    found = Pending()
    conclude = view.picture.conclude
    view.picture.conclude = lambda _unasked: conclude(lambda host: {"db.example": found}[host])
    view.settle()
    assert view.told == [], "not complete while it is being looked up"
    assert not view.picture.current
    found = Known("10.0.0.5")
    view.take()
    assert view.told == [["a:80", "db.example:80"]]
    found = Known(None, "no such name")
    view.take()
    assert view.told[-1] == ["a:80"]
    assert "no such name" in view.picture.refused["1"]
    for nobody in ("0.0.0.0", "::", "::ffff:0.0.0.0", "fe80::1%eth0", "x"):
        found = Known(nobody)
        view.take()
        assert view.told[-1] == ["a:80"]
        assert "the address of 'db.example' cannot be used" in view.picture.refused["1"], nobody
