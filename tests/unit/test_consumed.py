"""The clusters that a balancer worker hands to its plugin."""

import pytest

from lighthouse.node import Node
from lighthouse.selection import Selection
from lighthouse.workers.consumed import Consumed

A, B = Node("a", "192.0.2.1", 80, {"zone": "east"}), Node("b", "192.0.2.2", 80, {"zone": "west"})


def item(name, **keys):
    return {"name": name, "discovery": "registry", "options": {"port": 80}, **keys}


@pytest.fixture
def consumed():
    made = Consumed()
    made.configure([item("web"), item("api", selection=Selection(zones=("west",)).to_mapping())])
    return made


def test_what_nobody_told_is_unknown(consumed):
    assert [cluster.nodes for cluster in consumed.clusters()] == [None, None]
    assert consumed.unknown()


def test_a_selection_is_applied_and_told(consumed):
    consumed.learn("api", [A, B])
    assert consumed.clusters()[1].nodes == [B]
    assert consumed.report()["left_out"] == {"api": {"a:80": "not in zone west, which has enough members"}}


def test_a_cluster_that_nothing_changed_of_stays_the_same_object(consumed):
    consumed.learn("web", [A])
    consumed.learn("api", [A])
    web, api = consumed.clusters()
    assert consumed.learn("api", [A, B])
    assert not consumed.learn("web", [A])
    again = consumed.clusters()
    assert again[0] is web
    assert again[1] is not api
    consumed.configure([item("web"), item("api")])
    assert consumed.clusters()[0] is web
    assert consumed.clusters()[1].nodes == [A, B], "its selection is gone"


def test_what_is_equal_to_python_and_says_something_else_is_a_change(consumed):
    consumed.learn("web", [Node("a", "192.0.2.1", 80, {"backup": 1})])
    (before, _) = consumed.clusters()
    assert consumed.learn("web", [Node("a", "192.0.2.1", 80, {"backup": True})])
    (now, _) = consumed.clusters()
    assert now is not before
    for peers in (True, 1):
        consumed.configure([item("web", options={"peers": peers}), item("api")])
        assert consumed.clusters()[0].options["peers"] is peers


def test_a_cluster_that_was_gone_begins_anew(consumed):
    consumed.learn("web", [A])
    consumed.configure([item("api")])
    assert [cluster.name for cluster in consumed.clusters()] == ["api"]
    consumed.configure([item("web"), item("api")])
    assert consumed.clusters()[0].nodes is None


def test_default_nodes_stand_in_until_the_registry_has_spoken(consumed):
    consumed.configure([item("web", default_nodes=[A.to_mapping()])])
    assert consumed.clusters()[0].default_nodes == (A,)
    assert consumed.report()["defaults"] == ["web"]
    consumed.learn("web", [])
    assert consumed.clusters()[0].nodes == [], "a complete answer that says none is an answer"
    assert consumed.report()["defaults"] == []
