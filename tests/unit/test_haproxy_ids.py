"""Ids of servers: the same for the same names, whoever joined when."""

import random
from collections import Counter

from lighthouse.cluster import Cluster
from lighthouse.haproxy.arrange import arranged
from lighthouse.haproxy.config import HAProxyConfig
from lighthouse.haproxy.document import parse
from lighthouse.haproxy.ids import id_of
from lighthouse.haproxy.member import Member, numbered
from lighthouse.haproxy.options import HAProxySettings
from lighthouse.haproxy.planner import plan
from lighthouse.haproxy.running import Running, Server
from lighthouse.node import Node


def namesakes():
    """The first two nodes that have one id, the earlier name first."""
    names = [f"n{number}" for number in range(5000)]
    ids = {name: id_of(f"{name}:80") for name in names}
    count = Counter(ids.values())
    pair = next([name for name in names if ids[name] == number] for number in ids.values() if count[number] == 2)
    return [Node(name, "10.0.0.1", 80) for name in sorted(pair)]


FIRST, SECOND = namesakes()
OTHERS = [Node(f"m{number}", "10.0.0.2", 80) for number in range(8)]


def document(*nodes, **options):
    settings = HAProxySettings.from_mapping(
        {"config_file": "/run/h.cfg", "socket_file": "/run/h.sock", "pid_file": "/run/h.pid"}
    )
    return HAProxyConfig(settings).desired([Cluster("web", nodes=nodes, options=options)], {}).document


def ids(document):
    """The ids in the text of the file."""
    found = (line.split() for line in document.text().split("\n") if line.startswith("\tserver "))
    return {words[1]: int(words[4]) if words[3:4] == ["id"] else None for words in found}


def test_the_scheme_stays():
    """Another one would map all requests anew, and hosts of a fleet otherwise while it is upgraded."""
    assert (id_of("a:80"), id_of("web-1.example.com:8080")) == (782112, 583916)


def test_they_are_apart_and_within_what_a_ring_uses():
    members = [Member(f"host{number}:80", "10.0.0.1", 80) for number in range(5000)]
    found = [member.id for member in numbered(members)]
    assert len(set(found)) == 5000
    assert min(found) >= 1 << 16
    assert max(found) < 1 << 20
    moved = [member for member in numbered(members) if member.moved]
    assert 0 < len(moved) < 50


def test_the_order_of_names_does_not_matter():
    nodes = [SECOND, FIRST, *OTHERS]
    expected = ids(document(*nodes))
    assert expected[FIRST.name] == id_of(FIRST.name) == id_of(SECOND.name) != expected[SECOND.name]
    assert all(expected[node.name] == id_of(node.name) for node in OTHERS)
    for seed in range(5):
        random.Random(seed).shuffle(nodes)
        assert ids(document(*nodes)) == expected
        members = [Member(node.name, node.ip, node.port) for node in nodes]
        assert {member.name: member.id for member in numbered(members)} == expected


def test_who_is_left_alone_has_its_own_again():
    first, second = numbered([Member(node.name, node.ip, node.port) for node in (FIRST, SECOND)])
    assert first.id == id_of(SECOND.name) != second.id
    assert [member.id for member in numbered([second])] == [id_of(SECOND.name)]


def test_ids_of_the_operators_own_servers_are_left_to_them():
    lines = [f"server own 10.0.0.9:9 weight 3 id {id_of(FIRST.name)} # id 3", "server plain 10.0.0.9:10"]
    found = ids(document(FIRST, SECOND, backend=lines))
    used = {found[FIRST.name], found[SECOND.name], id_of(FIRST.name)}
    assert len(used) == 3
    made = document(
        FIRST, SECOND, backend=["balance first", "server one 10.0.0.9:9 id 65536", "server two 10.0.0.9:9 id 65537"]
    )
    assert sorted(ids(made).values())[2:] == [65538, 131072]


def test_an_id_of_the_operator_is_the_only_one():
    made = document(FIRST, server_options="check id 7")
    assert ids(made) == {FIRST.name: None}
    assert parse(made.text()) == made
    assert plan(made, Running("x")).steps[0].commands[0] == f"add server web/{FIRST.name} 10.0.0.1:80 check id 7"


def test_slots_have_none_for_they_outlive_their_members():
    made = arranged(document(FIRST, SECOND, backend=["balance source"]), None, Running("x"), lambda section: None)
    assert set(ids(made)) == {f"slot{number}" for number in range(1, 7)}
    assert set(ids(made).values()) == {None}
    assert parse(made.text()) == made


def test_the_file_is_read_back():
    made = document(FIRST, SECOND, *OTHERS, server_options="check", server_metadata=["weight"])
    again = parse(made.text())
    assert again == made
    assert again.text() == made.text()
    earlier = parse(
        "\n".join(line.partition(" id ")[0] + " check" * (" id " in line) for line in made.text().split("\n"))
    )
    assert earlier == made, "the file of a version that gave none is no reason for a reload"


def test_an_id_in_use_is_not_asked_for():
    """By the other one that runs, or by one that is leaving, or by any of a version that gave none."""
    wanted = document(FIRST, SECOND, OTHERS[0])
    own = id_of(FIRST.name)
    have = {
        SECOND.name: Server("10.0.0.1", 80, id=own),
        "gone:1": Server("10.0.0.3", 80, admin=1, id=own + 1),
        OTHERS[0].name: Server("10.0.0.2", 80, id=1),
    }
    joins = [step for step in plan(wanted, Running("x", servers={"web": have})).steps if step.server == FIRST.name]
    assert joins[0].commands[0] == f"add server web/{FIRST.name} 10.0.0.1:80 id {own + 2}"


def test_in_the_order_of_names_for_balance_first():
    """Which is the order in which HAProxy fills them, so a join at run time comes where a reload would put it."""
    nodes = [Node(name, "10.0.0.1", 80) for name in ("b", "d", "f")]
    made = document(*nodes, backend=["balance first"], server_options="check")
    assert list(ids(made)) == sorted(ids(made)) == ["b:80", "d:80", "f:80"]
    assert sorted(ids(made).values()) == list(ids(made).values())
    assert parse(made.text()) == made
    have = {name: Server("10.0.0.1", 80, id=number) for name, number in ids(made).items()}
    more = document(*nodes, *(Node(name, "10.0.0.1", 80) for name in "acceg"), backend=["balance first"])
    for step in plan(more, Running("x", servers={"web": have})).steps:
        words = step.commands[0].split()
        assert words[:2] == ["add", "server"]
        have[step.server] = Server("10.0.0.1", 80, id=int(words[words.index("id") + 1]))
    assert sorted(have, key=lambda name: have[name].id) == sorted(have)
    assert len({server.id for server in have.values()}) == len(have) == 7


def test_without_room_between_two_it_comes_last():
    wanted = document(*(Node(name, "10.0.0.1", 80) for name in "abc"), backend=["balance first"])
    have = {"a:80": Server("10.0.0.1", 80, id=1), "c:80": Server("10.0.0.1", 80, id=2)}
    (step,) = plan(wanted, Running("x", servers={"web": have})).steps
    assert int(step.commands[0].split()[5]) > 2
