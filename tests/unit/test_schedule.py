"""When checks run, and which of their results count."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighthouse.schedule import first_slots, next_slot, starved, tolerance

TIMES = st.floats(0, 1e7)
INTERVALS = st.floats(0.001, 86400)


@given(TIMES, INTERVALS, TIMES)
def test_the_next_slot_is_the_first_one_after_now(anchor, interval, now):
    slot = next_slot(anchor, interval, now)
    blur = 1e-8 * max(1.0, anchor, now)  # what a float can tell apart
    assert now - blur < slot <= now + interval * 1.000002 + blur
    rounds = (slot - anchor) / interval
    assert math.isclose(rounds, round(rounds), abs_tol=blur / interval + 1e-9 * abs(rounds))


@given(TIMES, INTERVALS, st.lists(st.floats(0, 5), min_size=1, max_size=50))
def test_delays_do_not_add_up(anchor, interval, delays):
    """However late each run ends (less than an interval), slots follow one another at the interval."""
    slot = anchor
    for rounds, delay in enumerate(delays, 1):
        slot = next_slot(anchor, interval, slot + min(delay, 0.9) * interval)  # 0: the very moment
        assert math.isclose(slot, anchor + rounds * interval, rel_tol=1e-9, abs_tol=1e-9)


@given(TIMES, INTERVALS, st.floats(0, 0.99))
def test_a_known_check_waits_for_its_slot_and_an_unknown_one_does_not(now, interval, draw):
    first, anchor = first_slots(now, interval, known=True, draw=draw)
    assert now <= first == anchor <= now + interval
    first, anchor = first_slots(now, interval, known=False, draw=draw)
    assert first == now
    blur = 1e-8 * max(1.0, now)
    assert now + interval / 2 - blur <= next_slot(anchor, interval, now) <= now + interval * 1.000002 + blur


@pytest.mark.parametrize(("timeout", "late"), [(0.01, 0.1), (0.4, 0.1), (2.0, 0.5), (20.0, 5.0)])
def test_a_quarter_of_the_timeout_may_be_lost_and_a_moment_in_any_case(timeout, late):
    assert tolerance(timeout) == late
    assert not starved(late, timeout)
    assert starved(late * 1.01, timeout)
