"""What stays of clusters that the configuration has no more, because others name it."""

import pytest

from lighthouse.haproxy.document import Document
from lighthouse.haproxy.errors import RejectedError
from lighthouse.haproxy.kept import in_place, still_named
from lighthouse.haproxy.mentions import mentions
from lighthouse.haproxy.quarantine import without
from lighthouse.haproxy.search import judge_apart
from lighthouse.haproxy.stanzas.section import Section


def section(header, *lines):
    return Section(header, lines, "" if header.startswith("backend ") and ":" not in header else None)


def document(*sections):
    return Document((), (section("global", "stats socket /s"), section("defaults"), *sections))


def headers(made):
    return [item.header for item in made.sections]


@pytest.mark.parametrize(
    ("line", "proxies", "peers", "servers"),
    [
        ("use_backend b if { path /b }", {"b"}, set(), set()),
        ("use_backend %[path,word(1,/)]", {"%[path,word(1,/)]", "1"}, set(), set()),
        ("default_backend 'b'", {"b"}, set(), set()),
        ("http-request track-sc0 src table b if TRUE", {"b"}, set(), set()),
        ("stick-table type ip size 1k peers b", set(), {"b"}, set()),
        ("http-request deny if { src,table_http_req_rate(b) gt 3 } { nbsrv(c) lt 1 }", {"b", "c"}, set(), set()),
        ("http-request deny if { sc_conn_rate(0,b) gt 3 }", {"0", "b"}, set(), set()),
        ("use-server x:80 if TRUE", set(), set(), {("", "x:80")}),
        ('use-server "x:80" if TRUE', set(), set(), {("", "x:80")}),
        ("check track b/x:80", {"b"}, set(), {("b", "x:80")}),
        ("default-server track x:80", set(), set(), {("", "x:80")}),
        ("acl up srv_is_up(b/x:80)", {"b"}, set(), {("b", "x:80")}),
        ("acl idle srv_conn(x:80) eq 0", {"x:80"}, set(), {("", "x:80")}),
        ("http-request set-header X use_backend # track b/x", set(), set(), set()),
        ("balance first # use_backend b", set(), set(), set()),
    ],
)
def test_what_a_line_names(line, proxies, peers, servers):
    told = mentions(line)
    assert (told.proxies, told.peers, told.servers) == (proxies, peers, servers)


def test_what_stays_may_name_more_that_stays():
    good = document(
        section("backend b", "stick on src table t:in", "stick-table type ip size 1k peers p"),
        section("backend other"),
        section("frontend t:in", "bind :1", "stick-table type ip size 1k", "default_backend other"),
        section("peers p", "peer me 127.0.0.1:1"),
    )
    user = section("frontend a:in", "use_backend b")
    kept = still_named([user], good)
    assert [item.section.header for item in kept] == ["backend b", "backend t:in", "peers p"]
    assert kept[1].section.lines == ("stick-table type ip size 1k",)
    assert still_named([user, *good.sections], good) == still_named([user], None) == []
    assert still_named([section("frontend a:in", "default_backend a")], good) == []


def test_the_order_stays():
    good = document(
        *map(section, ("frontend a:in", "frontend b:in", "backend a", "backend b", "backend c", "listen z"))
    )
    kept = [good.section("backend b"), good.section("frontend b:in")]
    rest = [item for item in good.sections if item not in kept]
    assert in_place(rest, kept, good) == list(good.sections)
    more = [*rest[:-2], section("backend bb"), *rest[-2:]]
    assert [item.header for item in in_place(more, kept, good)][-4:] == [
        "backend b",
        "backend bb",
        "backend c",
        "listen z",
    ]


def test_what_a_cluster_in_quarantine_names_stays_too():
    good = document(section("backend a", "use_backend b"), section("backend b"))
    wanted = document(section("backend a", "nonsense"))
    assert headers(without(wanted, good, {"a"}))[2:] == ["backend a", "backend b"]


def test_its_peers_know_this_host():
    peers = section("peers p", "peer me 127.0.0.1:1")
    good = document(section("backend p", "stick-table type ip size 1k peers p"), peers)
    named = without(good, good, ())
    head = Section("global", ("localpeer me", "stats socket /s"))
    good = Document((), (head, *named.sections[1:]))
    wanted = document(section("backend p", "stick-table type ip size 2k peers p"))
    made = without(wanted, good, {"p"})
    assert made == good
    stranger = Document((), (Section("global", ("localpeer you", "stats socket /s")), *wanted.sections[1:]))
    assert without(stranger, good, {"p"}).section("peers p").lines == ("disabled",)


def test_at_a_start_all_of_what_was_good_comes_before_parts_of_it():
    """What is refused beside a new line of everyone serves beside the old one."""
    good = document(section("backend a", "old"), section("backend c", "old"))
    wanted = Document(
        (), (section("global", "new"), *document(section("backend a", "new")).sections[1:], good.sections[-1])
    )

    def judge(made):
        together = made.section("backend c") and made.sections[0].lines == ("new",)
        return RejectedError("no", {"backend c": "no"}) if together else None

    for drop in (False, True):
        verdict = judge_apart(wanted, good, judge, drop=drop)
        assert (verdict.document, verdict.reason) == (None, "no")
    broken = Document((), (wanted.sections[0], *good.sections[1:]))
    assert headers(judge_apart(wanted, broken, judge, drop=True).document)[2:] == ["backend a"]
