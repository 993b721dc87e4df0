import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lighthouse.cli.text import age, safe, safe_line, size

# A loaded machine may be slow to draw examples; these tests judge results, not time.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@unhurried
@given(st.text())
def test_nothing_that_steers_a_terminal_passes(text):
    assert safe(text).isprintable()


@unhurried
@given(st.text(alphabet=st.characters(codec="ascii", exclude_categories=["Cc"])))
def test_plain_text_stays_as_it_is(text):
    assert safe(text) == text


def test_escapes_are_shown():
    assert safe("a\x1b[2Jb\n\u202e") == "a\\x1b[2Jb\\n\\u202e"


def test_a_log_line_keeps_its_tabs():
    assert safe_line("a\tb\x07") == "a\tb\\x07"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (59.9, "59s"),
        (60, "1m 00s"),
        (3599, "59m 59s"),
        (3600 * 3 + 300, "3h 05m"),
        (86400 * 2 + 3600, "2d 01h"),
        (-3, "0s"),
        (None, "-"),
        ("x", "-"),
        (True, "-"),
        (float("nan"), "-"),
        (float("inf"), "11574074d 01h"),
    ],
)
def test_ages_have_the_units_of_people(seconds, text):
    assert age(seconds) == text


def test_sizes_are_in_mib():
    assert size(3 * 2**20 // 2) == "1.5 MiB"
    assert size(None) == "-"
