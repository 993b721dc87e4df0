import pytest

from lighthouse.cli.document import document
from support.control import node, packed, raw_status, worker


def problems_of(raw):
    return document(raw)["problems"]


@pytest.mark.parametrize("state", ["up", "starting"])
def test_a_worker_that_does_its_work_is_no_problem(state):
    assert problems_of(raw_status(workers=[worker("checker/web", state), worker("balancer/haproxy")])) == []


@pytest.mark.parametrize("state", ["backoff", "failing", "fatal", "hung", None])
def test_a_worker_in_any_other_state_is_one(state):
    raw = raw_status(
        workers=[worker("checker/web", state, reason="exit code 1", retry_in=70), worker("balancer/haproxy")]
    )
    assert problems_of(raw) == [f"worker checker/web is {state}: exit code 1; next try in 1m 10s"]


def test_the_last_exit_explains_where_no_reason_is_given():
    raw = raw_status(workers=[worker("checker/web", "backoff", last_exit={"reason": "killed by SIGSEGV", "at": 1.0})])
    assert "worker checker/web is backoff: killed by SIGSEGV" in problems_of(raw)


def test_a_stopped_worker_is_named_with_its_remedy():
    (problem,) = problems_of(raw_status(workers=[worker("checker/web", "stopped"), worker("balancer/haproxy")]))
    assert "stopped by operator" in problem
    assert "lighthouse ctl start checker/web" in problem


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"members": None}, "cluster web: its members are not known yet"),
        ({"members": packed({"nodes": [], "refused": []})}, "cluster web has no members"),
        ({"stale": True, "age": 125.0}, "cluster web is stale: its members are those of 2m 05s ago and stay in force"),
        (
            {"members": packed({"nodes": [node("a", 8001), node("c", 1)], "refused": []})},
            "cluster web: 1 of 2 nodes not up: c:1 pending",
        ),
    ],
)
def test_clusters(change, sentence):
    raw = raw_status()
    raw["clusters"]["web"].update(change)
    assert problems_of(raw) == [sentence]


def test_a_sentence_names_some_nodes_and_counts_the_rest():
    raw = raw_status()
    nodes = [node("c", port) for port in range(1, 9)]
    raw["clusters"]["web"]["members"] = packed({"nodes": nodes, "refused": []})
    (problem,) = problems_of(raw)
    assert problem.startswith("cluster web: 8 of 8 nodes not up: c:1 pending, ")
    assert problem.endswith("c:5 pending and 3 more")


@pytest.mark.parametrize("state", ["down", "unknown"])
def test_a_port_that_is_not_up_is_told_with_what_its_checks_say(state):
    raw = raw_status()
    checks = {
        "http": {"state": state, "streak": -2, "reason": "status 503"},
        "tcp": {"state": "up", "reason": "ignored"},
    }
    raw["services"]["web"]["ports"]["8001"].update(state=state, checks=checks)
    raw["services"]["web"]["ports"]["8001"]["reason"] = "its checker is away"
    why = "its checker is away; http: status 503" if state == "unknown" else "http: status 503"
    assert problems_of(raw) == [f"service web, port 8001, is {state} ({why})"]


@pytest.mark.parametrize(
    ("worker_id", "report", "sentence"),
    [
        ("balancer/haproxy", {"degraded": "haproxy -c failed"}, "balancer haproxy: haproxy -c failed"),
        ("discovery/zk", {"degraded": "no connection"}, "discovery zk: no connection"),
        ("discovery/zk", {"complete": False}, "discovery zk: its last reading of the registry was not complete"),
    ],
)
def test_degraded_reports(worker_id, report, sentence):
    raw = raw_status()
    raw["reports"][worker_id] = packed(report)
    assert problems_of(raw) == [sentence]


def test_a_degraded_worker_that_reports_is_told_once():
    raw = raw_status(workers=[worker("balancer/haproxy", "degraded", reason="haproxy -c failed")])
    assert problems_of(raw) == ["worker balancer/haproxy is degraded: haproxy -c failed"]
    raw["reports"]["balancer/haproxy"] = packed({"degraded": "haproxy -c failed"})
    assert problems_of(raw) == ["balancer haproxy: haproxy -c failed"]
    for newer in ("the disk is full", "haproxy -c failed; the disk is full"):
        raw["workers"] = [worker("balancer/haproxy", "degraded", reason=newer)]
        assert problems_of(raw) == [f"worker balancer/haproxy is degraded: {newer}"], "the report is older"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"error": "the compiler was killed"}, "the configuration could not be read: the compiler was killed"),
        ({"compilations": 0}, "no configuration has been read yet"),
        ({"files": {"/c/x.yaml": {"state": "refused", "error": "line 3"}}}, "file /c/x.yaml is refused: line 3"),
        (
            {"files": {"/c/x.yaml": {"state": "held", "error": "line 3"}}},
            "file /c/x.yaml is refused, its last good version stays in force: line 3",
        ),
    ],
)
def test_configuration(change, sentence):
    raw = raw_status()
    raw["config"].update(change)
    assert problems_of(raw) == [sentence]


def test_a_state_that_cannot_be_kept_is_a_problem():
    raw = raw_status()
    raw["supervisor"]["unkept"] = "the runtime directory cannot be written"
    assert problems_of(raw) == ["the runtime directory cannot be written"]


def test_refused_records_are_warned_of():
    raw = raw_status()
    refused = [{"record": "a:1", "reason": "x"}, {"record": "b:1", "reason": "y"}]
    raw["clusters"]["web"]["members"] = packed({"nodes": [node("app1", 8000)], "refused": refused})
    (sentence,) = document(raw)["warnings"]
    assert sentence.startswith("cluster web: refused records of the registry: 2; ")


def test_the_worst_comes_first():
    raw = raw_status(workers=[worker("discovery/directory", "stopped"), worker("balancer/haproxy", "fatal")])
    raw["supervisor"]["stopping"] = True
    raw["clusters"]["empty"] = {**raw["clusters"]["web"], "members": packed({"nodes": [], "refused": []})}
    raw["clusters"]["web"]["stale"] = True
    raw["services"]["web"]["ports"]["8001"]["state"] = "down"
    raw["config"]["files"] = {"a": {"state": "held", "error": "x"}, "b": {"state": "refused", "error": "x"}}
    starts = [sentence[:12] for sentence in problems_of(raw)]
    assert starts == [
        "cluster empt",
        "service web,",
        "worker balan",
        "cluster web ",
        "file b is re",
        "file a is re",
        "worker disco",
        "the supervis",
    ]


def test_a_service_without_a_check_is_warned_of_and_is_no_problem():
    raw = raw_status()
    assert document(raw)["warnings"] == []
    raw["services"]["web"]["ports"] = {"8001": {"state": "up", "since": 1.0, "checks": {}}}
    found = document(raw)
    assert (found["health"], found["problems"]) == ("ok", [])
    assert found["warnings"] == ["service web has no check: its ports count as up, whatever they do"]


def test_a_port_that_is_held_for_flapping_says_so():
    raw = raw_status()
    flap = {"held": True, "changes": 7, "times": []}
    check = {"state": "up", "streak": 1, "reason": ""}
    raw["services"]["web"]["ports"]["8001"] = {
        "state": "down", "since": 1.0, "verdict": "up", "flap": flap, "checks": {"http": check},
    }  # fmt: skip
    (problem,) = problems_of(raw)
    assert problem == "service web, port 8001, is down (held down, because it flaps: 7 changes; its checks say up)"
