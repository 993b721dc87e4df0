"""What `lighthouse plan` prints, and its exit code."""

import json

import pytest
from click.testing import CliRunner

from lighthouse.cli import plan as command
from lighthouse.cli.plan_text import document, exit_code, lines


def effect(way, where="backend web", what="does something"):
    return {"way": way, "where": where, "what": what}


def answer(*effects, files=None, error=None, notes=(), **more):
    own = {"effects": list(effects), "notes": list(notes), "error": error}
    return {"files": files or {}, "balancers": {"haproxy": own, **more}, "notes": []}


def printed(found, notes=(), running=()):
    return list(lines(document(found, notes, running)))


@pytest.mark.parametrize(
    ("effects", "code", "summary"),
    [
        ((), 0, "plan: nothing would change"),
        (("runtime", "runtime"), 3, "plan: 2 at run time"),
        (("runtime", "reload"), 4, "plan: 1 by a reload, 1 at run time"),
        (("start",), 4, "plan: 1 to start"),
        (("reload", "refused"), 1, "plan: 1 refused, 1 by a reload"),
    ],
)
def test_codes_and_summaries(effects, code, summary):
    found = document(answer(*map(effect, effects)), (), ())
    assert exit_code(found) == code
    assert list(lines(found))[-1] == summary


def test_the_worst_comes_first_and_columns_stand_below_each_other():
    found = answer(effect("runtime"), effect("reload", "frontend web", "is new"), effect("refused", "cluster x", "why"))
    assert printed(found)[:-1] == [
        "refused  cluster x     why",
        "reload   frontend web  is new",
        "runtime  backend web   does something",
    ]


def test_refused_files():
    files = {
        "clusters/a.yaml": {"state": "held", "error": "clusters/a.yaml:1: bad\nclusters/a.yaml:2: worse"},
        "clusters/b.yaml": {"state": "refused", "error": "clusters/b.yaml:7: wrong"},
        "clusters/c.yaml": {"state": "ok", "error": None},
    }
    found = document(answer(files=files), (), ())
    assert exit_code(found) == 1
    assert list(lines(found)) == [
        "refused  clusters/a.yaml:1: bad (its last good version stays)",
        "refused  clusters/a.yaml:2: worse",
        "refused  clusters/b.yaml:7: wrong (nothing of it is in force)",
        "plan: 2 refused",
    ]


def test_several_balancers():
    other = {"effects": [], "notes": [], "error": "it cannot tell"}
    found = document(answer(effect("runtime"), other=other), ("a note",), ("haproxy", "gone"))
    assert exit_code(found) == 1
    assert list(lines(found)) == [
        "haproxy:",
        "runtime  backend web  does something",
        "other:",
        "unknown  balancer other: it cannot tell",
        "note     a note",
        "note     balancer gone is not in this directory: what it wrote goes on as it is, and nobody keeps it right",
        "plan: 1 at run time, unknown for other",
    ]


def test_nothing_reaches_the_terminal_raw():
    assert "\x1b" not in "".join(printed(answer(effect("runtime", "a\x1b[31m", "b\nc"), notes=["\x1b"])))


def test_the_document(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "_known", lambda socket: command.Known())
    monkeypatch.setattr(command, "_asked", lambda directory, known: answer(effect("runtime")))
    result = CliRunner().invoke(command.plan, [str(tmp_path), "--json"])
    assert result.exit_code == 3
    assert json.loads(result.output)["changes"] == {"refused": 0, "start": 0, "reload": 0, "runtime": 1}


def test_what_is_no_line_of_ours_is_passed_over():
    out = b'noise\n{"at": "clusters/web.yaml"}\n[1]\n{"result": {"files": {}}}\n'
    assert command._read(out) == ({"result": {"files": {}}}, "clusters/web.yaml")
    assert command._read(b'{"at": "x"}\n{"res') == ({}, "x")
