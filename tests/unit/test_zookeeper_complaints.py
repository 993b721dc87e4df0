"""What the client library logs, in words that an operator can act on."""

import logging

import pytest

from lighthouse.zookeeper.complaints import silent, told


@pytest.mark.parametrize(
    ("warning", "host", "reason"),
    [
        ("Connection dropped: socket connection error: Connection refused", "", "Connection refused"),
        ("Connection dropped: socket connection broken", "", "it hung up"),
        ("Connection dropped: outstanding heartbeat ping not received", "", "it does not answer any more"),
        ("Connection time-out: socket time-out during read", "", "it takes the connection and does not answer"),
        ("Cannot resolve zk1: [Errno -2] Name or service not known", "zk1", "cannot be resolved: Name or service"),
        ("AUTH_FAILED closing: Connection dropped in SASL", "", "look at `auth`"),
        ("Session has expired", "", "a new one begins"),
        ("Something new\n\x1b[31m", "", "Something new\\n\\x1b[31m"),
    ],
)
def test_a_warning_becomes_a_reason(warning, host, reason):
    assert told(warning)[0] == host
    assert reason in told(warning)[1]
    assert not any(word in told(warning)[1] for word in ("Errno", "AUTH_FAILED", "dropped", "time-out"))


def test_what_says_nothing_is_not_told_and_an_error_only_by_its_name():
    heard = []
    logger = silent(lambda *words: heard.append(words))
    logger.warning("Transition to CONNECTING")
    logger.warning("Connection dropped: %s", "socket connection broken")
    try:
        raise ValueError("hush")
    except ValueError:
        logger.exception("Exception raised during deserialization of request: %s", "hush")
    assert [host for host, _ in heard] == ["", ""]
    assert heard[1] == ("", "the client library failed: ValueError")
    assert not logging.getLogger("lighthouse.zookeeper.kazoo").handlers
