"""Which address a host announces: the rules and the choice."""

import pytest

from lighthouse.advertise import Choice, choose, needs_interfaces, usable, wrong
from lighthouse.errors import LighthouseError

HOST = {
    "lo": ["127.0.0.1", "::1"],
    "eth0": ["192.0.2.17", "192.0.2.18", "fe80::1%eth0", "2001:db8::17", "2001:db8::18"],
    "eth1": ["10.1.2.3", "fe80::2"],
    "docker0": ["172.17.0.1"],
}


@pytest.mark.parametrize(
    ("rules", "ip", "rule"),
    [
        (["198.51.100.9"], "198.51.100.9", "198.51.100.9"),
        (["127.0.0.1"], "127.0.0.1", "127.0.0.1"),
        (["2001:DB8:0::9"], "2001:db8::9", "2001:DB8:0::9"),
        (["eth0"], "192.0.2.17", "eth0"),
        (["eth0[1]"], "192.0.2.18", "eth0[1]"),
        (["eth0:inet"], "192.0.2.17", "eth0:inet"),
        (["eth0:inet6"], "2001:db8::17", "eth0:inet6"),
        (["eth0:inet6[1]"], "2001:db8::18", "eth0:inet6[1]"),
        (["10.0.0.0/8"], "10.1.2.3", "10.0.0.0/8"),
        (["2001:db8::/32"], "2001:db8::17", "2001:db8::/32"),
        (["inet"], "192.0.2.17", "inet"),
        (["inet6"], "2001:db8::17", "inet6"),
        (["bond0", "eth0[7]", "203.0.113.0/24", "eth1"], "10.1.2.3", "eth1"),
    ],
)
def test_the_first_rule_that_gives_an_address_decides(rules, ip, rule):
    assert choose(rules, HOST) == Choice(ip, rule)


@pytest.mark.parametrize("rule", ["lo", "127.0.0.0/8", "::1/128", "eth1:inet6", "fe80::/10", "eth9"])
def test_what_others_cannot_reach_is_never_found(rule):
    with pytest.raises(LighthouseError, match=r"eth0: 192\.0\.2\.17") as caught:
        choose([rule], HOST)
    assert rule in str(caught.value)


def test_a_host_without_an_address_is_told_so():
    with pytest.raises(LighthouseError, match="none that other hosts could reach"):
        choose(["inet"], {"lo": ["127.0.0.1"]})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a b",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "10.0.0.0/99",
        "web01.example.org",
        "eth0:inet7",
        "eth0[x]",
        "fe80::1%eth0",
        "..",
    ],
)
def test_what_is_no_rule_is_refused_with_its_place(text):
    ((place, remedy),) = wrong(text)
    assert place == ()
    assert remedy
    assert [place for place, _ in wrong(["eth0", text])] == [(1,)]


def test_what_is_a_rule_is_not_refused():
    assert list(wrong("eth0.100:inet6[3]")) == []
    assert list(wrong(["eth0", "10.0.0.0/8", "inet6"])) == []
    assert list(wrong(None)) == []
    assert list(wrong([])) == [((), "empty: list at least one rule, or remove the key")]


@pytest.mark.parametrize(("rules", "needed"), [(["192.0.2.1"], False), (["192.0.2.1", "eth0"], True), ([], False)])
def test_interfaces_are_asked_for_only_where_a_rule_needs_them(rules, needed):
    assert needs_interfaces(rules) is needed


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("127.0.1.1", False),
        ("::1", False),
        ("0.0.0.0", False),
        ("192.0.2.1", True),
        ("2001:db8::1", True),
        ("x", False),
    ],
)
def test_usable(text, good):
    assert usable(text) is good
