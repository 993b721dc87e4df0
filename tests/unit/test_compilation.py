"""When the configuration is read, and what a reading that dies costs."""

import pytest

from lighthouse.settings import Compilation as Rules
from lighthouse.supervisor.compilation import MAX_POISON, PATIENCE, Compilation

RULES = Rules(settle=0.1, resync=30.0, deadline=10.0)


@pytest.fixture
def idle():
    state = Compilation()
    assert state.may_start(0.0)
    state.start(0.0)
    state.answered("fingerprint")
    state.ended(1.0, RULES, None)
    return state


def test_the_first_reading_is_at_once_and_never_skipped():
    state = Compilation()
    assert state.may_start(0.0)
    assert state.start(0.0) is True


def test_a_change_waits_for_a_quiet_moment(idle):
    idle.request(5.0, RULES)
    assert not idle.may_start(5.05)
    idle.request(5.05, RULES)
    assert not idle.may_start(5.12)
    assert idle.may_start(5.16)


def test_a_directory_that_never_rests_is_read_all_the_same(idle):
    now = 5.0
    while not idle.may_start(now):
        idle.request(now, RULES)
        now += 0.05
        assert now < 5.0 + (PATIENCE + 2) * RULES.settle


def test_one_runs_at_a_time_and_a_change_meanwhile_asks_for_another(idle):
    idle.request(5.0, RULES)
    idle.start(5.1)
    idle.request(5.2, RULES)
    assert not idle.may_start(6.0)
    idle.answered("other")
    idle.ended(6.0, RULES, None)
    assert idle.may_start(6.0)


def test_who_asks_is_told_which_completion_to_wait_for(idle):
    assert idle.request(5.0, RULES, force=True) == idle.completed + 1
    idle.start(5.0)
    assert idle.request(5.1, RULES, force=True) == idle.completed + 2


def test_it_is_read_again_now_and_then_and_may_then_be_skipped(idle):
    assert not idle.may_start(30.9)
    assert idle.may_start(31.0)
    assert idle.start(31.0) is False


def test_a_death_costs_the_file_in_hand_and_the_rest_is_read_at_once(idle):
    idle.start(5.0)
    idle.progress("clusters/good.yaml", "d1", 5.0)
    idle.progress("clusters/bomb.yaml", "d2", 5.0)
    said = idle.ended(6.0, RULES, "killed by SIGKILL")
    assert "clusters/bomb.yaml" in said
    assert idle.poisoned.keys() == {"clusters/bomb.yaml"}
    assert "killed by SIGKILL" in idle.poisoned["clusters/bomb.yaml"]["d2"]
    assert idle.may_start(6.0)
    assert idle.start(6.0) is True


def test_a_death_after_the_answer_costs_nothing(idle):
    idle.start(5.0)
    idle.progress("clusters/good.yaml", "d1", 5.0)
    idle.answered("fingerprint")
    assert idle.ended(6.0, RULES, "killed by SIGSEGV") is None
    assert idle.poisoned == {}


def test_a_death_without_a_file_in_hand_is_an_error_and_tried_again_later(idle):
    idle.start(5.0)
    assert "exit code 1" in idle.ended(6.0, RULES, "exit code 1")
    assert "exit code 1" in idle.error
    assert not idle.may_start(6.0)
    assert idle.may_start(36.0)


def test_a_directory_that_cannot_be_read_is_told_until_it_can(idle):
    idle.start(5.0)
    idle.failed("the directory is gone")
    idle.ended(5.5, RULES, None)
    assert idle.error == "the directory is gone"
    idle.start(35.5)
    idle.answered("fingerprint")
    assert idle.error is None


def test_the_deadline_is_told(idle):
    idle.start(5.0)
    assert idle.next_deadline(RULES) == 15.0
    assert not idle.overdue(15.0, RULES)
    assert idle.overdue(15.01, RULES)


def test_two_deadly_versions_of_one_file_do_not_alternate_for_ever(idle):
    """The current text and the last good one are both read."""
    for digest in ("current", "last good"):
        idle.start(5.0)
        idle.progress("services/web.yaml", digest, 5.0)
        idle.ended(6.0, RULES, "killed by SIGSEGV")
    assert idle.poisoned["services/web.yaml"].keys() == {"current", "last good"}


def test_what_is_remembered_of_one_file_is_bounded(idle):
    for number in range(100):
        idle.start(5.0)
        idle.progress("services/web.yaml", str(number), 5.0)
        idle.ended(6.0, RULES, "killed by SIGSEGV")
    assert list(idle.poisoned["services/web.yaml"])[-1] == "99"
    assert len(idle.poisoned["services/web.yaml"]) == MAX_POISON


def test_the_deadline_is_for_each_file_anew(idle):
    idle.start(5.0)
    idle.progress("clusters/a.yaml", "d", 14.0)
    assert not idle.overdue(23.0, RULES)
    assert idle.overdue(24.1, RULES)


def test_a_death_after_the_last_file_blames_none(idle):
    idle.start(5.0)
    idle.progress("clusters/a.yaml", "d", 5.0)
    idle.progress("", "", 5.1)
    idle.ended(6.0, RULES, "killed by SIGKILL")
    assert idle.poisoned == {}


def test_a_directory_that_is_back_unchanged_is_read_all_the_same(idle):
    idle.start(31.0)
    idle.failed("the directory is gone")
    idle.ended(31.5, RULES, None)
    assert idle.start(62.0) is True
