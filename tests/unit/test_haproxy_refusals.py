"""What HAProxy refused is not asked again at once, but again some time later."""

from lighthouse.haproxy.refusals import RETRY, Refusals


def test_a_refusal_is_remembered_for_its_skeleton_and_a_time():
    now = [100.0]
    refusals = Refusals(lambda: now[0])
    refusals.remember("x", "why")
    assert refusals.reason("x") == "why"
    assert refusals.reason("y") is None
    now[0] += RETRY
    assert refusals.reason("x") is None


def test_what_works_clears_it():
    refusals = Refusals(lambda: 0.0)
    refusals.remember("x", "why")
    refusals.forget()
    assert refusals.reason("x") is None
