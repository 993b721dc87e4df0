"""What a discovery tells of the clusters that it watches."""

import pytest

from lighthouse.ipc.boot import members_topic
from lighthouse.ipc.messages import pack, unpack
from lighthouse.node import Node
from lighthouse.workers import watched
from lighthouse.workers.watched import Watched

A, B = Node("a", "10.0.0.1", 80), Node("b", "10.0.0.2", 80)


def snapshot(*nodes):
    return pack({"nodes": [node.to_mapping() for node in nodes]})


@pytest.fixture
def one():
    return Watched({}, lambda: None)


def watch(one, name="web", nodes=None):
    cluster, signal = one.made(name, "dir")
    one.add(cluster)
    cluster.nodes = nodes
    return cluster, signal


def told(one):
    return {topic: payload for topic, _, payload in one.news()}


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


def test_a_plugin_that_signals_from_within_start_watching_is_heard(one):
    cluster, signal = one.made("web", "dir")
    cluster.nodes = [A]
    signal()
    assert told(one) == {}
    one.add(cluster)
    assert told(one) == {members_topic("web"): snapshot(A)}


def test_what_an_earlier_generation_told_is_not_told_again():
    one = Watched({members_topic("web"): snapshot(A), "announce": b""}, lambda: None)
    _, signal = watch(one, nodes=[A])
    signal()
    assert told(one) == {}


def test_a_cluster_that_comes_back_is_told_anew():
    one = Watched({members_topic("web"): snapshot(A)}, lambda: None)
    watch(one, nodes=[A])
    assert told(one) == {}
    one.remove("web")
    watch(one, nodes=[A])
    assert unpack(told(one)[members_topic("web")])["nodes"] == [A.to_mapping()]


def test_more_members_than_can_be_told_are_a_problem_until_they_are_fewer(one, monkeypatch):
    monkeypatch.setattr(watched, "MAX_SNAPSHOT", len(snapshot(A)))
    cluster, signal = watch(one, nodes=[A, B])
    assert told(one) == {}
    assert "last known ones stay" in one.problems["web"]
    cluster.nodes = [B]
    signal()
    assert told(one) == {members_topic("web"): snapshot(B)}
    assert one.problems == {}
