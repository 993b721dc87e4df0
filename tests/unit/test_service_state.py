"""The state of a service's port: the table, and what holds for every row of it."""

from itertools import product

import pytest

from lighthouse import service_state
from lighthouse.health import State
from lighthouse.service_state import TABLE, Announced, Checker, Order, PortState, Will

WILLS = {"serve": Will.SERVE, "maintain": Will.MAINTENANCE, "drain": Will.DRAIN}


def documented():
    """The table at the head of the module, row by row."""
    for line in service_state.__doc__.splitlines():
        cells = line.replace("at work", "at_work").split()
        if cells and cells[0] in WILLS:
            will, checker, verdict, state, announced = cells
            checkers = list(Checker) if checker == "any" else [Checker(checker.replace("_", " "))]
            verdicts = list(State) if verdict == "any" else [State(verdict)]
            for key in product([WILLS[will]], checkers, verdicts):
                yield key, (PortState(state), Announced(announced))


def test_the_table_is_the_one_in_words_and_whole():
    assert dict(documented()) == TABLE
    assert set(TABLE) == set(product(Will, Checker, State))


@pytest.mark.parametrize(("key", "value"), TABLE.items(), ids=str)
def test_every_row(key, value):
    (will, checker, verdict), (state, announced) = key, value
    assert (announced is Announced.WITHDRAWN) == (will is not Will.SERVE), (
        "the operator's will, and nothing else, withdraws"
    )
    if will is Will.SERVE:
        assert announced is TABLE[will, Checker.AT_WORK, verdict][1], "who is away changes nothing that is announced"
        assert (announced is Announced.HOLD) == (verdict is State.UNKNOWN), "unknown changes nothing"
        assert (state is PortState.UNKNOWN) == (checker is Checker.LOST)
    else:
        assert state in (PortState.MAINTENANCE, PortState.DRAINING)


@pytest.mark.parametrize(
    ("order", "over"),
    [
        (Order(1.0, 0), False),
        (Order(1.0, 0, until=50.0), False),
        (Order(1.0, 0, until=49.9), True),
        (Order(1.0, 0, boot="this"), False),
        (Order(1.0, 0, boot="an earlier one"), True),
    ],
)
def test_when_an_order_is_over(order, over):
    assert order.over(49.95, "this") is over


def test_an_order_travels():
    order = Order(1.5, 1000, "a new disk", 99.0, "boot")
    assert Order.from_mapping(order.to_mapping()) == order
