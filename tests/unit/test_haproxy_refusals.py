"""What HAProxy refused is not asked again at once, but again some time later."""

import pytest

from lighthouse.haproxy.document import Document
from lighthouse.haproxy.ports import key_of
from lighthouse.haproxy.refusals import RETRY, Refusal, Refusals
from lighthouse.haproxy.stanzas.section import Section

KINDS = ("shapes", "loads", "listeners", "undecided", "reloads", "inclusions", "saves", "unjudged")


@pytest.mark.parametrize("name", KINDS)
def test_a_refusal_is_remembered_for_its_kind_and_key_and_a_time(name):
    now = [100.0]
    refusals = Refusals(lambda: now[0])
    kind = getattr(refusals, name)
    kind.remember("x", Refusal("why"))
    assert kind.get("x").reason == "why"
    assert kind.get("y") is None
    assert not any(getattr(refusals, other).get("x") for other in KINDS if other != name)
    now[0] += 10
    kind.remember("y", Refusal("other", {"web": "bad"}))
    assert kind.get("x").reason == "why"
    assert kind.retry_in("x") == RETRY - 10
    now[0] += RETRY - 10
    assert kind.get("x") is None
    assert kind.get("y").apart == {"web": "bad"}
    assert kind.retry_in("x") == 0


def test_all_can_be_hastened_when_nothing_else_can_be_done():
    refusals = Refusals(lambda: 0.0)
    refusals.shapes.remember("x", Refusal("why"), 2)
    for name in KINDS:
        getattr(refusals, name).remember("y", Refusal("why"))
    refusals.hasten(5)
    assert refusals.shapes.retry_in("x") == 2
    assert {getattr(refusals, name).retry_in("y") for name in KINDS} == {5}


def test_a_start_knows_only_what_goes_for_one():
    refusals = Refusals(lambda: 0.0)
    refusals.shapes.remember("x", Refusal("a file is gone"))
    assert refusals.of_shape("x") == (Refusal("a file is gone"), RETRY)
    assert refusals.of_shape("x", start=True) is None
    refusals.loads.remember("x", Refusal("it ended", final=True), 7)
    assert refusals.of_shape("x", start=True) == (Refusal("it ended", final=True), 7)
    assert refusals.of_shape("x")[0].reason == "a file is gone"


def test_what_is_seen_to_run_could_be_loaded_and_what_is_wrong_with_its_files_stays_so():
    refusals = Refusals(lambda: 0.0)
    fine = Section("frontend web:in", ("bind 127.0.0.1:81",))
    other = Section("frontend db:in", ("bind 127.0.0.1:82",))
    runs, more = Document((), (fine,)), Document((), (fine, other))
    for document in (runs, more):
        refusals.loads.remember(document.skeleton, Refusal("slow"))
        refusals.shapes.remember(document.skeleton, Refusal("a file is gone"))
    for section in (fine, other):
        refusals.listeners.remember(key_of(section, more), Refusal("slow"))
    refusals.loads.remember(f"{runs.skeleton} web/gone:80", Refusal("slow"))
    refusals.runs(runs)
    assert not refusals.loads.get(f"{runs.skeleton} web/gone:80"), (
        "the same, while a server that lines name was not there"
    )
    assert [bool(refusals.loads.get(item.skeleton)) for item in (runs, more)] == [False, True]
    assert [bool(refusals.listeners.get(key_of(item, more))) for item in (fine, other)] == [False, True]
    assert refusals.shapes.get(runs.skeleton), "or HAProxy would be asked about it at every sync"


def test_what_its_owner_may_have_put_right_is_looked_at_again(tmp_path):
    file, other = tmp_path / "base.cfg", tmp_path / "other.cfg"
    file.write_text("bad")
    refusals = Refusals(lambda: 0.0, [str(file), str(other)])
    for change in (
        lambda: file.write_text("good"),
        lambda: file.chmod(0o640),
        lambda: other.write_text("new"),
        other.unlink,
    ):
        for name in KINDS:
            getattr(refusals, name).remember("x", Refusal("why"))
        refusals.look()
        assert all(getattr(refusals, name).get("x") for name in KINDS)
        change()
        refusals.look()
        assert not any(getattr(refusals, name).get("x") or getattr(refusals, name).retry_in("x") for name in KINDS)
    file.write_text("changed while it was judged")
    refusals.shapes.remember("x", Refusal("why"))
    refusals.look()
    assert refusals.shapes.get("x") is None
