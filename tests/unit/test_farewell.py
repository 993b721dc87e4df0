"""What goes by will says so first, whatever comes in between."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighthouse.discovery import Announcement, Wanted
from lighthouse.node import Node
from lighthouse.service import Service
from lighthouse.workers.farewell import Farewell

LASTS = 2.0


def item(wanted, port=80, name="web"):
    service = Service(
        name=name, ports=(port,), discovery="dir", host="127.0.0.1", metadata={}, hostname="h", ip="10.0.0.1"
    )
    return Announcement(service, port, wanted, Node("h", "10.0.0.1", port, leaving=wanted is Wanted.LEAVING))


UP, LEAVING, DOWN, HOLD = map(item, (Wanted.UP, Wanted.LEAVING, Wanted.DOWN, Wanted.HOLD))


@pytest.fixture
def farewell():
    return Farewell(LASTS)


def announce(farewell, wanted, now):
    """What is announced, without a fault."""
    due = farewell.phased(wanted, now)
    farewell.done(due, wanted, now)
    return due


def test_it_says_so_and_goes_when_its_time_is_over(farewell):
    assert announce(farewell, [UP], 0.0) == [UP]
    assert farewell.next(0.0) is None
    assert announce(farewell, [LEAVING], 10.0) == [LEAVING]
    assert farewell.next(10.0) == 10.0 + LASTS
    assert announce(farewell, [LEAVING], 11.9) == [LEAVING]
    assert announce(farewell, [LEAVING], 12.0) == [DOWN]
    assert farewell.next(12.0) is None
    assert announce(farewell, [LEAVING], 99.0) == [DOWN]


def test_what_was_taken_out_of_the_configuration_says_so_too(farewell):
    other = item(Wanted.UP, 81)
    announce(farewell, [UP, other], 0.0)
    assert announce(farewell, [other], 10.0) == [other, LEAVING]
    assert farewell.next(10.0) == 10.0 + LASTS
    assert announce(farewell, [other], 12.0) == [other]
    assert farewell.next(12.0) is None


def test_what_was_down_has_nothing_to_say(farewell):
    announce(farewell, [DOWN], 0.0)
    assert announce(farewell, [], 1.0) == []


def test_what_was_held_without_an_address_has_nothing_to_say(farewell):
    held = replace(HOLD, node=replace(HOLD.node, ip="0.0.0.0"))
    announce(farewell, [held], 0.0)
    assert announce(farewell, [], 1.0) == []


def test_a_failed_check_says_nothing(farewell):
    announce(farewell, [UP], 0.0)
    assert announce(farewell, [DOWN], 1.0) == [DOWN]


def test_who_comes_back_in_between_is_up_at_once_and_begins_anew(farewell):
    announce(farewell, [UP], 0.0)
    announce(farewell, [LEAVING], 10.0)
    assert announce(farewell, [UP], 11.0) == [UP]
    assert announce(farewell, [LEAVING], 12.0) == [LEAVING], "the first time does not count"
    assert announce(farewell, [LEAVING], 14.0) == [DOWN]


def test_a_new_generation_says_it_again_since_it_does_not_know(farewell):
    assert announce(farewell, [LEAVING], 100.0) == [LEAVING]


def test_an_announcement_that_failed_does_not_begin_the_time(farewell):
    announce(farewell, [UP], 0.0)
    assert farewell.phased([LEAVING], 10.0) == [LEAVING]  # and the registry refuses it
    assert announce(farewell, [LEAVING], 13.0) == [LEAVING]
    assert farewell.next(13.0) == 13.0 + LASTS


def test_with_no_time_at_all_it_just_goes():
    farewell = Farewell(0.0)
    announce(farewell, [UP], 0.0)
    assert announce(farewell, [LEAVING], 1.0) == [DOWN]
    assert announce(farewell, [], 2.0) == []


@given(st.lists(st.tuples(st.sampled_from([UP, LEAVING, DOWN, HOLD, None]), st.floats(0.01, 5.0)), max_size=30))
def test_nothing_that_stood_goes_by_will_without_a_word_of_its_time(steps):
    """Whatever the order: between a record that says nothing and its absence by will there is one that says so, for long enough."""
    farewell, now, stands, said = Farewell(LASTS), 0.0, False, None
    for wanted, pause in steps:
        now += pause
        for due in announce(farewell, [wanted] if wanted else [], now):
            if due.wanted is Wanted.LEAVING:
                said = now if said is None else said
            elif due.wanted is Wanted.UP:
                stands, said = True, None
            elif due.wanted is Wanted.DOWN:
                if wanted == LEAVING and stands:
                    assert said is not None
                    assert now - said >= LASTS
                stands, said = False, None
            assert due.node.leaving is (due.wanted is Wanted.LEAVING)
            assert due.settled() == replace(due, wanted=due.settled().wanted, node=replace(due.node, leaving=False))
