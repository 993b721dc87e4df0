"""Session, requests, watched clusters and own znodes together, against a model of ZooKeeper, with a clock of the test's own."""

import pytest

from lighthouse.cluster import Cluster
from lighthouse.discovery import Announcement, Wanted
from lighthouse.errors import ResourceError
from lighthouse.node import Node
from lighthouse.service import Service
from lighthouse.zookeeper.connection import LATE, SLOW, Connection
from lighthouse.zookeeper.hosts import Server
from lighthouse.zookeeper.messages import READS, Answer, Connected, Disconnected, Failure, Refused
from lighthouse.zookeeper.report import report
from lighthouse.zookeeper.settings import Settings
from lighthouse.zookeeper.timetable import REOPEN, REREAD, RETURN, ZXID_EVERY
from support.zookeeper_model import Model

SETTINGS = Settings((Server("zk1", 2181), Server("zk2", 2181)), "/s", session_timeout=20.0)
PASSWORD = b"p" * 16


class Client:
    """A client on the model, which connects and answers when the test says so."""

    timeout = 20.0

    def __init__(self, world, session, inbox):
        self.world = world
        self.inbox = inbox
        self.zxid = session.zxid
        self.waiting = []
        self.left = False
        self.moved = []

    def forget_zxid(self):
        self.zxid = 0

    def move(self, settings):
        self.moved.append(settings)

    def leave(self):
        self.left = True

    def submit(self, request, done):
        self.waiting.append((request, done))


class World:
    """A connection under test with its model and its clock."""

    def __init__(self):
        self.model = Model("/s", "/s/web")
        self.now = 1000.0
        self.spread = 0.5  # the chance that all spreading gets
        self.broken = None
        self.hands_over = True
        self.clients = []
        self.connection = Connection(
            self.make, lambda: 5000.0, lambda least, most: least + (most - least) * self.spread
        )
        self.cluster = Cluster("web")
        self.told = 0
        self.connection.watcher.add(self.cluster, self.tell, "/s")
        self.connection.open(SETTINGS, self.now)

    def make(self, _settings, session, inbox):
        if self.broken:
            raise ResourceError(self.broken)
        self.clients.append(Client(self, session, inbox))
        return self.clients[-1]

    def tell(self):
        self.told += 1

    @property
    def client(self):
        return self.clients[-1]

    def connect(self, session=1):
        self.model.session = session
        self.client.inbox.put(Connected(session, PASSWORD, "zk1:2181"))

    def cut(self, **how):
        self.model.drop()
        self.client.waiting.clear()
        self.client.inbox.put(Disconnected(**how))

    def settle(self):
        for _ in range(100):
            self.connection.tend(SETTINGS, self.now)
            self.connection.turn(self.now)
            if self.hands_over:
                self.connection.hand_over(SETTINGS)
            if not self.client.waiting and not self.connection.inbox.wait(0):
                return self
            waiting, self.client.waiting = self.client.waiting, []
            for request, done in waiting:
                self.model.ask(request)
                while self.model.out:
                    message = self.model.out.pop(0)
                    done(message) if hasattr(message, "request") else self.client.inbox.put(message)
        raise AssertionError("it does not come to rest")

    def later(self, seconds):
        self.now += seconds
        return self.settle()

    def want(self, wanted=Wanted.UP):
        node = Node("me", "10.0.0.1", 80)
        self.connection.announcer.want([Announcement(Service("web", (80,)), 80, wanted, node)], "/s", "lighthouse")
        return self.settle()

    def report(self):
        return report(self.connection, SETTINGS, self.now)

    def names(self):
        return None if self.cluster.nodes is None else [node.name for node in self.cluster.nodes]


@pytest.fixture
def world():
    world = World()
    yield world
    world.connection.leave()


def put(world, name, **options):
    world.model.create(f"/s/web/{name}:80", Node(name, "10.0.0.9", 80).serialize().encode(), **options)


def test_nothing_is_asked_or_known_before_there_is_a_connection(world):
    world.want()
    assert world.model.asked == []
    assert world.names() is None
    told = world.report()
    assert not told.complete
    assert "zk1:2181, zk2:2181" in told.degraded
    world.client.inbox.put(Refused("zk2:2181", "Connection refused"))
    world.settle()
    assert "zk2:2181 (Connection refused)" in world.report().degraded


def test_the_first_connection_reads_and_announces_at_once(world):
    put(world, "other")
    world.want().connect()
    world.settle()
    assert world.names() == ["me:80", "other:80"]
    told = world.report()
    assert (told.complete, told.degraded) == (True, None)
    assert told.details["announced"] == 1
    assert told.details["session_since"] == 5000


def test_nothing_is_announced_with_a_session_that_the_next_generation_would_not_find(world):
    world.hands_over = False
    world.want()
    world.connect()
    world.settle()
    assert (world.names(), world.model.names("/s/web")) == ([], []), "members are read meanwhile"
    world.connection.hand_over(SETTINGS)
    assert world.connection.inbox.wait(0), "it goes on at once"
    world.settle()
    assert world.model.names("/s/web") == ["me:80"]
    world.cut(expired=True)
    world.model.expire(1)
    world.connect(2)
    world.later(60.0)
    assert world.model.names("/s/web") == []
    world.connection.hand_over(SETTINGS)
    world.settle()
    assert world.model.names("/s/web") == ["me:80"]


def test_after_a_reconnect_what_is_read_is_spread_and_what_is_announced_is_not(world):
    world.want().connect()
    world.settle()
    put(world, "other")
    world.cut()
    world.settle()
    assert not world.report().complete
    asked = len(world.model.asked)
    world.connect()
    world.settle()
    assert [request.path for request in world.model.asked[asked:]] == ["/s/web/me:80"]
    assert not world.report().complete
    world.later(REREAD * 0.4)
    assert world.names() == ["me:80"]
    assert world.connection.period(world.now) == pytest.approx(REREAD * 0.1)
    world.later(REREAD * 0.2)
    assert world.names() == ["me:80", "other:80"]
    assert world.report().complete


def test_what_was_seen_last_is_given_up_on_time(world):
    """A late host would find the others back, and they would have missed it for longer than they wait."""
    world.want().connect()
    world.settle()
    world.client.zxid = 99
    world.cut()
    world.settle()
    world.later(2 * Client.timeout - 1.0)
    assert world.client.zxid == 99
    assert world.connection.period(world.now) == pytest.approx(1.0)
    world.later(1.0)
    assert world.client.zxid == 0


def test_after_the_loss_of_the_session_others_have_time_to_be_back_whatever_the_connection_does(world):
    put(world, "other")
    world.want().connect()
    world.settle()
    world.cut(expired=True)
    world.model.expire(1)
    world.model.delete("/s/web/other:80")
    world.connect(session=2)
    world.settle()
    assert world.model.names("/s/web") == ["me:80"], "announced at once"
    world.later(RETURN / 2)
    world.cut()
    world.connect(session=2)
    world.settle()
    world.later(RETURN / 2)
    assert world.names() == ["me:80", "other:80"], "not read yet"
    put(world, "other")
    world.later(20.0 + REREAD)
    assert world.names() == ["me:80", "other:80"]
    assert world.report().details["expired_sessions"] == 1
    assert world.told == 2


def test_the_session_of_an_earlier_generation_may_be_lost_with_those_of_others_too(world):
    put(world, "other")
    world.connection.session.number = 1
    world.connect(session=2)
    world.settle()
    assert world.names() is None, "not read yet"
    assert not world.report().complete
    assert "the session was lost" in world.report().degraded
    world.later(max(RETURN, 20.0) + REREAD)
    assert world.names() == ["other:80"]
    assert world.report().degraded is None


def test_an_earlier_generation_that_was_at_another_ensemble_is_a_reason_to_wait(world):
    """The fleet may not have moved yet, and the session of the other ensemble means nothing here."""
    before = world.connection.hand_over(Settings((Server("elsewhere", 1),), "/s"))
    world.connection.resume(before, SETTINGS)
    assert world.connection.session.number == 0
    world.connect(2)
    world.settle()
    assert world.names() is None
    assert "the session was lost" in world.report().degraded
    world.later(max(RETURN, world.client.timeout) + REREAD)
    assert world.names() == []


def test_a_server_that_is_configured_no_more_is_no_reason(world):
    world.client.inbox.put(Refused("old:2181", "it hung up"))
    world.settle()
    assert "it hung up" not in world.report().degraded
    world.client.inbox.put(Refused("", "the client library ended"))
    world.settle()
    assert world.report().degraded.count("the client library ended") == 1


def test_the_session_of_an_earlier_generation_that_goes_on_is_no_reason_to_wait(world):
    put(world, "other")
    world.connection.session.number = 1
    world.connect(session=1)
    world.settle()
    assert world.names() == ["other:80"]


def test_a_cluster_that_cannot_be_read_makes_no_other_stale(world):
    other = Cluster("other")
    world.connection.watcher.add(other, world.tell, "/t")
    world.connect()
    world.connection.turn(world.now)
    (asked,) = [item for item in world.client.waiting if item[0].path == "/t/other"]
    world.client.waiting.remove(asked)
    asked[1](Answer(asked[0], Failure.DENIED))
    world.settle()
    told = world.report()
    assert (told.complete, tuple(told.unread), world.names()) == (True, ("other",), [])
    assert "/t/other cannot be read: this host has no permission" in told.degraded
    world.later(60.0)
    assert (world.report().complete, tuple(world.report().unread), other.nodes) == (True, (), [])


def test_where_no_cluster_can_be_read_nothing_is_complete(world):
    world.connect()
    world.connection.turn(world.now)
    for request, done in world.client.waiting:
        done(Answer(request, Failure.DENIED))
    world.client.waiting.clear()
    world.connection.turn(world.now)
    assert not world.report().complete


def test_each_server_has_its_reason(world):
    world.client.inbox.put(Refused("zk1", "its name cannot be resolved"))
    world.client.inbox.put(Refused("zk2:2181", "Connection refused"))
    world.settle()
    told = "no connection to ZooKeeper at zk1:2181 (its name cannot be resolved), zk2:2181 (Connection refused); "
    assert world.report().degraded.startswith(told)


def test_a_client_that_gave_up_is_made_anew_as_often_as_it_takes(world):
    world.connect()
    world.settle()
    world.cut(dead=True)
    world.settle()
    world.broken = "password_file: gone"
    world.later(REOPEN)
    assert len(world.clients) == 1
    world.connection.tend(SETTINGS, world.now + REOPEN)
    world.connection.turn(world.now)
    assert "password_file: gone" in world.report().degraded
    world.broken = None
    world.now += 2 * REOPEN
    world.connection.tend(SETTINGS, world.now)
    world.connection.tend(SETTINGS, world.now + REOPEN)
    assert len(world.clients) == 2
    assert world.clients[0].left
    world.connect()
    world.settle()
    assert world.report().details["expired_sessions"] == 0, "the same session"


def test_what_was_seen_last_is_given_up_once_no_server_takes_it_for_long(world):
    world.connect()
    world.client.zxid = 77
    world.settle()
    assert world.connection.session.zxid == 77
    world.cut()
    world.settle()
    world.later(39.0)
    assert (world.client.zxid, world.connection.session.zxid) == (77, 77)
    world.later(2.0)
    assert (world.client.zxid, world.connection.session.zxid) == (0, 0)


def test_what_was_seen_last_is_not_looked_at_all_the_time(world):
    world.connect()
    world.settle()
    world.client.zxid = 78
    world.settle()
    assert world.connection.session.zxid == 0
    world.later(ZXID_EVERY)
    assert world.connection.session.zxid == 78
    world.client.zxid = 79
    world.connection.leave()
    assert world.connection.session.zxid == 79


def test_other_servers_only_may_be_another_ensemble(world):
    world.connect()
    world.client.zxid = 77
    world.settle()
    some = Settings((Server("zk2", 2181), Server("zk3", 2181)), "/s")
    world.connection.move(some, SETTINGS)
    assert world.client.zxid == 77
    world.connection.move(Settings((Server("zk9", 2181),), "/s"), some)
    assert (world.client.zxid, world.connection.session.zxid) == (0, 0)
    assert len(world.client.moved) == 2


def test_a_server_that_does_not_answer_is_told(world):
    world.connect()
    world.connection.tend(SETTINGS, world.now)
    world.connection.turn(world.now)
    assert world.client.waiting
    world.now += LATE + 0.1
    told = world.report()
    assert (told.complete, told.degraded) == (False, None)
    world.now += SLOW
    told = world.report()
    assert not told.complete
    assert "does not answer" in told.degraded
    world.settle()
    assert world.report().degraded is None


def test_audits_come_in_their_time(world):
    world.want().connect()
    world.settle()
    before = len(world.model.asked)
    world.later(59.0)
    assert len(world.model.asked) == before
    world.later(2.0)
    assert world.report().details["full_reads"] == 1
    asked = [request for request in world.model.asked[before:] if request.kind in READS]
    assert sorted(request.path for request in asked) == ["/s/web", "/s/web/me:80", "/s/web/me:80"]
