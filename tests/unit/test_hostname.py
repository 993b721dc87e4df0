"""The name of this host, from what the resolver says or fails to say."""

import socket

import pytest

from lighthouse import hostname
from lighthouse.errors import LighthouseError
from lighthouse.hostname import own_name


@pytest.fixture
def resolver(monkeypatch):
    """What the resolver answers for the kernel's name `web-17`; an exception is raised."""
    answers = []

    def gethostbyaddr(name):
        assert name == "web-17"
        if isinstance(answers[0], Exception):
            raise answers[0]
        return answers[0], answers[1:], ["192.0.2.1"]

    monkeypatch.setattr(hostname.socket, "gethostname", lambda: "web-17")
    monkeypatch.setattr(hostname.socket, "gethostbyaddr", gethostbyaddr)
    return answers


@pytest.mark.parametrize(
    ("answers", "name"),
    [
        (["web-17.example.net", "web-17"], "web-17.example.net"),
        (["web-17", "web-17.example.net"], "web-17.example.net"),
        (["web-17"], "web-17"),
        (["localhost", "localhost.localdomain", "web-17.example.net"], "web-17.example.net"),
        (["localhost", "localhost.localdomain"], "web-17"),
        ([socket.gaierror(socket.EAI_NONAME, "Name or service not known")], "web-17"),
        ([socket.herror(1, "Unknown host")], "web-17"),
    ],
)
def test_the_full_name_is_taken_where_there_is_one(resolver, answers, name):
    resolver[:] = answers
    assert own_name() == name


@pytest.mark.parametrize(
    "failure",
    [
        socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
        socket.gaierror(socket.EAI_FAIL, "Non-recoverable failure in name resolution"),
        socket.herror(2, "Host name lookup failure"),
        OSError(24, "Too many open files"),
    ],
)
def test_a_resolver_that_fails_is_no_reason_for_another_name(resolver, failure):
    resolver[:] = [failure]
    with pytest.raises(LighthouseError, match="set `hostname`"):
        own_name()
