"""What a new supervisor makes of the state that its predecessor kept."""

import pytest

from lighthouse.ipc.errors import ProtocolError
from lighthouse.ipc.messages import pack, unpack
from lighthouse.plan import Plan, ServicePlan, WorkerSpec
from lighthouse.supervisor.services import read_service
from lighthouse.supervisor.store import Store

UP = pack({"8001": {"state": "up", "since": 1.0, "checks": {}}})
PLAN = Plan(
    workers={"discovery/dir": WorkerSpec("discovery/dir", "discovery", "d")},
    clusters={"web": "dir"},
    services={"web": ServicePlan("dir", (8001, 8002))},
)


def announced(store):
    return unpack(store.birthright(PLAN, PLAN.workers["discovery/dir"])["announce"])


def test_a_service_that_was_up_stays_announced():
    store = Store()
    assert store.load({"service/web": UP}, aged=False) == []
    assert announced(store) == {"web": {"8001": "up", "8002": "hold"}}


def test_an_old_state_of_a_service_is_unknown_and_unknown_holds():
    store = Store()
    store.load({"service/web": UP, "members/web": b"nodes"}, aged=True)
    assert announced(store) == {"web": {"8001": "hold", "8002": "hold"}}
    assert store.snapshots == {"members/web": b"nodes"}


def test_a_kept_state_of_another_shape_is_refused_in_words():
    store = Store()
    (text,) = store.load({"service/web": pack({"x": 1}), "members/web": b"nodes"}, aged=False)
    assert "service/web" in text
    assert store.snapshots == {"members/web": b"nodes"}


def test_a_handover_is_bounded_and_no_repr_shows_it():
    store = Store()
    store.load({"handover/discovery/dir": b"secret"}, aged=False)
    assert "secret" not in repr(store)


def test_what_a_worker_leaves_that_is_no_longer_wanted_is_kept_for_nobody():
    store, worker = Store(), PLAN.workers["discovery/dir"]
    without = Plan(workers={}, clusters={}, services={})
    for topic in ("handover/discovery/dir", "report/discovery/dir"):
        assert store.accept(PLAN, worker, topic, b"secret") is not None
        store.forget(without)
        assert store.accept(without, worker, topic, b"secret") is None
    assert store.snapshots == {}


def test_a_discovery_begins_with_what_its_predecessor_reported():
    store, spec = Store(), PLAN.workers["discovery/dir"]
    assert "report/discovery/dir" not in store.birthright(PLAN, spec)
    store.accept(PLAN, spec, "report/discovery/dir", b"report")
    assert store.birthright(PLAN, spec)["report/discovery/dir"] == b"report"


def test_what_an_operator_confirmed_outlives_the_supervisor_and_not_the_boot():
    before, spec = Store(), PLAN.workers["discovery/dir"]
    before.orders.boot = "this boot"
    before.confirm(PLAN, "web", 12.5)
    assert "accepted" in before.dirty
    for boot, expected in (("this boot", {"web": 12.5}), ("another", {})):
        store = Store()
        store.orders.boot = boot
        assert store.load(before.snapshots, aged=True) == []
        store.forget(PLAN)
        assert unpack(store.birthright(PLAN, spec)["accept"]) == expected
    assert "accepted" not in store.snapshots
    before.forget(Plan())
    assert unpack(before.snapshots["accepted"])["clusters"] == {}
    (text,) = store.load({"accepted": pack({"boot": "another", "clusters": [1]})}, aged=False)
    assert "not a record of confirmations" in text


def test_what_is_too_old_or_refused_is_removed_from_disk():
    """Or the next start would take it for fresh."""
    store = Store()
    store.load({"service/web": UP, "service/x": b"nonsense", "members/web": b"nodes"}, aged=True)
    assert store.dirty == {"service/web", "service/x"}
    store = Store()
    store.load({"service/web": UP, "service/x": b"nonsense"}, aged=False)
    assert store.dirty == {"service/x"}


def test_results_and_flapping_are_read_and_bounded():
    result = {"at": 5, "passed": None, "duration": 0.5, "late": 0.0, "text": "x" * 500}
    check = {"state": "up", "streak": 1, "reason": "", "results": [result] * 9}
    flap = {"held": True, "changes": 5, "times": [float(when) for when in range(1000)]}
    port = {"state": "down", "since": 1.0, "verdict": "up", "flap": flap, "checks": {"http": check}}
    read = read_service(pack({"8001": port}))["8001"]
    assert (read["state"], read["verdict"]) == ("down", "up")
    assert read["flap"]["times"] == [float(when) for when in range(900, 1000)]
    assert read["checks"]["http"]["results"] == [{**result, "text": "x" * 200}] * 5


def test_a_state_that_an_earlier_release_kept_is_read_too():
    check = {"state": "up", "streak": 1, "reason": ""}
    port = {"state": "up", "since": 1.0, "checks": {"http": check}}
    read = read_service(pack({"8001": port}))["8001"]
    assert (read["verdict"], read["flap"], read["checks"]["http"]["results"]) == ("up", None, [])


@pytest.mark.parametrize(
    "change",
    [
        {"flap": {"held": True}},
        {"flap": [1]},
        {"verdict": "perhaps"},
        {"checks": {"http": {"state": "up", "streak": 1, "reason": "", "results": [{"at": 1}]}}},
        {"checks": {"http": {"state": "up", "streak": 1, "reason": "", "results": "often"}}},
    ],
)
def test_results_and_flapping_of_another_shape_are_refused(change):
    with pytest.raises(ProtocolError):
        read_service(pack({"8001": {"state": "up", "since": 1.0, "checks": {}, **change}}))
