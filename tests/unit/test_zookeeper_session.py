"""Sessions and their hand-over, looking names up, and the way of messages."""

import json
import os
import select
import threading

import pytest

from lighthouse.zookeeper.client import CHANCE, LONGEST_DELAY, TRIES, longest_delay
from lighthouse.zookeeper.hosts import Server
from lighthouse.zookeeper.inbox import Inbox
from lighthouse.zookeeper.messages import Answer, Changed, Connected, Disconnected, Failure, Kind, Reply, Request
from lighthouse.zookeeper.names import MAX_NAMES, PATIENCE, REFRESH, Known, Names, Pending
from lighthouse.zookeeper.requests import WINDOW, Requests
from lighthouse.zookeeper.session import MAX_CONTENT, Key, Session, pack, unpack
from support.wait import until

SERVERS = (Server("zk1", 2181), Server("zk2", 2181))
PASSWORD = bytes(range(16))


@pytest.mark.parametrize("timeout", [1.0, 2.0, 10.0, 20.0, 3600.0])
def test_a_server_that_is_back_is_found_within_the_life_of_the_session(timeout):
    assert longest_delay(timeout) * (1 + CHANCE) * TRIES <= timeout + 0.001
    assert longest_delay(timeout) <= LONGEST_DELAY


def test_a_session_is_told_from_another_by_its_number_alone():
    session = Session()
    assert session.opened(Connected(7, PASSWORD, "zk1"), 100.0)
    session.closed(Disconnected(), 5.0)
    assert (session.connected, session.away) == (False, 5.0)
    session.closed(Disconnected(expired=True), 6.0)
    assert session.away == 5.0
    assert not session.opened(Connected(7, PASSWORD, "zk2"), 200.0)
    assert (session.since, session.expired, session.resumed, session.away) == (100.0, 0, 1, None)
    assert session.opened(Connected(8, PASSWORD, "zk2"), 300.0)
    assert (session.since, session.expired, session.connections) == (300.0, 1, 3)
    assert session.sessions == {7, 8}


def test_what_was_seen_last_is_given_up_after_two_timeouts_without_a_connection():
    session = Session(zxid=99)
    assert session.gives_up_at(20.0) is None
    session.closed(Disconnected(), 10.0)
    assert session.gives_up_at(20.0) == 50.0
    session.opened(Connected(7, PASSWORD, "zk1"), 0.0)
    assert session.gives_up_at(20.0) is None


def test_a_handover_is_read_back():
    session = Session(number=-7, password=PASSWORD, zxid=99, since=123.0, former=[3])
    own = {Key("/s", "web", "me:80"): b'{"a": 1}', Key("", "api", "me:81"): b""}
    again, found = unpack(pack(session, SERVERS, own), SERVERS[1:])
    assert (again.number, again.password, again.zxid, again.since, again.former) == (-7, PASSWORD, 99, 123.0, [3])
    assert found == own
    assert PASSWORD.hex() not in repr(session)
    assert repr(PASSWORD) not in repr(session) + repr(Connected(7, PASSWORD, "zk1"))


def test_what_another_release_handed_over_is_read_too():
    """Letter for letter what the first one left, and one that will know more."""
    left = (
        '{"format": 1, "servers": ["zk1:2181"], "session": 72058534914097155, "password": "000102030405060708090a0b0c0d0e0f", '
        '"zxid": 17, "since": 123.0, "former": [5], "own": [["/s", "web", "me:80", "{}"]]}'
    )
    for text in (left, left[:-1] + ', "more": {"of": "it"}}'):
        session, own = unpack(text.encode(), SERVERS)
        assert (session.number, session.password, session.former) == (72058534914097155, PASSWORD, [5])
        assert own == {Key("/s", "web", "me:80"): b"{}"}


def test_the_session_of_another_ensemble_is_worth_nothing():
    own = {Key("/s", "web", "me:80"): b"{}"}
    again, found = unpack(pack(Session(7, PASSWORD, 99), SERVERS, own), (Server("other", 2181),))
    assert (again.number, again.zxid) == (0, 0)
    assert found == own


def test_large_announcements_are_handed_over_without_their_content():
    own = {Key("/s", "web", f"me:{port}"): b"x" * 60000 for port in range(1, MAX_CONTENT // 60000 + 2)}
    packed = pack(Session(), SERVERS, own)
    assert len(packed) < 100_000
    assert unpack(packed, SERVERS)[1] == dict.fromkeys(own, b"")


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2}, {"session": "7"}, {"session": 2**70}, {"password": "xy"}, {"zxid": None}, {"own": 7},
        {"own": [["/s", "web"]]},
        {"own": [["/s", "../web", "me:80", ""]]}, {"own": [["/s", "web", "me", ""]]}, {"own": [["s", "web", "me:80", ""]]},
        {"own": [["/s", "web", "me/x:80", ""]]}, {"servers": None}, {"former": [True]}, {"since": {}},
    ],
)  # fmt: skip
def test_a_handover_that_is_none_is_refused(changes):
    packed = json.dumps({**json.loads(pack(Session(), SERVERS, {})), **changes}).encode()
    with pytest.raises((ValueError, TypeError, KeyError)):
        unpack(packed, SERVERS)


# Names


class Resolver:
    """Looks up when it is let."""

    def __init__(self):
        self.answers = {}
        self.asked = []
        self.free = threading.Semaphore(0)

    def __call__(self, host):
        self.asked.append(host)
        assert self.free.acquire(timeout=30)
        answer = self.answers[host]
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_a_name_is_looked_up_aside_and_the_last_answer_counts():
    now = 0.0
    woken = threading.Event()
    resolver = Resolver()
    names = Names(woken.set, lambda: now, resolver)
    assert not names.used
    assert names("db") == Pending()
    now = PATIENCE
    assert names("db") == Known(None, "the resolver does not answer")
    resolver.answers["db"] = "10.0.0.5"
    resolver.free.release()
    assert woken.wait(30)
    assert names.take()
    assert names("db") == Known("10.0.0.5")
    assert resolver.asked == ["db"]
    resolver.answers["db"] = OSError(-2, "Name or service not known")
    now += REFRESH
    names("db")
    resolver.free.release()
    until(lambda: not names._answers.empty())
    assert not names.take(), "a look-up that fails takes nothing away"
    assert names("db") == Known("10.0.0.5")


def test_there_is_an_end_of_names():
    now = 0.0
    names = Names(lambda: None, lambda: now, lambda _host: "10.0.0.1")
    for n in range(MAX_NAMES):
        names(f"h{n}")
    assert names("one-more").ip is None
    now = 3 * REFRESH
    assert names("one-more") == Pending(), "what nobody asked for lately is forgotten"


# Messages


def test_messages_come_in_order_and_wake():
    inbox = Inbox()
    assert not inbox.wait(0)
    for n in range(5):
        inbox.put(Changed(f"/{n}"))
    assert inbox.wait(0)
    assert [message.path for message in inbox.drain(3)] == ["/0", "/1", "/2"]
    assert select.select([inbox.fileno()], [], [], 0)[0], "there is more"
    assert [message.path for message in inbox.drain(3)] == ["/3", "/4"]
    assert not inbox.wait(0)
    inbox.wake()
    assert inbox.wait(0)
    assert inbox.drain(3) == []
    assert not inbox.wait(0)
    fd = inbox.fileno()
    inbox.close()
    inbox.put(Changed("/late"))
    inbox.wake()
    assert (inbox.fileno(), inbox.drain(1), inbox.wait(0)) == (None, [], False)
    with pytest.raises(OSError):
        os.fstat(fd)


def test_answers_find_who_asked_and_late_ones_nobody():
    inbox = Inbox()
    requests = Requests(inbox)
    sent, got = [], []

    class Sender:
        def submit(self, request, done):
            sent.append((request, done))

    request = Request(Kind.GET, "/a")
    requests.send(Sender(), request, lambda answer, now: got.append((answer.failure, now)), 5.0)
    assert (len(requests), requests.room, requests.oldest) == (1, WINDOW - 1, 5.0)
    sent[0][1](Answer(request, Failure.NO_NODE))
    (reply,) = inbox.drain(10)
    requests.take(reply, 6.0)
    requests.take(reply, 7.0)
    assert got == [(Failure.NO_NODE, 6.0)]
    requests.send(Sender(), request, lambda answer, now: got.append(answer), 8.0)
    requests.lost()
    requests.take(Reply(2, Answer(request)), 9.0)
    assert (len(got), requests.oldest) == (1, None)
    inbox.close()
