"""From files to members, and from wishes to acts: pure functions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighthouse.directory.announcer import Act, decide
from lighthouse.directory.freshness import Pace
from lighthouse.directory.members import Entry, Members, Stamp, differences
from lighthouse.discovery import Wanted
from lighthouse.node import Node
from lighthouse.records import chosen

PACE = Pace(15.0, 5.0)


def entry(host="a", port=80, *, inode=1, size=1, mtime=0):
    return Entry(Stamp(mtime, inode, size, mtime), Node(host, "10.0.0.1", port))


def test_members_are_sorted_and_bad_files_cost_themselves_only():
    bad = Entry(Stamp(0, 1, 1, 0), None, "not JSON")
    nodes, refused = chosen({"z": entry("a"), "y": entry("b"), "x": bad})
    assert [node.name for node in nodes] == ["a:80", "b:80"]
    assert refused == {"x": "not JSON"}


def test_of_two_files_for_one_member_the_first_by_name_counts():
    nodes, refused = chosen({"2": entry("a", inode=2), "1\n": entry("a", inode=1)})
    assert [node.name for node in nodes] == ["a:80"]
    assert refused == {"2": "a:80 is announced by '1\\n' already"}


@given(st.permutations([("f1", entry("a")), ("f2", entry("a")), ("f3", entry("b")), ("f4", entry("c"))]))
def test_the_order_of_reading_does_not_matter(items):
    assert chosen(dict(items)) == chosen(dict(sorted(items)))


def test_the_first_reading_is_news_even_when_empty():
    members = Members()
    assert members.nodes is None
    assert members.take({}, 0.0, 0.0, PACE) is True
    assert members.nodes == []
    assert members.take({}, 1.0, 0.0, PACE) is False


def test_a_changed_record_is_news_and_a_touched_file_is_not():
    members = Members()
    members.take({"f": entry("a")}, 0.0, 0.0, PACE)
    assert members.take({"f": entry("a", mtime=5)}, 1.0, 0.0, PACE) is False
    assert members.take({"f": entry("b", inode=2)}, 2.0, 0.0, PACE) is True


def test_differences_count_files_once_and_ignore_touches():
    before = {"stays": entry(), "goes": entry(), "changes": entry(), "touched": entry(mtime=1)}
    after = {"stays": entry(), "comes": entry(), "changes": entry(inode=9), "touched": entry(mtime=2)}
    assert differences(before, after) == 3
    assert differences(before, before) == 0


@pytest.mark.parametrize(
    ("wanted", "found", "due", "act"),
    [
        (Wanted.UP, None, False, Act.WRITE),
        (Wanted.UP, b"other", False, Act.WRITE),
        (Wanted.UP, b"record", False, Act.LEAVE),
        (Wanted.UP, b"record", True, Act.TOUCH),
        (Wanted.HOLD, None, True, Act.LEAVE),
        (Wanted.HOLD, b"other", True, Act.TOUCH),
        (Wanted.HOLD, b"other", False, Act.LEAVE),
        (Wanted.LEAVING, None, True, Act.LEAVE),
        (Wanted.LEAVING, b"other", False, Act.WRITE),
        (Wanted.LEAVING, b"record", False, Act.LEAVE),
        (Wanted.LEAVING, b"record", True, Act.TOUCH),
        (Wanted.DOWN, None, True, Act.LEAVE),
        (Wanted.DOWN, b"record", False, Act.REMOVE),
    ],
)
def test_what_becomes_of_an_own_file(wanted, found, due, act):
    assert decide(wanted, found, b"record", due=due) is act
