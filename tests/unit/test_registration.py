"""The token bucket of announcements."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighthouse.discovery import Announcement, Wanted
from lighthouse.node import Node
from lighthouse.service import Service
from lighthouse.workers.registration import Registration

UP, DOWN, HOLD = Wanted.UP, Wanted.DOWN, Wanted.HOLD


def one(port, wanted=UP, **metadata):
    return Announcement(Service("web", (port,)), port, wanted, Node("host", "192.0.2.1", port, metadata))


def wanted_of(items):
    return {item.port: item.wanted for item in items}


def let(bucket, wanted, now):
    """What goes through at a time, spent."""
    found = bucket.admitted(wanted, now)
    bucket.spend(found, wanted, now)
    return found


def test_a_burst_goes_through_and_the_rest_at_the_rate():
    bucket = Registration(rate=2.0, burst=3)
    wanted = [one(port) for port in range(1, 7)]
    assert wanted_of(let(bucket, wanted, 0.0)) == {1: UP, 2: UP, 3: UP, 4: HOLD, 5: HOLD, 6: HOLD}
    assert (bucket.waiting, bucket.delayed) == (3, 3)
    assert bucket.next(0.0) == pytest.approx(0.5)
    assert wanted_of(let(bucket, wanted, 0.5))[4] is UP
    assert wanted_of(let(bucket, wanted, 1.5)) == dict.fromkeys(range(1, 7), UP)
    assert (bucket.waiting, bucket.delayed, bucket.next(1.5)) == (0, 3, None)


def test_what_stays_the_same_costs_nothing():
    bucket = Registration(rate=1.0, burst=2)
    wanted = [one(1), one(2)]
    let(bucket, wanted, 0.0)
    for _ in range(10):
        assert let(bucket, wanted, 0.0) == wanted
    assert bucket.waiting == 0


def test_withdrawals_come_first_and_a_port_that_waits_stays_as_it_is():
    bucket = Registration(rate=1.0, burst=2)
    let(bucket, [one(1), one(2)], 0.0)
    wanted = [one(1, weight=5), one(2, DOWN), one(3)]
    found = let(bucket, wanted, 1.0)
    assert wanted_of(found) == {1: UP, 2: DOWN, 3: HOLD}
    assert found[0].node.metadata == {}, "its change waits"
    assert bucket.waiting == 2


def test_a_service_that_is_gone_is_withdrawn_when_its_turn_comes():
    bucket = Registration(rate=1.0, burst=1)
    let(bucket, [one(1)], 0.0)
    assert wanted_of(let(bucket, [], 0.0)) == {1: UP}
    assert bucket.waiting == 1
    assert let(bucket, [], 1.0) == []


def test_holding_and_withdrawing_what_never_was_are_free():
    bucket = Registration(rate=1.0, burst=1)
    wanted = [one(1, HOLD), one(2, DOWN), one(3)]
    assert let(bucket, wanted, 0.0) == wanted
    assert bucket.waiting == 0


def test_what_could_not_be_announced_costs_nothing():
    bucket = Registration(rate=1.0, burst=1)
    assert bucket.admitted([one(1)], 0.0) == bucket.admitted([one(1)], 0.0) == [one(1)]


@given(
    rounds=st.lists(
        st.tuples(st.floats(0.0, 3.0), st.lists(st.sampled_from([UP, DOWN, HOLD]), min_size=6, max_size=6)), max_size=30
    ),
    rate=st.floats(0.5, 20.0),
    burst=st.integers(1, 8),
)
def test_no_more_changes_than_the_bucket_holds_and_at_last_all_of_them(rounds, rate, burst):
    bucket = Registration(rate=rate, burst=burst)
    now, changes, last, wanted = 0.0, 0, {}, []
    for pause, states in rounds:
        now += pause
        wanted = [one(port, state) for port, state in enumerate(states)]
        found = wanted_of(let(bucket, wanted, now))
        changes += sum(state is not HOLD and last.get(port, DOWN) is not state for port, state in found.items())
        last |= {port: state for port, state in found.items() if state is not HOLD}
        assert changes <= burst + rate * now + 1e-6
    for _ in range(6):
        now += 1.01 / rate
        found = wanted_of(let(bucket, wanted, now))
    assert found == wanted_of(wanted)
