"""The restart policy: at once, then backing off, then failing, and never for ever."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighthouse.settings import Restart
from lighthouse.supervisor.restart import RENEWALS, History

RULES = Restart(base=0.5, cap=8.0, stable=60.0, burst=10, window=600.0, failing=300.0)


def top(_low, high):
    return high


def bottom(low, _high):
    return low


def deaths(times, uptime=1.0, rules=RULES):
    history = History()
    for when in times:
        history = history.after_death(when, uptime, rules)
    return history


def test_the_first_restart_is_at_once():
    assert deaths([100.0]).delay(RULES, top) == 0.0


def test_then_delays_double_up_to_the_cap():
    delays = [deaths(range(100, 101 + n)).delay(RULES, top) for n in range(1, 8)]
    assert delays == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


def test_jitter_takes_off_up_to_half():
    history = deaths(range(100, 104))
    assert history.delay(RULES, bottom) == history.delay(RULES, top) / 2


def test_a_stable_life_clears_the_record():
    history = deaths(range(100, 109))
    assert history.after_death(300.0, RULES.stable, RULES).delay(RULES, top) == 0.0


def test_many_deaths_within_the_window_are_failing_and_still_tried():
    history = deaths(range(100, 110))
    assert history.failing
    assert history.delay(RULES, top) == pytest.approx(360.0)


def test_failing_lasts_until_a_stable_life():
    history = deaths(range(100, 110)).after_death(5000.0, 1.0, RULES)
    assert history.failing
    assert not history.after_death(6000.0, RULES.stable, RULES).failing


def test_deaths_that_lie_apart_are_not_failing():
    spaced = [100.0 + 70.0 * number for number in range(20)]
    assert not deaths(spaced).failing


@given(st.lists(st.floats(0, 1e6), max_size=200), st.floats(0, 1e4))
def test_every_delay_is_finite_and_bounded_and_memory_is_too(times, uptime):
    history = deaths(sorted(times), uptime)
    assert 0.0 <= history.delay(RULES, top) <= RULES.failing * 1.2
    assert len(history.deaths) <= RULES.burst


def renewed(history, times):
    for when in times:
        history = history and history.after_renewal(when, RULES)
    return history


def test_an_orderly_end_is_no_death():
    history = deaths(range(100, 105))
    assert renewed(history, [200.0]).delay(RULES, top) == history.delay(RULES, top)
    assert renewed(History(), [200.0]).delay(RULES, top) == 0.0


def test_orderly_ends_in_a_tight_loop_are_deaths():
    often = [100.0 + n / 10 for n in range(RENEWALS)]
    assert renewed(History(), often)
    assert not renewed(History(), [*often, 101.0])
    assert renewed(History(), [*often, 101.0 + RULES.stable]), "they lie apart"


@given(st.lists(st.floats(0.0, 0.1), min_size=100, max_size=300))
def test_no_pattern_of_short_lives_spins(gaps):
    """Whoever ends in good order at once, again and again, is soon started as rarely as who dies."""
    now, history, starts = 1000.0, History(), 0
    for uptime in gaps:
        now += uptime
        if renewal := history.after_renewal(now, RULES):
            history = renewal
        else:
            history = history.after_death(now, uptime, RULES)
            now += history.delay(RULES, bottom)
        starts += now < 1000.0 + RULES.stable
    assert starts <= 20
