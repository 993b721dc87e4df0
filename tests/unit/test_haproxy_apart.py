"""What is set apart of a configuration that HAProxy refuses, and what stays in its place: pure, the judge is a function."""

import pytest

from lighthouse.haproxy.document import Document
from lighthouse.haproxy.errors import RejectedError
from lighthouse.haproxy.search import judge_apart
from lighthouse.haproxy.stanzas.section import Section


def section(header, *lines):
    return Section(header, lines, "" if header.startswith("backend ") else None)


def document(*sections):
    return Document((), (section("global"), *sections))


def refusing(word, *, named=True):
    """A judge that refuses what has a line with `word`, and says in which section, or does not."""

    def judge(made):
        bad = [item.header for item in made.sections if any(word in line for line in item.lines)]
        return RejectedError("no", dict.fromkeys(bad, "no") if named else {}) if bad else None

    return judge


def test_a_cluster_whose_last_good_lines_are_refused_too_is_left_out_at_a_start_only():
    """While HAProxy runs it serves, and nothing is saved."""
    good, other = document(section("backend web", "bad"), section("backend db")), section("backend db", "new")
    wanted = document(section("backend web", "new bad"), other)
    verdict = judge_apart(wanted, good, refusing("bad"))
    assert (verdict.document, verdict.apart, verdict.reason) == (None, {}, "no")
    verdict = judge_apart(wanted, good, refusing("bad"), drop=True)
    assert (verdict.document, verdict.apart) == (document(other), {"web": "no"})


def test_a_cluster_that_loses_its_port_and_gets_a_bad_line_keeps_its_frontend():
    web = section("frontend web:in", "bind 127.0.0.1:81", "default_backend web"), section("backend web", "old")
    wanted = document(section("backend db"), section("backend web", "bad"))
    verdict = judge_apart(wanted, document(*web), refusing("bad"))
    assert set(verdict.document.sections) == {*document(*web).sections, section("backend db")}
    assert verdict.apart == {"web": "no"}


@pytest.mark.parametrize("line", ["default_backend web", "use_backend web if { path / }"])
def test_whoever_leads_to_a_cluster_that_is_left_out_gets_an_answer(line):
    """Its backend is there, empty: 503. A name that leads nowhere would have HAProxy refuse everything."""
    meta = section("frontend m:in", "bind 127.0.0.1:81", line)
    verdict = judge_apart(document(meta, section("backend web", "bad")), document(), refusing("bad"))
    assert verdict.document == document(meta, section("backend web"))
    assert verdict.apart == {"web": "no"}


def rules(name, path):
    return f"acl is_{name} {path}", f"use_backend {name} if is_{name}"


def test_a_bad_rule_of_a_meta_cluster_costs_the_cluster_that_it_is_for():
    """HAProxy names the frontend; its own lines come into force, and so do the rules of the others."""
    backends = section("backend a"), section("backend b")
    good = document(section("frontend m:in", *rules("a", "path /a"), *rules("b", "path /b")), *backends)
    meta = section("frontend m:in", "maxconn 9", *rules("a", "bad"), *rules("b", "path /c"))
    verdict = judge_apart(document(meta, *backends), good, refusing("bad"))
    assert verdict.apart == {"a": "no"}
    expected = ("maxconn 9", *rules("a", "path /a"), *rules("b", "path /c"))
    assert verdict.document.section("frontend m:in").lines == expected


@pytest.mark.parametrize("header", ["listen p", "frontend m:in", "global"])
def test_a_fault_that_is_not_named_is_put_on_no_cluster_without_which_it_stays(header):
    """All clusters that changed are left as they were: if it is refused all the same, none of them is to blame."""
    old = [section("backend a"), section("backend b"), section("listen p"), section("frontend m:in")]
    changed = {header: section(header, "bad")} | {item.header: section(item.header, "new") for item in old[:2]}
    wanted = [changed.get(item.header, item) for item in document(*old).sections]
    verdict = judge_apart(Document((), tuple(wanted)), document(*old), refusing("bad", named=False))
    assert set(verdict.apart) == {header} - {"global"}
    assert (verdict.document is None) == (header == "global")
