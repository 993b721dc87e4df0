"""What the built-in checks accept as configuration, and the deadline's arithmetic."""

import ssl

import pytest

from lighthouse.checks.deadline import Deadline
from lighthouse.checks.exchange import explained
from lighthouse.checks.http import HTTPCheck
from lighthouse.checks.tcp import TCPCheck
from lighthouse.errors import ConfigError


@pytest.mark.parametrize("uri", ["/", "/health?deep=1", "/a%20b"])
def test_a_path_is_a_uri(uri):
    HTTPCheck.validate_config({"uri": uri, "https": False, "method": "GET"})


@pytest.mark.parametrize("uri", ["", "health", "http://127.0.0.1/", "/a b", "/a\r\nX: y", "/ä", "/\x7f"])
def test_what_is_not_a_path_is_refused(uri):
    with pytest.raises(ConfigError) as refused:
        HTTPCheck.validate_config({"uri": uri, "https": False, "method": "GET"})
    assert refused.value.key == ("uri",)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("config", [{}, {"query": None, "response": None}, {"query": "PING\r\n", "response": "+PONG"}])
def test_query_and_response_come_together(config):
    TCPCheck.validate_config(config)


def test_an_empty_query_waits_for_a_greeting():
    TCPCheck.validate_config({"query": "", "response": "220"})


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"query": "PING"}, "response"),
        ({"query": "PING", "response": ""}, "response"),
        ({"response": "PONG"}, "query"),
        ({"query": "PING", "response": "x" * 70000}, "response"),
    ],
)
def test_one_without_the_other_is_refused(config, key):
    with pytest.raises(ConfigError) as refused:
        TCPCheck.validate_config(config)
    assert refused.value.key == (key,)


def test_a_deadline_counts_down_and_then_raises():
    now = [100.0]
    deadline = Deadline(2.0, clock=lambda: now[0])
    assert deadline.remaining() == 2.0
    now[0] = 101.5
    assert deadline.remaining() == 0.5
    now[0] = 102.0
    with pytest.raises(TimeoutError, match="within 2 s"):
        deadline.remaining()


def test_an_explanation_is_one_safe_line():
    assert explained(TimeoutError("timed out"), 1.5) == "no complete answer within 1.5 s"
    assert explained(ConnectionRefusedError(111, "Connection refused"), 1) == "Connection refused"
    assert explained(ssl.SSLError(1, "wrong version"), 1) == "wrong version"
    assert explained(UnicodeError("label \x1b[2J\n too long"), 1).isprintable()
