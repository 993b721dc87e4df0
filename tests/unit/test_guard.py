"""The mass-loss guard: whom it lets go, whom it holds, and what ends that."""

from hypothesis import given
from hypothesis import strategies as st

from lighthouse.guard import Guard
from lighthouse.settings import MassLoss

RULES = MassLoss(share=0.5, minimum=2, window=60.0, hold=300.0)
TEN = frozenset("abcdefghij")


def some(count):
    return frozenset(sorted(TEN)[:count])


def test_a_first_answer_is_believed_whatever_it_is():
    assert Guard().answered(TEN, 0.0, RULES).told == TEN
    assert Guard().answered((), 0.0, RULES).told == frozenset()


def test_a_loss_below_the_share_goes_through_at_once():
    guard = Guard(TEN).answered(some(5), 0.0, RULES)
    assert (guard.told, guard.hold) == (some(5), None)


def test_a_loss_above_it_is_held_whole():
    guard = Guard(TEN).answered(some(4), 7.0, RULES)
    assert (guard.told, guard.held, guard.hold.since) == (TEN, TEN - some(4), 7.0)


def test_losses_one_by_one_add_up_within_the_window():
    guard = Guard(TEN)
    for count in range(9, -1, -1):
        guard = guard.answered(some(count), 10.0 - count, RULES)
    assert (guard.told, guard.held) == (some(5), some(5))


def test_losses_that_lie_apart_do_not_add_up():
    guard = Guard(TEN)
    for count in range(9, 0, -1):
        guard = guard.answered(some(count), (10 - count) * RULES.window, RULES)
        assert guard.told == some(count)


def test_a_fleet_replaced_by_as_many_others_is_not_lost():
    assert Guard(TEN).answered("0123456789", 0.0, RULES).told == frozenset("0123456789")
    assert Guard(TEN).answered("0123", 0.0, RULES).told == TEN | frozenset("0123"), "by fewer it is"


def test_small_clusters():
    assert Guard(frozenset("a")).answered("", 0.0, RULES).told == frozenset()
    assert Guard(frozenset("ab")).answered("a", 0.0, RULES).told == frozenset("a")
    assert Guard(frozenset("abc")).answered("ab", 0.0, RULES).told == frozenset("ab")
    assert Guard(frozenset("ab")).answered("", 0.0, RULES).told == frozenset("ab")
    assert Guard(frozenset("abc")).answered("a", 0.0, RULES).told == frozenset("abc")


def test_newcomers_are_told_at_once_while_others_are_held():
    guard = Guard(TEN).answered((), 0.0, RULES).answered("xy", 1.0, RULES)
    assert guard.told == TEN | frozenset("xy")


def test_the_return_of_all_ends_the_hold_and_that_of_some_does_not():
    guard = Guard(TEN).answered((), 0.0, RULES).answered(some(8), 1.0, RULES)
    assert guard.held == TEN - some(8)
    assert guard.answered(TEN, 2.0, RULES) == Guard(TEN)


def test_what_is_no_mass_loss_any_more_goes_after_a_window():
    guard = Guard(TEN).answered((), 0.0, RULES).answered(some(8), 1.0, RULES)
    assert guard.confirmed(60.0, RULES).told == TEN
    assert guard.confirmed(61.0, RULES).told == some(8)
    worse = guard.answered(some(1), 30.0, RULES).answered(some(8), 40.0, RULES)
    assert worse.confirmed(61.0, RULES).told == TEN, "the time begins anew"


def test_time_confirms():
    guard = Guard(TEN).answered((), 0.0, RULES)
    assert guard.hold.until(RULES) == 300.0
    assert guard.confirmed(299.0, RULES).told == TEN
    assert guard.confirmed(300.0, RULES) == Guard()


def test_a_doubt_makes_the_time_begin_anew():
    guard = Guard(TEN).answered((), 0.0, RULES).doubted()
    assert guard.hold.until(RULES) is None
    guard = guard.confirmed(200.0, RULES)
    assert guard.confirmed(499.0, RULES).told == TEN
    assert guard.confirmed(500.0, RULES).told == frozenset()


def test_each_member_has_its_own_time():
    guard = Guard(TEN).answered(some(2), 0.0, RULES).answered(some(1), 100.0, RULES)
    assert guard.confirmed(300.0, RULES).told == some(2)
    assert guard.confirmed(300.0, RULES).confirmed(400.0, RULES).told == some(1)


def test_a_person_confirms_what_is_held_and_nothing_that_comes_later():
    guard = Guard(TEN).answered(some(2), 5.0, RULES)
    assert guard.accepted(4.9).told == TEN
    assert guard.accepted(5.0) == Guard(some(2))
    assert guard.accepted(5.0).answered(some(1), 6.0, RULES).told == some(1), "what is left is the new measure"


def test_who_leaves_on_purpose_goes_at_once_and_is_no_loss():
    guard = Guard(TEN).answered(some(1), 0.0, RULES, leaving=TEN - some(1))
    assert (guard.told, guard.hold, guard.left) == (some(1), None, {})
    guard = Guard(TEN).answered(some(5), 0.0, RULES, leaving=TEN - some(5)).answered(some(4), 1.0, RULES)
    assert guard.told == some(4), "one more that vanishes is one alone"


def test_who_leaves_on_purpose_while_others_are_held():
    held = Guard(TEN).answered(some(3), 0.0, RULES)
    later = held.answered(some(2), 1.0, RULES, leaving=some(3) - some(2))
    assert later.told == TEN - (some(3) - some(2))
    assert later.held == TEN - some(3)


def test_one_that_is_held_comes_back_to_say_that_it_leaves():
    held = Guard(TEN).answered(some(3), 0.0, RULES)
    gone = held.answered(some(3), 1.0, RULES, leaving=held.held)
    assert (gone.told, gone.hold) == (some(3), None)


def test_without_rules_everything_is_believed():
    guard = Guard(TEN).answered((), 0.0, RULES)
    assert guard.answered((), 1.0, None) == Guard()
    assert guard.confirmed(1.0, None) == Guard()


# properties ----------------------------------------------------------------------------------------------------------

names = st.frozensets(st.sampled_from("abcdefghijkl"))
steps = st.lists(
    st.tuples(
        st.sampled_from([0.0, 1.0, 7.0, 29.0, 61.0, 150.0]),
        st.one_of(names, names, st.just("same"), st.just("doubt"), st.just("accept")),
    ),
    max_size=40,
)
rules = st.builds(
    MassLoss,
    share=st.sampled_from([0.0, 0.25, 0.5, 0.8, 1.0]),
    minimum=st.integers(1, 4),
    window=st.sampled_from([10.0, 60.0]),
    hold=st.sampled_from([0.0, 30.0, 300.0]),
)


class Registry:
    """What the registry said, kept apart from the guard: since when each name has been missing without a doubt."""

    def __init__(self, answer):
        self.answer = answer
        self.missing = {}

    def says(self, answer, now, told):
        self.answer = answer
        self.repeats(now, told)

    def repeats(self, now, told):
        self.missing = {name: self.missing.get(name, now) for name in told - self.answer}

    def confirmed(self, name, now, hold):
        return name in self.missing and now - self.missing[name] >= hold


def play(first, sequence, rules):
    """Yield, after each step: the time, the guard, the registry, and whether somebody or time confirmed a loss."""
    now, guard, registry = 0.0, Guard().answered(first, 0.0, rules), Registry(first)
    for pause, said in sequence:
        now, before = now + pause, guard
        if said == "doubt":
            registry.missing = {}
            guard = guard.doubted()
        elif said == "accept":
            guard = guard.accepted(now)
        elif said == "same":
            registry.repeats(now, guard.told)
            guard = guard.confirmed(now, rules)
        else:
            registry.says(said, now, guard.told)
            guard = guard.answered(said, now, rules)
        released = before.told - guard.told
        yield (
            now,
            guard,
            registry,
            said == "accept" or any(registry.confirmed(name, now, rules.hold) for name in released),
        )


def played(first, sequence, rules):
    """Where all of it leads to."""
    return [(0.0, Guard().answered(first, 0.0, rules), Registry(first), False), *play(first, sequence, rules)][-1]


@given(names, steps, rules)
def test_no_sequence_takes_more_than_the_share_within_a_window_unless_it_is_confirmed(first, sequence, rules):
    history = [(0.0, len(first))]
    for now, guard, _, confirmed in play(first, sequence, rules):
        history = [] if confirmed else [(when, count) for when, count in history if now - when < rules.window]
        for _, baseline in history:
            least = min((1 - rules.share) * baseline, baseline - rules.minimum + 1)
            assert len(guard.told) >= least - 1e-9
        history.append((now, len(guard.told)))


@given(names, steps, rules)
def test_what_the_registry_has_is_always_told_and_the_rest_is_held(first, sequence, rules):
    for _, guard, registry, _ in play(first, sequence, rules):
        assert registry.answer <= guard.told
        assert guard.told - registry.answer == guard.held


@given(names, steps, rules)
def test_in_the_end_the_registry_is_believed(first, sequence, rules):
    now, guard, registry, _ = played(first, sequence, rules)
    guard = guard.confirmed(now, rules).confirmed(now + rules.hold, rules)
    assert guard.told == registry.answer
    assert guard.hold is None


@given(names, steps, rules, names)
def test_an_accepted_loss_is_believed_at_once(first, sequence, rules, last):
    now, guard, *_ = played(first, sequence, rules)
    assert guard.answered(last, now, rules).accepted(now).told == last
