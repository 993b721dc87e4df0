"""What a log line looks like, and what it can never contain."""

import io
import logging
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighthouse.log import ContextFilter
from lighthouse.log.cli import CLIHandler
from lighthouse.log.formatter import LineFormatter, escaped


def record(message, *args, level=logging.INFO, exc_info=None):
    return logging.LogRecord("some.logger", level, __file__, 1, message, args, exc_info)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@given(st.text(st.characters(codec=None)))
def test_escaped_text_cannot_steer_a_terminal(text):
    safe = escaped(text)
    assert all(char.isprintable() or char in "\n\t" for char in safe)
    assert safe.count("\n") == text.count("\n")


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_ordinary_text_is_left_alone(text):
    assert escaped(text) == text


@pytest.mark.parametrize("char", ["\x1b", "\r", "\x9b", "\u202e", "\u2028", "\x07", "\x7f", "\x00"])
def test_known_troublemakers_are_escaped(char):
    assert char not in escaped(f"a{char}b")


def test_a_line_has_time_level_process_logger_and_message():
    line = LineFormatter().format(record("hello %s", "\x1b[31mworld\nsecond"))
    pattern = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d{4} I \d+ some\.logger: hello \\x1b\[31mworld\nsecond"
    assert re.fullmatch(pattern, line)


def test_a_traceback_keeps_its_lines():
    try:
        raise ValueError("bad \x1b]0;title\x07")
    except ValueError:
        line = LineFormatter().format(record("failed", exc_info=sys.exc_info()))
    assert "\nTraceback (most recent call last):\n" in line
    assert line.endswith("ValueError: bad \\x1b]0;title\\x07")


def test_the_filter_names_the_program(monkeypatch):
    monkeypatch.setattr(ContextFilter, "program", "checker/web")
    marked = record("x")
    assert ContextFilter().filter(marked)
    assert logging.Formatter("%(program)s %(message)s").format(marked) == "checker/web x"


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL, 5])
def test_on_a_terminal_the_head_is_coloured_and_the_message_is_escaped(level):
    stream = Terminal()
    CLIHandler(stream).emit(record("hostile \x1b[2J", level=level))
    text = stream.getvalue()
    assert text.endswith(" hostile \\x1b[2J\n")
    letter = logging.getLevelName(level)[0]
    assert re.search(rf"\[[^\]]+ {letter}\]\x1b\[0m\x1b\[\d+m\[MainThread\]\x1b\[0m ", text)


def test_on_a_terminal_a_traceback_follows():
    stream = Terminal()
    try:
        raise ValueError("\x1bbad")
    except ValueError:
        CLIHandler(stream).emit(record("failed", exc_info=sys.exc_info()))
    assert stream.getvalue().endswith("ValueError: \\x1bbad\n")


def test_elsewhere_the_configured_format_counts():
    stream = io.StringIO()
    handler = CLIHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s/%(message)s"))
    handler.emit(record("plain"))
    assert stream.getvalue() == "INFO/plain\n"
