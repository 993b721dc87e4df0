"""The rules by which a file counts as alive, under every clock that hypothesis can think of."""

from hypothesis import given
from hypothesis import strategies as st

from lighthouse.directory.freshness import Mark, Pace, pardoned, sighted, stalled
from lighthouse.directory.members import Entry, Members, Stamp
from lighthouse.node import Node

PACE = Pace(ttl=15.0, period=5.0)
NODE = Node("a", "10.0.0.1", 80)
walls = st.floats(-1e9, 4e9)
starts = st.floats(0, 1e7)


def entry(version, *, node=NODE, mtime=0.0):
    return Entry(Stamp(int(mtime * 1e9) + version, 7, 100, version), node, "" if node else "bad")


@given(starts, st.floats(0, 1e6))
def test_at_first_sight_the_wall_clock_decides(now, age):
    seen = sighted(None, Mark(int(1e18), 1), now, 1e9 + age, PACE)
    assert seen.fresh(now, PACE) == (age <= PACE.ttl) or abs(age - PACE.ttl) < 1e-3
    assert not seen.abandoned(now, PACE)


@given(starts, st.floats(0, 1e6))
def test_a_file_from_the_future_is_fresh(now, ahead):
    seen = sighted(None, Mark(int(1e18), 1), now, 1e9 - ahead, PACE)
    assert seen.fresh(now, PACE)
    assert not seen.fresh(now + PACE.ttl + 1, PACE)


@given(starts, st.lists(st.tuples(st.floats(0.01, 5.0), walls), min_size=2, max_size=60))
def test_an_owner_that_renews_is_never_lost_whatever_the_wall_clock_does(now, readings):
    """After the first renewal that the reader saw, no jump of the wall clock matters."""
    members = Members()
    elapsed = 0.0
    renewed = False
    for step, wall in readings:
        now, elapsed = now + step, elapsed + step
        version = int(elapsed // (PACE.ttl / 3))
        before = members.entries.get("a:80")
        renewed = renewed or (before is not None and before.stamp.mtime_ns != version)
        members.take({"a:80": entry(version)}, now, wall, PACE)
        if renewed:
            assert members.nodes == [NODE]
            assert members.abandoned(now, PACE) == []


@given(starts, st.lists(st.floats(0.01, 5.0), min_size=10, max_size=100), walls)
def test_an_owner_that_died_is_lost_after_the_ttl_and_swept_no_earlier(now, steps, wall):
    members = Members()
    seen_since = now
    members.take({"a:80": entry(1)}, now, wall, PACE)
    for step in steps:
        now += step
        members.take({"a:80": entry(1)}, now, wall, PACE)
        if now - seen_since > PACE.ttl + 1e-6:
            assert members.nodes == []
        if members.abandoned(now, PACE):
            assert now - seen_since > PACE.ttl - 1e-6
    if now - seen_since > PACE.ttl + 1e-6:
        assert members.abandoned(now, PACE) == ["a:80"]
        assert members.expired == 1


@given(starts, st.floats(12.6, 1e6), st.booleans())
def test_a_reader_that_was_away_gives_everybody_a_new_ttl(now, away, twice):
    members = Members()
    members.take({"a:80": entry(1, mtime=1000.0)}, now, 1000.0, PACE)
    for _ in range(1 + twice):
        now += away
        assert members.take({"a:80": entry(1, mtime=1000.0)}, now, 1e9, PACE) is False
        assert members.nodes == [NODE]
        assert members.abandoned(now, PACE) == []


def test_absence_raises_nobody_from_the_dead():
    members = Members()
    members.take({"a:80": entry(1, mtime=1000.0)}, 0.0, 5000.0, PACE)
    assert members.nodes == []
    members.take({"a:80": entry(1, mtime=1000.0)}, 500.0, 5500.0, PACE)
    assert members.nodes == []


def test_the_amnesty_needs_more_than_half_a_ttl_of_delay():
    assert not stalled(100.0, 112.5, PACE)
    assert stalled(100.0, 112.6, PACE)
    seen = sighted(None, Mark(0, 1), 100.0, 0.0, PACE)
    assert pardoned(seen, 100.0, 200.0, PACE).fresh(215.0, PACE)
    assert not pardoned(seen, 100.0, 200.0, PACE).fresh(215.1, PACE)


def test_what_is_no_announcement_neither_expires_nor_is_swept():
    members = Members()
    members.take({"README": entry(1, node=None)}, 0.0, 1e9, PACE)
    for now in range(5, 100, 5):
        members.take({"README": entry(1, node=None)}, float(now), 1e9, PACE)
    assert members.refused == {"README": "bad"}
    assert members.abandoned(100.0, PACE) == []
    assert members.expired == 0
