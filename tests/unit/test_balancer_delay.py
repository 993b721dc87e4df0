"""When the balancer worker calls its plugin again."""

import pytest

from lighthouse.workers.balancer import AGAIN_LEAST, _delay


@pytest.mark.parametrize(
    ("again", "delay"),
    [(None, 10), (3, 3), (0.5, 0.5), (0, AGAIN_LEAST), (60, 10), (True, 10), ("1", 10), (-1, 10), (float("nan"), 10)],
)
def test_a_balancer_may_ask_for_less_than_the_usual_pause(again, delay):
    assert _delay(10, again) == delay
