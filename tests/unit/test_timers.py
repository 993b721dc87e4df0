"""What is called later: in order, and by name only the newest."""

import pytest

from lighthouse.workers.timers import Timers


@pytest.fixture
def clock():
    return [100.0]


@pytest.fixture
def timers(clock):
    return Timers(lambda: clock[0])


def fire(timers):
    return [function() for function in timers.due()]


def test_each_is_due_once_in_its_time(timers, clock):
    assert timers.patience() is None
    timers.after(2.0, lambda: "late")
    timers.after(1.0, lambda: "early")
    timers.after(1.0, lambda: "early too")
    assert (timers.patience(), fire(timers)) == (1.0, [])
    clock[0] += 5.0
    assert timers.patience() == 0.0
    assert fire(timers) == ["early", "early too", "late"]
    assert (timers.patience(), fire(timers)) == (None, [])


def test_of_a_name_only_the_newest_counts(timers, clock):
    timers.after(1.0, lambda: "first", name="sync")
    timers.after(3.0, lambda: "second", name="sync")
    assert timers.patience() == 3.0, "nobody wakes up for what was superseded"
    timers.after(2.0, lambda: "other", name="beat")
    timers.cancel("beat")
    clock[0] += 3.0
    assert fire(timers) == ["second"]
    timers.after(0.0, lambda: "third", name="sync")
    timers.cancel("sync")
    assert timers.patience() is None


def test_one_may_take_back_another_that_is_due(timers, clock):
    timers.after(1.0, lambda: timers.cancel("sync"))
    timers.after(1.0, lambda: "sync", name="sync")
    timers.after(1.0, lambda: timers.after(1.0, lambda: "again"))
    clock[0] += 1.0
    assert fire(timers) == [None, None]
    clock[0] += 1.0
    assert fire(timers) == ["again"]
