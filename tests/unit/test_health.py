"""The rules of rise and fall."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighthouse.health import Health, State, combined

RESULTS = st.lists(st.booleans(), max_size=60)
LIMITS = st.integers(1, 8)


def judged(results, rise, fall, health=None):
    health = health or Health()
    for passed in results:
        health = health.after(passed, rise, fall)
    return health


@given(RESULTS, LIMITS, LIMITS)
def test_it_agrees_with_the_definition(results, rise, fall):
    state = State.UNKNOWN
    for end in range(1, len(results) + 1):
        if end >= rise and all(results[end - rise : end]):
            state = State.UP
        elif end >= fall and not any(results[end - fall : end]):
            state = State.DOWN
    assert judged(results, rise, fall).state is state


@given(RESULTS, LIMITS, LIMITS, st.integers(0, 60))
def test_a_replacement_that_knows_the_health_goes_on_as_if_nothing_had_happened(results, rise, fall, cut):
    kept = judged(results[:cut], rise, fall)
    assert judged(results[cut:], rise, fall, Health(kept.state, kept.streak)) == judged(results, rise, fall)


@given(RESULTS, LIMITS, LIMITS)
def test_the_streak_is_bounded_so_that_a_steady_state_is_told_once(results, rise, fall):
    assert abs(judged(results, rise, fall).streak) <= max(rise, fall)


@pytest.mark.parametrize(
    ("states", "together"),
    [
        ([], State.UP),
        ([State.UP, State.UP], State.UP),
        ([State.UP, State.UNKNOWN], State.UNKNOWN),
        ([State.UP, State.UNKNOWN, State.DOWN], State.DOWN),
    ],
)
def test_a_port_is_up_when_all_checks_are(states, together):
    assert combined(states) is together
