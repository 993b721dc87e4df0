import base64
import copy
import json

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lighthouse.cli.document import document
from support.control import node, packed, raw_status, worker

# A loaded machine may be slow to draw examples; these tests judge results, not time.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def servers(**states):
    return packed({"servers": {"web": states}, "degraded": None})


def states_of(raw):
    return {item["name"]: item["state"] for item in document(raw)["clusters"]["web"]["nodes"]}


def test_it_has_the_documented_keys():
    found = document(raw_status())
    assert set(found) == {
        "health",
        "problems",
        "warnings",
        "supervisor",
        "workers",
        "clusters",
        "services",
        "config",
        "balancers",
        "discoveries",
    }
    assert found["clusters"]["web"] == {
        "discovery": "directory",
        "nodes": [
            {"name": "a:8001", "ip": "127.0.0.1", "port": 8001, "state": "up", "held": False, "since": None},
            {"name": "b:8002", "ip": "127.0.0.1", "port": 8002, "state": "up", "held": False, "since": None},
        ],
        "stale": False,
        "age": 0.5,
        "accepted": None,
        "held": None,
        "gone": {},
        "leaving": [],
        "refused": [],
        "refused_total": 0,
        "error": None,
    }
    report = {"servers": {"web": {"a:8001": "up", "b:8002": "up"}}, "degraded": None, "reported": 1_000_059.0}
    assert found["balancers"] == {"haproxy": report}
    assert found["discoveries"] == {
        "directory": {"complete": True, "degraded": None, "details": {}, "reported": 1_000_059.5}
    }


def test_a_healthy_host_has_no_problem():
    found = document(raw_status())
    assert (found["health"], found["problems"]) == ("ok", [])


def test_a_cluster_that_its_discovery_cannot_read_is_stale_and_no_other():
    raw = raw_status()
    raw["clusters"]["api"] = raw["clusters"]["new"] = raw["clusters"]["web"]
    raw["clusters"]["kept"] = {**raw["clusters"]["web"], "accepted": 1_000_050.0}
    unread = {"api": 1_000_000.0, "new": None, "kept": None}
    raw["reports"]["discovery/directory"] = packed({"complete": True, "unread": unread})
    found = document(raw)["clusters"]
    assert {name: (part["stale"], part["age"]) for name, part in found.items()} == {
        "web": (False, 0.5),
        "api": (True, 60.0),
        "new": (True, None),
        "kept": (True, 10.0),
    }
    assert "cluster new is stale: its members are of unknown age and stay in force" in document(raw)["problems"]


def test_what_was_given_is_not_changed():
    raw = raw_status()
    before = copy.deepcopy(raw)
    document(raw)
    assert raw == before


def test_the_worst_of_several_balancers_counts():
    raw = raw_status(workers=[worker("balancer/one"), worker("balancer/two")])
    raw["reports"] = {
        "balancer/one": servers(**{"a:8001": "up", "b:8002": "drain"}),
        "balancer/two": servers(**{"a:8001": "down"}),
    }
    assert states_of(raw) == {"a:8001": "down", "b:8002": "drain"}


@pytest.mark.parametrize("failed", [None, "no"])
def test_a_balancer_that_does_not_write_a_cluster_says_nothing_of_it(failed):
    raw = raw_status(workers=[worker("balancer/one"), worker("balancer/two")])
    raw["reports"] = {
        "balancer/one": servers(**{"a:8001": "up", "b:8002": "up"}),
        "balancer/two": packed({"servers": {"db": {}}, "degraded": None, "failed": failed}),
    }
    assert set(states_of(raw).values()) == {"up"}
    raw["reports"]["balancer/one"] = packed({"servers": {"db": {}}, "degraded": None})
    assert set(states_of(raw).values()) <= {"pending", "unknown"}, "nobody has got it yet"


def test_a_node_that_the_balancer_has_not_got_is_pending():
    raw = raw_status()
    raw["reports"]["balancer/haproxy"] = servers(**{"a:8001": "up"})
    assert states_of(raw) == {"a:8001": "up", "b:8002": "pending"}


@pytest.mark.parametrize(
    ("absent", "state", "so"),
    [(False, "unknown", "may serve or not, nobody can tell"), (True, "pending", "serves nobody")],
)
def test_what_was_told_before_a_sync_that_failed_counts_for_nothing(absent, state, so):
    reason = "HAProxy cannot be started: no such file"
    failed = {"degraded": reason, "failed": reason, "absent": absent, "left_out": {"web": {"b:8002": "zone"}}}
    raw = raw_status(workers=[worker("balancer/haproxy", "degraded", reason=reason)])
    raw["reports"]["balancer/haproxy"] = packed({"servers": {"web": {"a:8001": "up"}}, **failed})
    assert states_of(raw) == {"a:8001": state, "b:8002": "unused"}
    assert document(raw)["problems"] == [f"balancer haproxy: {reason}; its load balancer {so}"]


def test_all_is_pending_while_a_balancer_has_not_spoken():
    raw = raw_status()
    del raw["reports"]["balancer/haproxy"]
    assert set(states_of(raw).values()) == {"pending"}


@pytest.mark.parametrize("report", [{}, {"degraded": None}])
def test_nodes_are_known_where_no_balancer_tells_of_servers(report):
    raw = raw_status()
    raw["reports"]["balancer/haproxy"] = packed(report)
    assert set(states_of(raw).values()) == {"known"}
    raw["workers"] = []
    assert set(states_of(raw).values()) == {"known"}


def test_unknown_members_are_not_an_empty_cluster():
    raw = raw_status()
    raw["clusters"]["web"]["members"] = None
    assert document(raw)["clusters"]["web"]["nodes"] is None


@pytest.mark.parametrize(
    "blob",
    [
        "not base64!",
        "",
        42,
        packed([1]),
        packed({"nodes": 7}),
        packed({}),
        base64.b64encode(b"\xc1").decode(),
        base64.b64encode(msgpack.packb({"nodes": []})[:-1]).decode(),
        base64.b64encode(b"\x91" * 5000).decode(),
    ],
)
def test_damage_costs_only_the_damaged(blob):
    raw = raw_status()
    raw["clusters"]["bad"] = {"discovery": "directory", "stale": False, "age": 1.0, "members": blob}
    found = document(raw)
    assert found["clusters"]["bad"]["nodes"] is None
    assert found["clusters"]["bad"]["error"] == "its members cannot be read"
    assert len(found["clusters"]["web"]["nodes"]) == 2
    assert found["problems"] == ["cluster bad: its members cannot be read"]


def test_a_damaged_report_is_a_degraded_one():
    raw = raw_status()
    raw["reports"]["discovery/directory"] = "!"
    assert document(raw)["discoveries"] == {
        "directory": {"degraded": "its report cannot be read", "reported": 1_000_059.5}
    }


def test_refused_records_are_told():
    raw = raw_status()
    refused = [{"record": "x", "reason": "port 0 is not a number from 1 to 65535"}]
    raw["clusters"]["web"]["members"] = packed({"nodes": [node("a", 8001)], "refused": refused})
    found = document(raw)["clusters"]["web"]
    assert (found["refused"], found["refused_total"]) == (refused, 1)
    raw["clusters"]["web"]["members"] = packed({"nodes": [node("a", 8001)], "refused": refused, "refused_total": 700})
    found = document(raw)
    assert found["clusters"]["web"]["refused_total"] == 700
    assert "cluster web: refused records of the registry: 700; " in found["warnings"][0]


def test_what_json_lacks_is_made_plain():
    raw = raw_status()
    details = {1: b"x", "nan": float("nan"), "ext": msgpack.ExtType(5, b"y"), "list": [1.5, None, True]}
    raw["reports"]["discovery/directory"] = packed({"complete": True, "degraded": None, "details": details})
    found = document(raw)["discoveries"]["directory"]["details"]
    json.dumps(found, allow_nan=False)
    assert (found["1"], found["nan"], found["list"]) == ("b'x'", None, [1.5, None, True])


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@unhurried
@given(st.dictionaries(st.sampled_from(sorted(raw_status())), plain))
def test_no_shape_breaks_it(parts):
    json.dumps(document({**raw_status(), **parts}))


@unhurried
@given(st.binary(max_size=40))
def test_no_members_break_it(data):
    raw = raw_status()
    raw["clusters"]["web"]["members"] = base64.b64encode(data).decode()
    json.dumps(document(raw), allow_nan=False)


@unhurried
@given(plain)
def test_no_plain_members_break_it(value):
    raw = raw_status()
    raw["clusters"]["web"]["members"] = packed({"nodes": value, "refused": value})
    raw["reports"]["balancer/haproxy"] = packed({"servers": value})
    json.dumps(document(raw), allow_nan=False)


def test_members_that_are_left_out_on_purpose_are_unused_and_no_problem():
    raw = raw_status()
    raw["reports"]["balancer/haproxy"] = packed(
        {"servers": {"web": {"a:8001": "up"}}, "left_out": {"web": {"b:8002": "label tier is not gold"}}}
    )
    assert states_of(raw) == {"a:8001": "up", "b:8002": "unused"}
    assert document(raw)["problems"] == []


def test_a_filter_that_fits_nobody_is_a_problem():
    raw = raw_status()
    left_out = dict.fromkeys(("a:8001", "b:8002"), "label tier is not gold")
    raw["reports"]["balancer/haproxy"] = packed({"servers": {"web": {}}, "left_out": {"web": left_out}})
    assert document(raw)["problems"] == ["cluster web: its `filter` fits none of its 2 members"]


def test_default_nodes_are_told_while_no_member_is_known():
    raw = raw_status()
    raw["clusters"]["web"]["members"] = None
    raw["reports"]["balancer/haproxy"] = packed({"servers": {"web": {}}, "defaults": ["web"]})
    (problem,) = document(raw)["problems"]
    assert "default nodes" in problem
