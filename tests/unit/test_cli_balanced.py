"""What is worth knowing of the balancers, in `ctl status`."""

import pytest

from lighthouse.cli.document import document
from support.control import packed, raw_status

NOW = 1_000_060.0


def told(**report):
    status = raw_status()
    status["reports"]["balancer/haproxy"] = packed({"servers": {}, "degraded": None, **report})
    return [line for line in document(status)["warnings"] if line.startswith("balancer haproxy: ")]


def test_nothing_to_say():
    assert told() == []
    assert told(drift={"healed": 0, "last": None}, pending=None, waiting={}, haproxy={"limits": []}) == []


def test_drift_is_shown_for_a_while():
    last = {"what": "web/a was deleted", "at": NOW - 20}
    assert told(drift={"healed": 3, "last": last}) == [
        "balancer haproxy: changed from outside and put right: web/a was deleted, 20s ago (3 in all)"
    ]
    assert told(drift={"healed": 3, "last": last | {"at": NOW - 601}}) == []


def test_what_waits():
    [reload, nodes] = told(
        pending="lines of backend web changed", waiting={"web": dict.fromkeys("dcba", "weight"), "db": {}}
    )
    assert reload.endswith("a reload waits for its turn: lines of backend web changed")
    assert "cluster web ask for comes with the next reload: a, b, c, ...; `lighthouse ctl why web`" in nodes


def test_what_is_refused_of_records_is_no_problem():
    refused = {"web": dict.fromkeys(("c:1", "b:1", "a:1"), "weight '50' must be a whole number"), "db": {}, "x": 3}
    [line] = told(refused=refused)
    assert line == (
        "balancer haproxy: node a:1 of cluster web is not taken as announced: weight '50' must be a whole "
        "number, nor are 2 more; `lighthouse ctl why web` says which and why"
    )


def test_what_an_old_program_cannot_do():
    limits = ["HAProxy 2.4.1 takes no new servers at run time", "HAProxy 2.2 is older"]
    assert told(haproxy={"limits": limits}, degraded="x; HAProxy 2.2 is older") == [f"balancer haproxy: {limits[0]}"]


def test_names_of_any_kind():
    mixed = {1: "x", "a": "y", None: "z"}
    assert len(told(waiting={"web": mixed}, refused={"web": mixed})) == 2


@pytest.mark.parametrize("shape", [1, [], ["x"], {"last": 3}, {"last": {"at": "x"}}, {"limits": 1}, {"web": 2}, None])
def test_another_shape_is_passed_over(shape):
    assert told(drift=shape, waiting={"web": shape} if isinstance(shape, int) else None, haproxy=shape) == []
