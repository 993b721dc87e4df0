"""From the services' configuration and their states to what is announced."""

import socket

import pytest

from lighthouse.advertise import Choice
from lighthouse.discovery import Wanted
from lighthouse.errors import LighthouseError
from lighthouse.workers import announcing
from lighthouse.workers.announcing import Addresses, announcements, find_addresses


def config(*services, **keys):
    return {"name": "registry", "hostname": "host1", "advertise": [], **keys, "services": list(services)}


def service(name, *ports, advertise=()):
    return {"name": name, "ports": list(ports), "host": "::1", "metadata": {}, "advertise": list(advertise)}


@pytest.fixture
def resolver(monkeypatch):
    """What the host's name resolves to; an exception is raised."""
    answers = []

    def getaddrinfo(host, port, **_):
        if isinstance(answers[0], Exception):
            raise answers[0]
        return [(0, 0, 0, "", (ip, 0)) for ip in answers]

    monkeypatch.setattr(announcing.socket, "getaddrinfo", getaddrinfo)
    return answers


@pytest.mark.parametrize(
    ("answers", "ip"),
    [
        (["2001:db8::1", "192.0.2.1"], "192.0.2.1"),
        (["127.0.1.1", "192.0.2.1"], "192.0.2.1"),
        (["2001:db8::1"], "2001:db8::1"),
    ],
)
def test_without_rules_the_host_has_the_address_of_its_name(resolver, answers, ip):
    resolver[:] = answers
    found = find_addresses(config(service("web", 80)))
    assert found == Addresses("host1", {"web": Choice(ip, "the address of host1")})


@pytest.mark.parametrize(
    ("answers", "text"),
    [
        (["127.0.1.1"], "host1 is 127.0.1.1, where no other host reaches this one: set `advertise`"),
        ([socket.gaierror(-2, "Name or service not known")], "the address of host1 is not known"),
    ],
)
def test_a_name_that_others_cannot_use_is_told_with_the_remedy(resolver, answers, text):
    resolver[:] = answers
    found = find_addresses(config(service("web", 80), service("own", 81, advertise=["192.0.2.5"])))
    assert found.services == {"own": Choice("192.0.2.5", "192.0.2.5")}
    (problem,) = found.problems
    assert problem.startswith("web cannot be announced: ")
    assert text in problem


def test_a_rule_finds_a_real_interface_and_never_its_loopback_address():
    (problem,) = find_addresses(config(service("web", 80), advertise=["lo"])).problems
    assert "'lo'" in problem


def test_what_was_known_outlives_a_failing_look():
    before = Addresses("host1", {"web": Choice("192.0.2.1", "eth0")})
    assert Addresses("host1", {}, ("gone",)).after(before).services == before.services
    assert Addresses("host2", {}).after(before).services == {}, "another name makes other announcements"
    newer = {"web": Choice("192.0.2.9", "eth0")}
    assert Addresses("host1", newer).after(before).services == newer


def test_a_resolver_that_fails_gives_no_other_name(monkeypatch):
    monkeypatch.setattr(announcing, "own_name", _failing)
    with pytest.raises(LighthouseError, match="full name"):
        find_addresses(config(service("web", 80, advertise=["192.0.2.5"]), hostname=None))


def _failing():
    raise LighthouseError("the full name of this host is not known")


def test_what_is_reported_is_what_the_next_generation_begins_with():
    known = Addresses("host1", {"web": Choice("192.0.2.1", "eth0")})
    assert Addresses.reported(known.report()) == known
    assert Addresses.reported(Addresses("").report()) is None


def test_each_port_is_announced_as_it_is_and_held_where_nothing_is_known():
    known = Addresses("host1", {"web": Choice("2001:db8::1", "inet6")})
    made = announcements(
        config(service("web", 80, 81), service("lost", 90)), {"web": {"80": "up"}, "lost": {"90": "up"}}, known
    )
    assert [(item.service.name, item.port, item.wanted) for item in made] == [
        ("web", 80, Wanted.UP),
        ("web", 81, Wanted.HOLD),
        ("lost", 90, Wanted.HOLD),
    ]
    assert made[0].node.ip == made[0].node.peer.ip == made[0].service.ip == "2001:db8::1"


def test_a_port_that_is_down_is_withdrawn_though_no_address_is_known():
    (item,) = announcements(config(service("web", 80)), {"web": {"80": "down"}}, Addresses("host1"))
    assert item.wanted is Wanted.DOWN
