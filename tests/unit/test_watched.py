"""What a discovery tells of the clusters that it watches."""

import time
from dataclasses import replace

import pytest

from lighthouse.ipc.boot import members_topic
from lighthouse.ipc.messages import pack, unpack
from lighthouse.node import Node
from lighthouse.settings import MassLoss
from lighthouse.workers import telling
from lighthouse.workers.watched import Watched

A, B = Node("a", "10.0.0.1", 80), Node("b", "10.0.0.2", 80)


def snapshot(*nodes):
    return pack({"nodes": [node.to_mapping() for node in nodes]})


@pytest.fixture
def one():
    return Watched({}, lambda: None)


def watch(one, name="web", nodes=None):
    cluster, signal = one.made(name)
    one.add(cluster)
    cluster.nodes = nodes
    return cluster, signal


def raw(one):
    return {topic: payload for topic, _, payload in one.news()}


def told(one):
    """The same with nothing but the nodes as the registry tells of them."""
    nodes = {topic: unpack(payload)["nodes"] for topic, payload in raw(one).items()}
    return {topic: snapshot(*map(Node.from_mapping, nodes)) for topic, nodes in nodes.items()}


def kept(*nodes):
    """What an earlier generation told."""
    one = Watched({}, lambda: None)
    watch(one, nodes=list(nodes))
    return raw(one)


def test_unknown_is_not_told(one):
    _, signal = watch(one)
    signal()
    assert told(one) == {}


def test_members_are_told_once_sorted(one):
    _, signal = watch(one, nodes=[B, A])
    signal.set()
    assert told(one) == {members_topic("web"): snapshot(A, B)}
    signal()
    assert told(one) == {}


@pytest.mark.parametrize(
    "bad",
    [
        *(Node("c", "10.0.0.3", 80, {"x": value}) for value in (2**64, {1: "a"}, {"a"}, object(), "\ud800")),
        Node("c\n", "10.0.0.3", 80),
        Node("c", "10.0.0.3", "80"),
        Node("c", "c", 80),
        Node("c", "10.0.0.3", 80, None),
    ],
)
def test_a_node_that_nobody_could_read_costs_itself(one, bad):
    watch(one, nodes=[A, bad, B])[1].set()
    (payload,) = raw(one).values()
    document = unpack(payload)
    assert [node["host"] for node in document["nodes"]] == ["a", "b"]
    assert [item["record"] for item in document["refused"]] == [bad.name]
    assert document["refused"][0]["reason"]


def test_a_plugin_that_signals_from_within_start_watching_is_heard(one):
    cluster, signal = one.made("web")
    cluster.nodes = [A]
    signal()
    assert told(one) == {}
    one.add(cluster)
    assert told(one) == {members_topic("web"): snapshot(A)}


def test_what_an_earlier_generation_told_is_not_told_again():
    one = Watched({**kept(A), "announce": b""}, lambda: None)
    _, signal = watch(one, nodes=[A])
    signal()
    assert told(one) == {}


def test_a_cluster_that_comes_back_is_told_anew():
    one = Watched(kept(A), lambda: None)
    watch(one, nodes=[A])
    assert told(one) == {}
    one.remove("web")
    watch(one, nodes=[A])
    assert told(one) == {members_topic("web"): snapshot(A)}


def test_more_members_than_can_be_told_are_a_problem_until_they_are_fewer(one, monkeypatch):
    monkeypatch.setattr(telling, "MAX_SNAPSHOT", len(snapshot(A, B)))
    cluster, signal = watch(one, nodes=[A, B])
    assert told(one) == {}
    assert "shorten their metadata, or split the cluster; the last known ones stay" in one.problems["web"]
    cluster.nodes = [B]
    signal()
    assert told(one) == {members_topic("web"): snapshot(B)}
    assert one.problems == {}


# members that are held ----------------------------------------------------------------------------------------------


GUARDED = {"web": MassLoss(hold=0.0)}
SLOWLY = {"web": MassLoss()}


def holding(rules=SLOWLY, before=None):
    """A cluster of which everybody has vanished."""
    one = Watched({members_topic("web"): before} if before else kept(A, B), lambda: None)
    one.guard(rules)
    cluster, signal = watch(one, nodes=[])
    return one, cluster, signal


def held(payload):
    return unpack(payload).get("held", {}).get("names")


def test_members_that_vanish_at_once_stay_with_a_mark():
    one, *_ = holding()
    payload = raw(one)[members_topic("web")]
    assert [node["host"] for node in unpack(payload)["nodes"]] == ["a", "b"]
    assert held(payload) == ["a:80", "b:80"]


def test_an_answer_that_could_not_be_told_stays_a_problem_while_members_are_held(monkeypatch):
    one, cluster, signal = holding()
    raw(one)
    monkeypatch.setattr(telling, "MAX_SNAPSHOT", 10)
    cluster.nodes = [A, B]
    signal()
    assert raw(one) == {}
    monkeypatch.undo()
    problem = one.problems["web"]
    for complete in (True, False):
        one.heard(complete=complete, unread=one.problems)
        raw(one)
        assert one.problems == {"web": problem}, "nobody knows a newer answer"
    one.accept({"web": time.monotonic()})
    assert one.problems == {"web": problem}
    signal()
    assert [node["host"] for node in unpack(raw(one)[members_topic("web")])["nodes"]] == ["a", "b"]
    assert one.problems == {}


def test_a_complete_answer_says_nothing_of_a_cluster_that_it_does_not_cover():
    one, *_ = holding(GUARDED)
    told(one)
    one.heard(complete=True, unread=["web"])
    assert held(raw(one)[members_topic("web")]) == ["a:80", "b:80"]
    one.heard(complete=True)
    assert told(one) == {members_topic("web"): snapshot()}


def test_how_old_a_cluster_is_that_is_not_covered(one):
    watch(one, nodes=[A])
    watch(one, "new")
    one.heard(complete=True)
    first = one.unread_since(["web", "new"])
    assert first["web"] is not None
    assert first["new"] is None, "it never was"
    one.heard(complete=True, unread=["web"])
    one.heard(complete=True, unread=["web"])
    assert one.unread_since(["web"]) == {"web": first["web"]}
    one.heard(complete=True)
    assert one.unread_since(["web"])["web"] >= first["web"]


def test_a_complete_answer_confirms_and_an_incomplete_one_does_not():
    one, *_ = holding(GUARDED)
    told(one)
    one.heard(complete=False)
    assert unpack(raw(one)[members_topic("web")])["held"]["until"] is None
    one.heard(complete=True)
    assert told(one) == {members_topic("web"): snapshot()}


def test_no_answer_in_this_generation_confirms_nothing():
    before = raw(holding()[0])[members_topic("web")]
    one, cluster, _ = holding(GUARDED, before)
    cluster.nodes = None
    one.heard(complete=True)
    assert all(held(payload) for payload in raw(one).values())


def test_the_next_generation_goes_on_with_the_hold():
    before = raw(holding()[0])[members_topic("web")]
    one, cluster, signal = holding(before=before)
    cluster.nodes = [A]  # not the loss of a mass any more, but that of one which began as one
    signal()
    assert held(raw(one)[members_topic("web")]) == ["b:80"]


def test_a_person_lets_go_of_them_even_before_the_first_answer():
    first = raw(holding()[0])[members_topic("web")]
    one = Watched({members_topic("web"): first}, lambda: None)
    one.accept({"web": unpack(first)["held"]["began"] - 1})
    assert told(one) == {}
    one.accept({"web": unpack(first)["held"]["began"], "other": 1e9})
    assert told(one) == {members_topic("web"): snapshot()}


def test_whom_another_discovery_told_of_is_missed_here():
    one = Watched({}, lambda: None)
    one.guard(SLOWLY)
    (payload,) = kept(A, B).values()
    one.inherit("web", payload)
    assert raw(one) == {}
    watch(one, nodes=[])
    (payload,) = raw(one).values()
    assert held(payload) == ["a:80", "b:80"]
    one.inherit("web", kept(A)[members_topic("web")])
    assert raw(one) == {}, "what is known here counts"


def test_a_cluster_that_is_guarded_no_longer_lets_go():
    one, *_ = holding()
    told(one)
    one.guard({})
    assert told(one) == {members_topic("web"): snapshot()}


@pytest.mark.parametrize(
    "damaged", [b"", b"\xc1", pack([]), pack({"nodes": [1]}), pack({"nodes": [], "held": {"names": []}})]
)
def test_kept_members_that_cannot_be_read_are_unknown(damaged):
    one = Watched({members_topic("web"): damaged}, lambda: None)
    watch(one, nodes=[A])
    assert told(one) == {members_topic("web"): snapshot(A)}


def test_refused_records_and_who_left_are_told_with_their_reasons(one):
    cluster, signal = watch(one, nodes=[A, B])
    first = unpack(raw(one)[members_topic("web")])
    cluster.nodes, cluster.refused = [B], {"a:80": "metadata is not JSON"}
    signal()
    second = unpack(raw(one)[members_topic("web")])
    assert second["refused"] == [{"record": "a:80", "reason": "metadata is not JSON"}]
    assert [node["since"] for node in second["nodes"]] == [first["nodes"][1]["since"]], "since it was first told"
    assert second["gone"]["a:80"] >= first["nodes"][0]["since"]
    cluster.nodes = [A, B]
    signal()
    assert unpack(raw(one)[members_topic("web")])["gone"] == {}
    leaving, payload = [], b""
    for nodes in ([replace(A, leaving=True), B], [B], [A, B], [B], [A, B]):
        cluster.nodes = nodes
        signal()
        payload = raw(one).get(members_topic("web"), payload)
        leaving += unpack(payload).get("leaving", ["nobody"])
    assert leaving == ["a:80", "a:80", "nobody", "nobody", "nobody"], "its own word counts for one time"
    cluster.refused = {f"x{n}": "no JSON" for n in range(telling.MOST + 3)}
    signal()
    payload = raw(one)[members_topic("web")]
    assert (len(unpack(payload)["refused"]), unpack(payload)["refused_total"]) == (telling.MOST, telling.MOST + 3)
    other = Watched({members_topic("web"): payload}, lambda: None)
    other_cluster, other_signal = watch(other, nodes=[A, B])
    other_cluster.refused = cluster.refused
    other_signal()
    assert told(other) == {}, "the next generation goes on with it"
