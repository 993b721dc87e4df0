"""Snapshots of members: what did not change is not read again."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighthouse.errors import NodeError
from lighthouse.ipc.errors import ProtocolError
from lighthouse.ipc.messages import pack
from lighthouse.node import Node
from lighthouse.peer import Peer
from lighthouse.workers import preview
from lighthouse.workers.members import Members

NODES = st.lists(
    st.builds(
        Node,
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(["10.0.0.1", "fd00::1"]),
        st.integers(1, 3),
        st.dictionaries(st.sampled_from(["weight", "backup"]), st.sampled_from([1, True, "1", None])),
        st.none() | st.builds(Peer, st.sampled_from(["p", "q"]), st.just("10.0.0.1"), st.integers(1, 2)),
    ),
    max_size=6,
)


def snapshot(nodes):
    return pack({"gone": {"x": 1.5}, "nodes": [node.to_mapping() for node in nodes], "refused": []})


@given(st.lists(st.tuples(st.sampled_from(["web", "db"]), NODES), max_size=5))
def test_what_is_read_is_what_was_told(told):
    members = Members()
    for cluster, nodes in told:
        found = members.read(cluster, snapshot(nodes))
        assert [node.to_mapping() for node in found] == [node.to_mapping() for node in nodes]
        assert all(
            type(mine) is type(theirs)  # 1 and True are equal, and mean different things
            for node, same in zip(found, nodes, strict=True)
            for mine, theirs in zip(node.metadata.values(), same.metadata.values(), strict=True)
        )


def test_a_node_that_did_not_change_is_the_same_object():
    members, one, two = Members(), Node("a", "10.0.0.1", 80), Node("b", "10.0.0.2", 80)
    (first,) = members.read("web", snapshot([one]))
    again, other = members.read("web", snapshot([one, two]))
    assert again is first
    assert other == two
    members.keep(["db"])
    (fresh,) = members.read("web", snapshot([one]))
    assert fresh is not first


@pytest.mark.parametrize("payload", [b"", pack({"nodes": [{"ip": "x"}]}), pack({"nodes": [7]}), pack({"nodes": {}})])
def test_what_cannot_be_read_changes_nothing(payload):
    members, one = Members(), Node("a", "10.0.0.1", 80)
    (first,) = members.read("web", snapshot([one]))
    with pytest.raises((NodeError, ProtocolError)):
        members.read("web", payload)
    assert members.read("web", snapshot([one]))[0] is first


def test_a_plan_is_made_without_the_members_that_cannot_be_read():
    blob = {"clusters": [{"name": name, "discovery": "dir", "options": {}} for name in ("db", "new", "web")]}
    packed = {"db": pack({"nodes": [7]}), "web": snapshot([Node("a", "10.0.0.1", 80)])}
    consumed, unread = preview._consumed(blob, {name: b64encode(data).decode() for name, data in packed.items()})
    nodes = {cluster.name: cluster.nodes and [node.host for node in cluster.nodes] for cluster in consumed.clusters()}
    assert nodes == {"db": None, "new": None, "web": ["a"]}
    (told,) = unread
    assert told.startswith("cluster db: the members that were told cannot be read, and count as unknown: ")
