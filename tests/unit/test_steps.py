"""Steps that failed wait, the others do not."""

import logging

import pytest

from lighthouse.errors import RegistryError
from lighthouse.workers.steps import RETRY, Failures, Step


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def failures(clock):
    return Failures(clock)


def step(name):
    return Step(name, lambda: None, lambda _: None)


STEPS = [step("connect"), step("announce")]


def test_one_that_failed_waits_while_the_next_goes_on(failures, clock):
    failures.failed("connect", RegistryError("refused"))
    assert failures.first(STEPS) is STEPS[1]
    assert failures.first(STEPS[:1]) is None
    assert failures.next() == [100.0 + RETRY]
    clock.now += RETRY
    assert failures.first(STEPS) is STEPS[0]
    assert failures.next() == []
    assert list(failures.reasons) == ["refused"], "until it goes well"


def test_success_takes_the_reason_away(failures):
    failures.failed("connect", RegistryError("refused"))
    failures.succeeded("connect")
    assert failures.first(STEPS) is STEPS[0]
    assert not list(failures.reasons)


def test_after_forgetting_all_are_tried_at_once(failures):
    failures.failed("connect", RegistryError("refused"))
    failures.failed("announce", RegistryError("refused"))
    failures.forget()
    assert failures.first(STEPS) is STEPS[0]
    assert not failures.next()


def test_an_unexpected_error_is_logged_once_while_it_stays_the_same(failures, caplog):
    with caplog.at_level(logging.ERROR):
        for error in (KeyError("a"), KeyError("a"), RegistryError("on purpose"), KeyError("b")):
            failures.failed("connect", error)
    assert [record.exc_info[1].args[0] for record in caplog.records] == ["a", "b"]
