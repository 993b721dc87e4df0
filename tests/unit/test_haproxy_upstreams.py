"""Names of proxies' servers: what is asked and how long, and which of the answers is in force."""

import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighthouse.errors import LighthouseError
from lighthouse.haproxy import resolver
from lighthouse.haproxy.arrange import refilled
from lighthouse.haproxy.config import HAProxyConfig
from lighthouse.haproxy.deadline import Deadline
from lighthouse.haproxy.document import parse
from lighthouse.haproxy.options import HAProxySettings
from lighthouse.haproxy.planner import reload_reason
from lighthouse.haproxy.resolver import REFRESH, RETRY, Names, addresses_of
from lighthouse.haproxy.running import Running, Server
from lighthouse.haproxy.upstreams import addresses_for, chosen, moves, names_in, stranded
from support.wait import until

PATHS = {"config_file": "/etc/h.cfg", "socket_file": "/run/h.sock", "pid_file": "/run/h.pid"}
DB, LATER = "10.0.0.5", "10.0.0.6"


def settings(options=(), name="p", port=3306, defaults=()):
    upstreams = [{"host": "db.example.com", "port": port, "max_conn": 5}, {"host": "10.0.0.9", "port": 1}]
    proxies = {name: {"port": 1, "upstreams": upstreams, "options": list(options)}}
    return HAProxySettings.from_mapping(PATHS | {"proxies": proxies, "defaults": list(defaults)})


def rendered(address, **more):
    return HAProxyConfig(settings(**more)).desired([], {}, None, {"p": {"db.example.com:3306": address}}).document


def running(address, document=None, **more):
    return Running(
        document and document.skeleton, servers={"p": {"db.example.com:3306": Server(address, 3306)}}, **more
    )


def address(answers, documents=(), now=None, *, server="db.example.com:3306", **more):
    """The address for the one name, and for nothing else."""
    made = settings(**more)
    (proxy,) = made.proxies
    said = {"db.example.com": answers} if answers else {}
    found = addresses_for(made.proxies, made.defaults, said, documents, now)
    assert list(names_in(made.proxies)) == ["db.example.com"]
    assert [*found] == [proxy.name]
    assert [*found[proxy.name]] == [server]
    return found[proxy.name][server]


# the choice -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "in_force", "address"),
    [
        ((), (), None),
        ((), (DB, LATER), DB),
        ((LATER, DB), (), DB),
        (("10.0.0.10", "10.0.0.9"), (), "10.0.0.9"),
        (("fd00::2", DB, "fd00::1"), (), "fd00::1"),
        ((DB, "fd00::1"), ("10.9.9.9",), DB),
        ((LATER, DB), ("10.9.9.9", LATER), LATER),
    ],
)
def test_what_is_in_force_stays_and_else_the_lowest_is_taken(answers, in_force, address):
    assert chosen(answers, in_force) == address


ADDRESSES = st.lists(st.sampled_from(["10.0.0.1", "10.0.0.2", "9.0.0.1", "fd00::1"]), unique=True)


@given(ADDRESSES.flatmap(st.permutations), ADDRESSES, st.randoms())
def test_another_order_of_the_answers_changes_nothing(answers, before, random):
    first = chosen(answers, before)
    assert (first is None) == (not answers and not before)
    if first is not None:
        other = random.sample(answers, len(answers))
        assert chosen(other, [first]) == first
        assert chosen([], [first]) == first
        assert first in answers or not answers


def test_where_what_is_in_force_is_found():
    loaded, other = rendered(DB), rendered(LATER, options=["maxconn 9"])
    both = [other, loaded]
    assert address((), both, running("10.0.0.7", loaded)) == DB, "the file that is loaded is what should run"
    assert address((), both, running("10.0.0.7")) == "10.0.0.7"
    assert address((), both, running("-")) == LATER
    assert address((), both) == LATER
    assert address(("10.0.0.7", LATER, DB), both, running("10.0.0.7", loaded)) == DB
    assert address((), [rendered(None)], running("-", rendered(None))) is None
    assert address((), [loaded], name="renamed") == DB, "of the same host in another proxy"
    assert address((), [loaded], port=3307, server="db.example.com:3307") == DB


@pytest.mark.parametrize("where", ["options", "defaults"])
def test_names_that_haproxy_itself_follows(where):
    lines = {where: ["default-server check resolvers mine"]}
    document = rendered(DB, **lines)
    assert address((DB,), [document], running(LATER, document), **lines) == LATER
    assert address((DB,), [document], running("-", document), **lines) == DB
    assert address((DB,), [rendered(DB)], running(LATER, rendered(DB))) == DB


# the document ---------------------------------------------------------------------------------------------------------


def test_an_address_is_no_part_of_the_skeleton():
    one, other, none = rendered(DB), rendered("fd00::5"), rendered(None)
    assert "\tserver db.example.com:3306 db.example.com:3306 maxconn 5 init-addr 10.0.0.5\n" in one.text()
    assert "maxconn 5 init-addr none\n\tserver 10.0.0.9:1 10.0.0.9:1\n" in none.text()
    assert (
        one.skeleton == other.skeleton == none.skeleton == HAProxyConfig(settings()).desired([], {}).document.skeleton
    )
    assert parse(other.text()) == other
    assert parse(other.text()).skeleton == one.skeleton
    assert reload_reason(one, other) is None
    assert rendered(DB, options=["server x x:1 init-addr 10.0.0.1"]).skeleton != one.skeleton
    changed = rendered(None, options=["maxconn 9"])
    assert refilled(changed, one, Running(None)).text() == rendered(DB, options=["maxconn 9"]).text()
    assert refilled(one, one, Running(None)) is one
    assert (
        refilled(one, HAProxyConfig(HAProxySettings.from_mapping(PATHS)).desired([], {}).document, Running(None)) is one
    )


def test_what_is_done_at_run_time_and_what_is_not():
    document = rendered(DB)
    assert list(moves(document, running(LATER))) == [("p", "db.example.com:3306", DB)]
    assert stranded(document, running(LATER)) == {}
    for now in (running(DB), Running(None)):
        assert (list(moves(document, now)), stranded(document, now)) == ([], {})
    assert list(moves(document, running("-"))) == []
    assert list(stranded(document, running("-"))) == ["p/db.example.com:3306"]
    assert list(moves(rendered(None), running(LATER))) == []
    assert stranded(rendered(None), running("-")) == {}


def test_a_name_without_an_address_is_told():
    made = HAProxyConfig(settings())
    assert made.desired([], {}, None, {"p": {"db.example.com:3306": DB}}).remarks == made.desired([], {}).remarks == ()
    (note,) = made.desired([], {}, None, {"p": {"db.example.com:3306": None}}).remarks
    assert note.startswith("proxy p: the resolver tells no address of db.example.com, ")
    assert "correct `host` in balancers/haproxy.yaml, or mend the resolver" in note


# asking ---------------------------------------------------------------------------------------------------------------


def test_names_are_asked_side_by_side_and_again_from_time_to_time():
    now, asked, answers = [0.0], [], {"a": (DB,)}
    everybody = threading.Barrier(3)

    def ask(name):
        asked.append(name)
        if now[0] == 0:
            everybody.wait(30)  # which a question that waits for another would never let pass
        if name not in answers:
            raise LighthouseError("unknown")
        return answers[name]

    names = Names(ask, lambda: now[0])

    def known():
        return dict(names.known(["a", "b", "c", "a"], Deadline(60)))

    assert known() == known() == {"a": (DB,)}
    assert sorted(asked) == ["a", "b", "c"]
    answers["b"] = (LATER,)
    del answers["a"]
    now[0] += RETRY
    until(lambda: known() == {"a": (DB,), "b": (LATER,)}, what="the answer that was missing")
    until(lambda: sorted(asked) == ["a", "b", "b", "c", "c"], what="who was asked again")
    now[0] += REFRESH
    answers["b"] = (DB,)
    until(lambda: known() == {"a": (DB,), "b": (DB,)}, what="the newer answer, and the old one where there is none")
    assert asked.count("a") == 2


def test_names_that_hang_are_waited_for_once_and_together(monkeypatch):
    monkeypatch.setattr(resolver, "PATIENCE", 0.1)
    monkeypatch.setattr(resolver, "RETRY", 0.0)
    free, waits = threading.Event(), []
    many = [f"n{number}" for number in range(20)]
    names = Names(lambda name: free.wait() and (DB,))
    real = threading.Thread.join
    monkeypatch.setattr(threading.Thread, "join", lambda thread, left: waits.append(left) or real(thread, left))
    try:
        for _ in range(3):
            assert names.known(many, Deadline(60)) == {}
        assert waits[1:] == [0.0] * 19, "the patience is one for all"
        assert Names(lambda name: free.wait() and (DB,)).known(["a"], Deadline(0)) == {}
    finally:
        free.set()
    monkeypatch.undo()
    until(lambda: len(names.known(many, Deadline(60))) == 20, what="the answers")


def test_what_the_resolver_says_is_used_where_a_server_can_be(monkeypatch):
    found = [(2, 1, 6, "", (ip, 0)) for ip in ("0.0.0.0", "10.0.0.6", "10.0.0.5", "10.0.0.6", "224.0.0.1")]
    found += [(10, 1, 6, "", (ip, 0, 0, 1)) for ip in ("fe80::1%eth0", "::", "FD00:0::5")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    assert addresses_of("db.example.com") == ("10.0.0.6", "10.0.0.5", "fd00::5")
    del found[1:]
    with pytest.raises(LighthouseError, match="no address at which a server could be"):
        addresses_of("db.example.com")
    monkeypatch.undo()
    with pytest.raises(LighthouseError, match="is not known"):
        addresses_of("a" * 70)


def test_a_host_without_a_thread_to_spare_asks_later(monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    now, names = [0.0], Names(lambda name: (DB,), lambda: now[0])
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert names.known(["a"], Deadline(60)) == {}
    now[0] += RETRY
    until(lambda: names.known(["a"], Deadline(60)) == {"a": (DB,)}, what="the answer")
