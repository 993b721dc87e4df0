"""Servers that lines name keep a line when their member has left."""

import pytest

from lighthouse.haproxy.arrange import arranged, refilled
from lighthouse.haproxy.change import Kind
from lighthouse.haproxy.document import Document, parse
from lighthouse.haproxy.drain import leaving
from lighthouse.haproxy.ids import id_of
from lighthouse.haproxy.member import Member
from lighthouse.haproxy.planner import plan
from lighthouse.haproxy.running import Admin, Checking, Running, Server
from lighthouse.haproxy.stanzas.section import Section

A, B = Member("a:1", "10.0.0.1", 1), Member("b:1", "10.0.0.2", 1)
RULE = "use-server a:1 if TRUE"
MAINT, HERE = Admin.FORCED_MAINT, ("10.0.0.1", 1)
FREE = ("127.0.0.1", 1)


def document(*members, lines=(RULE,), template="", more=()):
    head = Section("global", ("stats socket /s",)), Section("defaults")
    return Document(("# head",), (*head, Section("backend web", lines, template, members), *more))


def running(**servers):
    return Running("s", servers={"web": {f"{name}:1": server for name, server in servers.items()}}, version="2.6.12")


def made(wanted, base=None, now=None):
    return arranged(wanted, base, now or running(), lambda _: None)


def kinds(wanted, now, expired=()):
    return [step.kind for step in plan(wanted, now, (), expired).steps]


@pytest.mark.parametrize("template", ["", "check track x/y", "disabled"])
def test_the_line_stays_and_is_read_back(template):
    base = document(A, B, template=template)
    gone = made(document(B, template=template), base)
    assert gone.section("backend web").held == ("a:1",)
    assert f"\tserver a:1 127.0.0.1:1 id {id_of('a:1')} disabled{template and ' '}{template}\n" in gone.text()
    again = parse(gone.text())
    assert (again, again.skeleton) == (gone, base.skeleton)
    assert made(document(B, template=template), again) == gone, "also from a file that has it so already"
    assert refilled(base, document(B, template=template), running()) == gone
    assert made(document(A, B, template=template), again).section("backend web").held == ()


def test_who_has_it():
    """Other sections may name it; it must have been there, and be ours."""
    other = Section("frontend x:in", ("http-request deny if { srv_is_up(web/a:1) }",))
    assert made(document(B, lines=(), more=(other,)), document(A, lines=())).section("backend web").held == ("a:1",)
    assert made(document(B)).section("backend web").held == ()
    assert made(document(B), None, running(a=Server(*HERE))).section("backend web").held == ("a:1",), "the file is lost"
    assert made(document(B, lines=()), document(A)).section("backend web").held == ()
    pinned = ('server "a:1" 10.0.0.9:1', RULE)
    assert made(document(B, lines=pinned), document(B, lines=pinned)).section("backend web").held == ()
    assert document(lines=pinned).section("backend web").filled((A, B)).members == (B,)
    fixed = ("balance source", RULE)
    assert made(document(B, lines=fixed), document(A, lines=fixed)).section("backend web").held == (), (
        "it has no such server"
    )


def test_who_is_missing_decides_about_the_question():
    assert document(A).question == document(A, B).question == document(A).skeleton
    assert document(B).question == f"{document(A).skeleton} web/a:1"
    assert made(document(B), document(A)).question == document(A).skeleton


def test_it_leaves_like_from_a_slot_and_comes_back():
    gone, b = made(document(B), document(A, B)), Server("10.0.0.2", 1)
    section = gone.known(())
    assert kinds(gone, running(a=Server(*HERE), b=b)) == [Kind.LEAVE]
    busy = running(a=Server(*HERE, admin=MAINT, sessions=1), b=b)
    assert kinds(gone, busy) == []
    assert leaving(section, busy.servers)
    assert kinds(gone, busy, {("web", "a:1")}) == [Kind.CUT]
    idle = running(a=Server(*HERE, admin=MAINT, sessions=0), b=b)
    assert kinds(gone, idle) == [Kind.FREE]
    assert not leaving(section, idle.servers)
    assert kinds(gone, running(a=Server(*FREE, admin=MAINT), b=b)) == []


@pytest.mark.parametrize("agent", [Checking.CONFIGURED, Checking.CONFIGURED | Checking.ENABLED])
def test_with_an_agent_it_comes_back_too(agent):
    wanted = document(A, template="agent-check agent-port 9")
    [step] = plan(wanted, running(a=Server(*FREE, admin=MAINT, agent=agent))).steps
    assert "set server web/a:1 state ready" in step.commands
    left = running(a=Server(*HERE, admin=MAINT, agent=Checking.CONFIGURED))
    assert kinds(wanted, left) == [Kind.READY], "one that was leaving has no agent at work"
    assert kinds(wanted, running(a=Server(*HERE, admin=MAINT, agent=Checking.CONFIGURED | Checking.ENABLED))) == []
