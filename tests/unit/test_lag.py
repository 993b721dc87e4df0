"""How late the loop is: the worst of the last minute or two."""

from lighthouse.supervisor.lag import Lag


def test_the_worst_is_remembered_and_then_forgotten():
    lag = Lag()
    lag.note(0.5, 120.0)
    lag.note(0.1, 121.0)
    assert lag.worst(125.0) == 0.5
    assert lag.worst(185.0) == 0.5
    assert lag.worst(245.0) == 0.0


def test_an_old_minute_does_not_count_after_a_long_rest():
    lag = Lag()
    lag.note(0.5, 120.0)
    assert lag.worst(600.0) == 0.0
