"""What a checker tells of its ports, and when."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighthouse.errors import ResourceError
from lighthouse.health import FlapRules
from lighthouse.ipc.messages import pack
from lighthouse.supervisor.store import read_service
from lighthouse.workers.portstates import TELL_EVERY, PortStates
from lighthouse.workers.probe import MAX_RESULTS, Attempt, Finding, Probe, Rules

RULES = Rules(interval=1.0, timeout=2.0, rise=1, fall=1)
PORT = 8000


def probe(name="http", port=PORT):
    return Probe(name, port, RULES, make=lambda: None)


def found(one, passed, *, lag=0.0, text=""):
    one.count(Finding(passed, text, 1.0, 1.5), Attempt(0.0, 0.0, lag))


def state(ports, port=PORT):
    return ports.document[str(port)]["state"]


def test_a_change_is_told_at_once_and_a_repetition_waits_for_company():
    one = probe()
    ports = PortStates("web", [PORT], [one], now=100.0)
    found(one, True)
    assert ports.update(PORT, 101.0)
    found(one, True)
    assert not ports.update(PORT, 102.0)
    found(one, True)
    assert ports.update(PORT, 101.0 + TELL_EVERY)
    found(one, False, text="status 500")
    assert ports.update(PORT, 112.0)
    assert state(ports) == "down"
    assert [result["passed"] for result in ports.document[str(PORT)]["checks"]["http"]["results"]] == [
        True,
        True,
        True,
        False,
    ]


def test_a_result_that_counts_for_nothing_changes_nothing_and_is_told():
    one = probe()
    ports = PortStates("web", [PORT], [one], now=100.0)
    found(one, True)
    ports.update(PORT, 101.0)
    for passed, lag in ((False, 0.6), (None, 0.0)):
        health = one.health
        found(one, passed, lag=lag, text="whatever")
        assert one.health == health
        assert one.obstacle
        assert state(ports) == "up"
    assert ports.update(PORT, 102.0)
    found(one, False, lag=0.4)  # late, but not by more than is tolerated
    assert ports.update(PORT, 103.0)
    assert (state(ports), one.obstacle) == ("down", "")


def test_a_port_without_a_check_is_up():
    assert state(PortStates("web", [PORT], [], now=1.0)) == "up"


def test_a_replacement_goes_on_from_what_was_told():
    rules = FlapRules(changes=2, window=100.0, calm=50.0)
    one = probe()
    ports = PortStates("web", [PORT], [one], rules=rules, now=100.0)
    for now, passed in enumerate((True, False, True), 101):
        found(one, passed)
        ports.update(PORT, float(now))
    assert state(ports) == "down"
    kept = read_service(pack(ports.document))
    other = probe()
    again = PortStates("web", [PORT], [other], rules=rules, kept=kept, now=110.0)
    assert again.document == ports.document
    assert (other.health, list(other.results)) == (one.health, list(one.results))
    assert again.update(PORT, 154.0)
    assert state(again) == "up"
    assert not PortStates("web", [PORT], [probe()], kept=kept, now=110.0).document[str(PORT)]["flap"], (
        "the rules are gone"
    )


def test_times_of_an_earlier_boot_are_forgotten():
    rules = FlapRules(changes=2, window=100.0, calm=50.0)
    flap = {"held": True, "changes": 2, "times": [1e6, 1e6 + 1]}
    kept = {str(PORT): {"state": "down", "since": 5.0, "verdict": "up", "flap": flap, "checks": {}}}
    assert state(PortStates("web", [PORT], [], rules=rules, kept=kept, now=10.0)) == "up"


OUTCOMES = st.tuples(st.integers(0, 2), st.sampled_from([True, False, None]), st.floats(0, 1), st.text(max_size=300))


@given(st.lists(OUTCOMES, max_size=40), st.sampled_from([None, FlapRules(3, 10.0, 5.0)]))
def test_whatever_is_found_is_told_in_the_shape_that_the_supervisor_reads(outcomes, rules):
    probes = [probe("a"), probe("b"), probe("a", 8001)]
    ports = PortStates("web", [PORT, 8001], probes, rules=rules, now=0.0)
    for now, (index, passed, lag, text) in enumerate(outcomes, 1):
        found(probes[index], passed, lag=lag, text=text[:200])
        ports.update(probes[index].port, float(now))
        read = read_service(pack(ports.document))
        assert read == ports.document
        assert all(len(check["results"]) <= MAX_RESULTS for part in read.values() for check in part["checks"].values())


@pytest.mark.parametrize(
    ("error", "passed"), [(ResourceError("no secret"), None), (OSError("broken"), False), (SystemExit(0), False)]
)
def test_what_a_check_raises_is_a_finding(error, passed):
    class Check:
        def perform(self):
            raise error

    finding = Attempt(0.0, 0.0, 0.0).finding(Check())
    assert finding.passed is passed
    assert str(error) in finding.text


def test_a_reason_whose_text_cannot_be_had_is_a_bad_result():
    class Reason:
        def __str__(self):
            raise RuntimeError("no text")

    class Check:
        reason = Reason()

        def perform(self):
            return False

    finding = Attempt(0.0, 0.0, 0.0).finding(Check())
    assert (finding.passed, finding.text) == (False, "RuntimeError: no text")
