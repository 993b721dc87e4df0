"""What a discovery that stops waits for, and when it waits no longer."""

import pytest

from lighthouse.workers.parting import RESERVE, Then, last_moment, then

LAST = 10.0


@pytest.mark.parametrize(
    ("now", "looking", "turn", "again", "expected"),
    [
        (0.0, False, None, None, (Then.PART, 0.0)),
        (0.0, True, None, None, (Then.LOOK, LAST)),
        (0.0, True, 1.0, 2.0, (Then.LOOK, LAST)),
        (0.0, False, 1.0, None, (Then.WAIT, 1.0)),
        (0.0, False, 3.0, 2.0, (Then.WAIT, 2.0)),
        (0.0, False, None, 99.0, (Then.WAIT, LAST)),
        (LAST, True, None, None, (Then.PART, LAST)),
        (LAST, False, None, 11.0, (Then.PART, LAST)),
        (LAST, True, 99.0, 11.0, (Then.HURRY, LAST)),
    ],
)
def test_what_comes_next(now, looking, turn, again, expected):
    assert then(now, LAST, looking=looking, turn=turn, again=again) == expected


def test_some_time_is_kept_for_the_parting_itself():
    assert last_moment(100.0, 110.0) == 110.0 - RESERVE
    assert last_moment(100.0, 100.2) == 100.1
