"""What HAProxy refused is not asked again at once, but again some time later."""

from lighthouse.haproxy.refusals import RETRY, Refusal, Refusals


def test_a_refusal_is_remembered_for_its_key_and_a_time():
    now = [100.0]
    refusals = Refusals(lambda: now[0])
    refusals.remember("x", Refusal("why"))
    assert refusals.get("x").reason == "why"
    assert refusals.get("y") is None
    now[0] += 10
    refusals.remember("y", Refusal("other", {"web": "bad"}))
    assert refusals.get("x").reason == "why"
    assert refusals.retry_in("x") == RETRY - 10
    now[0] += RETRY - 10
    assert refusals.get("x") is None
    assert refusals.get("y").apart == {"web": "bad"}
    assert refusals.retry_in("x") == 0


def test_all_can_be_hastened_when_nothing_else_can_be_done():
    refusals = Refusals(lambda: 0.0)
    refusals.remember("x", Refusal("why"), 2)
    refusals.remember("y", Refusal("why"))
    refusals.hasten(5)
    assert (refusals.retry_in("x"), refusals.retry_in("y")) == (2, 5)


def test_what_works_clears_it():
    refusals = Refusals(lambda: 0.0)
    refusals.remember("x", Refusal("why"))
    refusals.forget()
    assert refusals.get("x") is None


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
        refusals.remember("x", Refusal("why"))
        assert refusals.get("x").reason == "why"
        change()
        assert (refusals.get("x"), refusals.retry_in("x")) == (None, 0)
    refusals.get("x")
    file.write_text("changed while it was judged")
    refusals.remember("x", Refusal("why"))
    assert refusals.get("x") is None
