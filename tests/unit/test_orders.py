"""What operators ordered of services, and what counts."""

import pytest

from lighthouse.ipc.errors import ProtocolError
from lighthouse.ipc.messages import pack
from lighthouse.service_state import Order, Will
from lighthouse.supervisor.orders import Orders

FOREVER, TILL_BOOT, SHORT = Order(1.0, 0), Order(2.0, 0, boot="b1"), Order(3.0, 7, "why", until=60.0)


@pytest.fixture
def orders():
    return Orders("b1")


def test_to_drain_counts_before_maintenance_and_neither_ends_the_other(orders):
    orders.give("web", Will.MAINTENANCE, SHORT)
    orders.give("web", Will.DRAIN, FOREVER)
    assert orders.counting("web") == (Will.DRAIN, FOREVER)
    assert orders.take_back("web", Will.DRAIN)
    assert orders.counting("web") == (Will.MAINTENANCE, SHORT)
    assert orders.take_back("web", Will.MAINTENANCE)
    assert not orders.take_back("web", Will.MAINTENANCE)
    assert orders.counting("web") == (Will.SERVE, None)


def test_a_shutdown_does_not_shorten_what_an_operator_ordered(orders):
    orders.give("web", Will.DRAIN, FOREVER)
    orders.give("web", Will.DRAIN, TILL_BOOT)
    assert orders.counting("web")[1] == FOREVER
    orders.give("db", Will.DRAIN, TILL_BOOT)
    orders.give("db", Will.DRAIN, FOREVER)
    assert orders.counting("db")[1] == FOREVER


def test_they_end_by_themselves(orders):
    orders.give("web", Will.MAINTENANCE, SHORT)
    orders.give("db", Will.DRAIN, TILL_BOOT)
    assert orders.next() == 60.0
    assert orders.expire(59.9) == []
    assert orders.expire(60.0) == [("web", Will.MAINTENANCE)]
    assert orders.next() is None
    orders.boot = "b2"
    assert orders.expire(61.0) == [("db", Will.DRAIN)]


@pytest.mark.parametrize("step", [3600.0, -3600.0])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_clock_that_is_set_ends_nothing_sooner_or_later(orders, step, restarted):
    assert not orders.follow(1000.0, 10.0)
    orders.give("web", Will.MAINTENANCE, Order(1000.0, 0, until=1060.0))
    orders.give("db", Will.DRAIN, FOREVER)
    assert not orders.follow(1000.5, 10.0), "a clock that is corrected moves nothing"
    if restarted:
        payload, orders = orders.payload(), Orders("b1")
        orders.load(payload)
    assert orders.follow(1030.0 + step, 40.0)
    assert not orders.follow(1031.0 + step, 41.0)
    assert orders.next() == 1060.0 + step
    assert orders.expire(1059.0 + step) == []
    assert orders.expire(1060.0 + step) == [("web", Will.MAINTENANCE)]


def test_over_a_boot_the_clock_decides(orders):
    orders.follow(1000.0, 500.0)
    orders.give("web", Will.MAINTENANCE, Order(1000.0, 0, until=1060.0))
    later = Orders("b2")
    later.load(orders.payload())
    assert not later.follow(30.0, 3.0), "a host without a battery begins in the past"
    assert not later.follow(1040.0, 13.0)
    assert later.next() == 1060.0
    later.give("db", Will.MAINTENANCE, Order(1040.0, 0, until=1100.0))
    payload, later = later.payload(), Orders("b2")
    later.load(payload)
    assert later.follow(1140.0, 13.0)
    assert later.next() == 1060.0, "only what was given since goes with the clock, in a successor too"
    assert later.of("db")[Will.MAINTENANCE].until == 1200.0


def test_they_are_kept(orders):
    orders.give("web", Will.MAINTENANCE, SHORT)
    orders.give("web", Will.DRAIN, TILL_BOOT)
    later = Orders("b1")
    later.load(orders.payload())
    assert later == orders


@pytest.mark.parametrize(
    "orders", [[], {"web": []}, {"web": {"nap": {}}}, {"web": {"drain": {"since": "x"}}}, {"web": {"drain": None}}]
)
def test_a_record_of_another_shape_is_refused(orders):
    with pytest.raises(ProtocolError):
        Orders("b1").load(pack({"clock": ["b1", 0.0], "orders": orders}))


@pytest.mark.parametrize("earlier", [5, [5], [["web", "nap"]], [["web"]]])
def test_a_record_with_other_orders_of_earlier_boots_is_refused(earlier):
    with pytest.raises(ProtocolError):
        Orders("b1").load(pack({"clock": ["b1", 0.0], "orders": {}, "earlier": earlier}))


@pytest.mark.parametrize("clock", [None, [], ["b1", "x"], 5])
def test_a_record_without_a_clock_is_refused(clock):
    with pytest.raises(ProtocolError):
        Orders("b1").load(pack({"clock": clock, "orders": {}}))
