"""Why a node is in rotation, or at which step it is missing."""

import pytest

from lighthouse.cli.document import document
from lighthouse.cli.way import Mark
from lighthouse.cli.why import TOLD_REFUSED, Why
from lighthouse.workers.telling import MOST
from support.control import node, packed, raw_status, worker

SERVER = {
    "server": "a:8001",
    "line": "server a:8001 127.0.0.1:8001 check",
    "address": "127.0.0.1:8001",
    "state": "up",
    "since": 30,
    "weight": 1,
    "sessions": 2,
    "member": True,
}
EXPLAINED = {"balancer/haproxy": {"servers": {"a:8001": SERVER}, "error": None}}


def raw(members=None, report=None, **cluster):
    """A host on which all is well, but for what is given."""
    status = raw_status()
    snapshot = {"nodes": [{**node("a", 8001), "since": 1_000_000.0}], "refused": [], "gone": {}, **(members or {})}
    status["clusters"]["web"] |= {"members": packed(snapshot), "accepted": 1_000_010.0, **cluster}
    told = {"servers": {"web": {"a:8001": "up"}}, "degraded": None, "last": {"commands": 2, "reload": None}}
    status["reports"]["balancer/haproxy"] = packed({**told, **(report or {})})
    return status


def way(status=None, name="a:8001", explained=EXPLAINED):
    [found] = Why(document(status or raw()), explained, "web").ways(name)
    return found


def marks(found):
    return {step.step: step.mark for step in found.steps}


def last(found):
    return found.steps[-1].step, found.steps[-1].mark


def test_the_whole_way_of_a_node_in_rotation():
    found = way()
    assert (found.in_rotation, found.verdict) == (True, "in rotation")
    assert [(step.step, step.text, step.at) for step in found.steps] == [
        ("registry", "discovery/directory tells of it", 1_000_000.0),
        ("guard", "not held", 1_000_010.0),
        ("supervisor", "took over the cluster's members", 1_000_010.0),
        ("balancer haproxy", "synced with 2 commands", 1_000_059.0),
        (
            "server haproxy",
            "server a:8001 at 127.0.0.1:8001; its line: server a:8001 127.0.0.1:8001 check",
            1_000_060.0,
        ),
        ("state haproxy", "up, weight 1, sessions 2", 1_000_030.0),
    ]
    assert {step.mark for step in found.steps} == {Mark.OK}


@pytest.mark.parametrize("name", ["a:8001", "a", "127.0.0.1:8001"])
def test_a_node_has_several_names(name):
    assert way(name=name).node == "a:8001"


def test_a_node_that_nobody_knows_ends_at_the_registry():
    found = way(name="x:1")
    assert last(found) == ("registry", Mark.BAD)
    assert found.verdict == "not in rotation; registry: discovery/directory has no record of it"


def test_one_of_so_many_refused_ones_that_not_all_are_told():
    refused = [{"record": f"r{number}", "reason": "bad"} for number in range(TOLD_REFUSED)]
    verdict = way(raw(members={"refused": refused}), "nobody:1").verdict
    assert verdict.endswith("or it is refused, as so many are that only 50 of them are told")


def test_telling_and_why_agree_on_how_many():
    assert MOST == TOLD_REFUSED


def test_one_that_left():
    found = way(raw({"nodes": [], "gone": {"a:8001": 1_000_050.0}}), explained={})
    assert (last(found), found.steps[-1].at) == (("registry", Mark.BAD), 1_000_050.0)


def test_one_that_said_so_before_it_left():
    verdict = way(raw({"nodes": [], "gone": {"a:8001": 1.0}, "leaving": ["a:8001"]}), explained={}).verdict
    assert verdict.endswith("its record has left discovery/directory, and said before that it leaves on purpose")


ORDER = {"since": 1_000_020.0, "until": None, "until_boot": False, "uid": None, "reason": "disk swap"}


@pytest.mark.parametrize(
    ("port", "orders", "text", "at"),
    [
        (
            {"state": "maintenance"},
            {"maintenance": ORDER},
            "service web is in maintenance, by somebody: disk swap (`lighthouse ctl maintenance web off` ends it)",
            1_000_020.0,
        ),
        (
            {"state": "down", "since": 1_000_030.0, "checks": {"http": {"state": "down", "reason": "status 503"}}},
            {},
            "its port is down (http: status 503)",
            1_000_030.0,
        ),
        ({"state": "up", "since": 1_000_030.0}, {}, "its port is up; at the registry it is hold", 1_000_030.0),
    ],
)
@pytest.mark.parametrize("name", ["a:8001", "a", "10.0.0.1:8001"])
def test_what_this_host_itself_knows_of_one_that_it_provides(port, orders, text, at, name):
    status = raw({"nodes": []})
    status["services"]["web"] |= {"orders": orders, "ports": {"8001": port}}
    report = {
        "hostname": "a",
        "addresses": {"web": {"ip": "10.0.0.1"}},
        "announced": {"web": {"8001": "hold"}},
        "complete": True,
    }
    status["reports"]["discovery/directory"] = packed(report)
    found = way(status, name, explained={})
    first, record = found.steps
    assert (first.step, first.text.partition("this host provides it, and ")[2], first.at) == ("service", text, at)
    assert (first.mark, record.mark) == (Mark.NOTE if port["state"] == "up" else Mark.BAD, Mark.BAD)
    assert (found.node, found.in_rotation) == ("a:8001", False)
    status["clusters"]["web"]["members"] = raw()["clusters"]["web"]["members"]
    member = way(status)
    assert member.in_rotation, "it is not withdrawn yet"
    assert ("service" in marks(member)) is (port["state"] != "up")
    status["services"]["web"]["discovery"] = "another"
    assert "service" not in marks(way(status))


def test_one_that_left_and_still_has_sessions():
    server = {**SERVER, "member": False, "state": "maint"}
    found = way(
        raw({"nodes": [], "gone": {"a:8001": 1.0}}), explained={"balancer/haproxy": {"servers": {"a:8001": server}}}
    )
    assert found.steps[-1].text == "leaving: maint, 2 sessions to end"


def test_a_refused_record_says_why():
    status = raw({"refused": [{"record": "evil:1", "reason": "metadata is nested deeper than 16 levels"}]})
    found = way(status, "evil:1")
    assert last(found) == ("registry", Mark.BAD)
    assert "metadata is nested deeper than 16 levels" in found.verdict
    assert {item.node for item in Why(document(status), EXPLAINED, "web").ways()} == {"a:8001", "evil:1"}


def test_a_held_node_says_so_and_serves():
    held = {"names": ["a:8001"], "since": 1_000_020.0, "until": 1_000_320.0}
    found = way(raw({"held": held}))
    assert found.in_rotation
    assert marks(found)["guard"] is Mark.NOTE
    guard = next(step for step in found.steps if step.step == "guard")
    assert "for 4m 20s more" in guard.text
    assert "ctl accept web" in guard.text


def test_a_discovery_that_is_away_is_told_and_the_node_serves():
    status = raw(stale=True, age=300.0)
    status["workers"][1] = worker("discovery/directory", "stopped")
    answer = Why(document(status), EXPLAINED, "web")
    assert answer.ways("a:8001")[0].in_rotation
    discovery = answer.cluster()[0]
    assert (discovery.mark, discovery.at) == (Mark.BAD, 1_000_060.0 - 300.0)
    assert "stopped" in discovery.text
    assert "nobody knows" in answer.ways("x:1")[0].verdict


def test_members_that_are_not_known_yet():
    found = way(raw(age=None) | {"clusters": {"web": {"discovery": "directory", "members": None}}})
    assert last(found) == ("registry", Mark.UNKNOWN)


@pytest.mark.parametrize("state", ["down", "drain", "maint"])
def test_what_the_load_balancer_does_with_it(state):
    found = way(explained={"balancer/haproxy": {"servers": {"a:8001": {**SERVER, "state": state}}}})
    assert found.verdict == f"not in rotation; state haproxy: {state}, weight 1, sessions 2"


def test_left_out_on_this_host():
    found = way(raw(report={"left_out": {"web": {"a:8001": "its zone is b"}}}))
    assert last(found) == ("balancer haproxy", Mark.BAD)
    assert "its zone is b" in found.verdict


def test_a_part_of_the_record_that_the_balancer_refuses():
    found = way(raw(report={"refused": {"web": {"a:8001": "weight 'heavy' is no number"}}}))
    assert found.in_rotation
    assert "weight 'heavy' is no number" in found.verdict


def test_a_quarantined_cluster():
    status = raw(report={"quarantined": {"web": "line 3: unknown keyword"}})
    assert way(status).in_rotation
    assert "line 3: unknown keyword" in Why(document(status), EXPLAINED, "web").cluster()[-1].text
    assert way(status, explained={"balancer/haproxy": {"servers": {}}}).verdict.startswith(
        "not in rotation; balancer haproxy"
    )


@pytest.mark.parametrize(
    ("reason", "notes", "text"),
    [
        ("a; b; c", [("db", "a"), (None, "b"), ("web", "c")], "degraded: b; c"),
        ("a", [("db", "a")], "synced with 2 commands"),
        ("newer", [("db", "a")], "degraded: newer"),
    ],
)
def test_what_keeps_another_cluster_is_not_told_here(reason, notes, text):
    told = [{"cluster": cluster, "text": note} for cluster, note in notes]
    status = raw(report={"degraded": "; ".join(note for _, note in notes), "notes": told})
    status["workers"][0] = worker("balancer/haproxy", "degraded", reason=reason)
    assert next(step for step in way(status).steps if step.step == "balancer haproxy").text == text


def test_one_whose_name_another_server_has():
    reason = "a line has its name"
    status = raw(report={"servers": {"web": {"a:8001": "shadowed"}}, "refused": {"web": {"a:8001": reason}}})
    own = {**SERVER, "address": "127.0.0.1:9", "member": False, "own": True}
    found = way(status, explained={"balancer/haproxy": {"servers": {"a:8001": own}}})
    assert (found.in_rotation, found.steps[-1].mark) == (False, Mark.BAD)
    assert next(step for step in found.steps if step.step == "balancer haproxy").text.endswith(reason)
    other = way(name="own", explained={"balancer/haproxy": {"servers": {"own": own}}})
    assert other.in_rotation, "it needs no record"
    assert other.steps[-1].text == "up, weight 1, sessions 2"


def test_a_server_that_is_missing():
    found = way(explained={"balancer/haproxy": {"servers": {}, "error": None}})
    assert last(found) == ("server haproxy", Mark.BAD)


def test_a_load_balancer_that_cannot_be_asked():
    found = way(explained={"balancer/haproxy": {"servers": None, "error": "nothing listens"}})
    assert last(found) == ("state haproxy", Mark.UNKNOWN)
    assert found.verdict == (
        "nobody can tell; state haproxy: the load balancer cannot be asked: nothing listens; up at the last sync that went well"
    )
    assert (found.in_rotation, found.steps[-1].at) == (False, 1_000_060.0)


def test_one_that_is_known_not_to_run_serves_nobody():
    answer = {"servers": None, "error": "nothing listens", "absent": True}
    verdict = "not in rotation; state haproxy: the load balancer does not run: nothing listens"
    assert way(explained={"balancer/haproxy": answer}).verdict == verdict


@pytest.mark.parametrize(("absent", "verdict"), [(True, "not in rotation"), (False, "nobody can tell")])
def test_a_sync_that_failed_takes_the_worth_of_what_was_told_before(absent, verdict):
    status = raw(report={"failed": "HAProxy cannot be started", "absent": absent, "synced": 1_000_040.0})
    found = way(status, explained={})
    assert found.verdict.startswith(verdict)
    balancer = next(step for step in found.steps if step.step == "balancer haproxy")
    assert (balancer.text, balancer.at) == ("its last sync failed: HAProxy cannot be started", 1_000_059.0)
    assert found.steps[-1].at == (1_000_059.0 if absent else 1_000_040.0)
    assert way(status).in_rotation, "the load balancer itself says so"
    assert Why(document(status), {}, "web").cluster()[-1].mark is Mark.BAD


@pytest.mark.parametrize("state", ["stopped", "backoff", "failing"])
@pytest.mark.parametrize(("told", "serves"), [("up", True), ("maint", False)])
def test_a_balancer_that_is_away_leaves_its_last_word(state, told, serves):
    status = raw(report={"servers": {"web": {"a:8001": told}}})
    status["workers"][0] = worker("balancer/haproxy", state)
    found = way(status, explained={})
    assert marks(found)["balancer haproxy"] is Mark.NOTE
    assert (found.in_rotation, found.steps[-1].text) == (serves, f"{told}, as last reported")
    assert {step.step: step.at for step in found.steps}["balancer haproxy"] == status["workers"][0]["since"]
    assert Why(document(status), {}, "web").cluster()[-1].mark is Mark.BAD, "what comes now does not reach it"


def test_nothing_of_a_document_that_a_worker_spoilt_makes_it_fail():
    status = raw(report={"servers": 1, "left_out": [], "refused": "x", "last": 7, "quarantined": None})
    assert Why(document(status), {"balancer/haproxy": {"servers": {"a:8001": 3}}}, "web").ways()


@pytest.mark.parametrize("answers", [True, False])
def test_a_balancer_that_does_not_write_the_cluster_says_nothing(answers):
    status = raw()
    status["workers"].append(worker("balancer/inner"))
    status["reports"]["balancer/inner"] = packed({"servers": {"other": {}}, "degraded": None})
    inner = {"balancer/inner": {"servers": None, "error": None, "configured": False}} if answers else {}
    found = way(status, explained={**EXPLAINED, **inner})
    assert found.verdict == "in rotation"
    assert not any("inner" in step.step for step in found.steps)
