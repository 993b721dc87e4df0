"""The rules of rise, fall and flapping."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighthouse.health import Flap, FlapRules, Health, State, combined, recent

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


VERDICTS = st.lists(st.tuples(st.sampled_from(State), st.floats(0, 100)), max_size=40)
RULES = st.builds(FlapRules, st.integers(2, 6), st.floats(1, 300), st.floats(1, 300))


def history(verdicts, rules):
    """The flap after each verdict, with the time of it; the pauses between them are given."""
    flap, now = Flap(), 0.0
    for verdict, pause in verdicts:
        now += pause
        flap = flap.after(verdict, now, rules)
        yield flap, now


@given(VERDICTS, RULES)
def test_what_is_held_is_down_and_what_is_not_is_what_the_checks_say(verdicts, rules):
    said = State.UNKNOWN
    for (verdict, _), (flap, _) in zip(verdicts, history(verdicts, rules), strict=True):
        said = said if verdict is State.UNKNOWN else verdict
        assert flap.verdict is said
        assert flap.state is (State.DOWN if flap.held else said)


@given(VERDICTS, RULES)
def test_it_agrees_with_the_definition_of_flapping(verdicts, rules):
    said, held, changes = State.UNKNOWN, False, []
    for (verdict, _), (flap, now) in zip(verdicts, history(verdicts, rules), strict=True):
        if verdict is not State.UNKNOWN:
            changes += [now] if State.UNKNOWN is not said is not verdict else []
            said = verdict
        if held and now - changes[-1] >= rules.calm:
            held, changes = False, []
        else:
            held = held or sum(now - when < rules.window for when in changes) >= rules.changes
        assert flap.held is held
        assert recent(flap.changes, now, rules.window) == min(
            rules.changes, sum(now - when < rules.window for when in changes)
        )


@given(VERDICTS, RULES)
def test_a_held_port_is_let_go_once_it_is_calm(verdicts, rules):
    flap, now = Flap(), 0.0
    for flap, now in history(verdicts, rules):  # noqa: B007
        pass
    assert not flap.after(flap.verdict, now + rules.calm + 1e-6, rules).held  # the sum is rounded


@given(VERDICTS, RULES)
def test_what_is_kept_of_the_past_is_bounded(verdicts, rules):
    assert all(len(flap.changes) <= rules.changes for flap, _ in history(verdicts, rules))


@given(VERDICTS)
def test_without_rules_nothing_is_held_or_counted(verdicts):
    assert all(flap == Flap(flap.verdict) for flap, _ in history(verdicts, None))


@given(VERDICTS, RULES, st.integers(0, 40))
def test_a_replacement_that_knows_the_flap_goes_on_as_if_nothing_had_happened(verdicts, rules, cut):
    whole = list(history(verdicts, rules))
    flap, _ = whole[cut - 1] if 0 < cut <= len(whole) else (Flap(), 0.0)
    start = cut if 0 < cut <= len(whole) else 0
    again = Flap(flap.verdict, tuple(flap.changes), flap.held)
    for (verdict, _), (expected, now) in zip(verdicts[start:], whole[start:], strict=True):
        again = again.after(verdict, now, rules)
        assert again == expected
