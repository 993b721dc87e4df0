"""The search for what HAProxy refuses: who is asked here refuses what is bad and names nothing, as for a fault of the whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighthouse.haproxy.deadline import Deadline
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.errors import LateError, RejectedError
from lighthouse.haproxy.member import Member
from lighthouse.haproxy.search import judge_apart
from lighthouse.haproxy.searching import AGE, Searching
from lighthouse.haproxy.stanzas.section import Section

BAD = "line bad"


def named(number):
    return f"c{number:03}"


def document(lines, members=()):
    """A frontend and a backend for each cluster, which has one line."""
    sections = [Section("global", ("stats socket /s",)), Section("defaults", ())]
    for number in lines:
        bind = f"bind 127.0.0.1:{1000 + number}"
        sections.append(Section(f"frontend {named(number)}:in", (bind, f"default_backend {named(number)}")))
    for number, line in lines.items():
        sections.append(Section(f"backend {named(number)}", (line,), "", tuple(members)))
    return Document((), tuple(sections))


def documents(count, bad, members=()):
    """What is wanted, and what was good."""
    wanted = {number: BAD if number in bad else "line new" for number in range(count)}
    return document(wanted, members), document(dict.fromkeys(wanted, "line old"), members)


def refused(made):
    return RejectedError("no") if any(BAD in item.lines for item in made.sections) else None


class Judge:
    """Answers so many questions, then there is no more time."""

    def __init__(self, answers=10**9):
        self.answers, self.asked = answers, 0

    def __call__(self, made):
        if self.asked == self.answers:
            raise LateError("enough")
        self.asked += 1
        return refused(made)


@given(st.integers(1, 40), st.sets(st.integers(0, 39), max_size=12), st.booleans())
def test_none_is_set_apart_that_is_not_bad(count, bad, drop):
    bad = {number for number in bad if number < count}
    wanted, good = documents(count, bad)
    verdict = judge_apart(wanted, good, Judge(), drop=drop)
    assert verdict.apart.keys() == set(map(named, bad))
    assert refused(verdict.document) is None


def test_three_among_many_are_found_in_few_tries():
    judge = Judge()
    verdict = judge_apart(*documents(256, {3, 100, 200}), judge)
    assert verdict.apart.keys() == {"c003", "c100", "c200"}
    assert judge.asked < 50


def test_a_search_goes_on_where_it_ended_and_gives_the_members_of_today():
    """However little time there is: each time one question is answered."""
    searching, judges = Searching(), []
    for port in range(1, 100):
        wanted, good = documents(64, {2, 37}, [Member("a", "10.0.0.1", port)])
        judges.append(Judge(1 + port % 2))
        try:
            verdict = searching.verdict(wanted, good, judges[-1], Deadline(9))
            break
        except LateError:
            assert judges[-1].asked == judges[-1].answers
    assert verdict.apart.keys() == {"c002", "c037"}
    assert {item.members for item in verdict.document.backends().values()} == {(Member("a", "10.0.0.1", port),)}
    once = Judge()
    assert judge_apart(wanted, good, once).document == verdict.document
    assert sum(judge.asked for judge in judges) == once.asked
    assert port > 10


def test_members_have_their_turn_before_a_search_is_over():
    searching, judge, (wanted, good) = Searching(), Judge(), documents(64, {2, 37})
    for tries in range(1, 4):
        with pytest.raises(
            LateError, match=f"the search for the lines that are the cause goes on, after {tries} tries: no"
        ):
            searching.verdict(wanted, good, judge, Deadline(0))
        assert judge.asked == tries


def test_a_search_for_something_else_and_one_that_was_left_for_long_begin_anew():
    now = [0.0]
    searching, (wanted, good) = Searching(lambda: now[0]), documents(8, {2})
    other, _ = documents(8, {3})

    def asked(wanted, *, after=0.0):
        now[0] += after
        judge = Judge(2)
        with pytest.raises(LateError):
            searching.verdict(wanted, good, judge, Deadline(9))
        return searching._left[2].tries

    assert [asked(wanted), asked(wanted), asked(other), asked(wanted), asked(wanted)] == [2, 4, 2, 2, 4]
    assert asked(wanted, after=AGE) == 2
    searching.forget()
    assert asked(wanted) == 2
