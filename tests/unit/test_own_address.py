"""A resolver that fails, hangs or is asked twice: what is known stays."""

from types import SimpleNamespace

import pytest

from lighthouse.advertise import Choice
from lighthouse.errors import LighthouseError
from lighthouse.ipc.messages import pack
from lighthouse.workers.announcing import Addresses
from lighthouse.workers.lanes import Outcome
from lighthouse.workers.own_address import LANE, OwnAddress

KNOWN = Addresses("web-17.example.net", {"web": Choice("192.0.2.1", "the address of web-17.example.net")})


class Runtime:
    """Keeps the calls, answers them when told, and fires the timer."""

    def __init__(self):
        self.calls = []
        self.timer = None
        self.abandoned = []
        self.lanes = SimpleNamespace(abandon=self.abandoned.append)

    def call(self, _name, _function, done, *, lane, allowed):
        assert lane == LANE
        self.calls.append(done)

    def after(self, delay, function, *, name):
        assert name == LANE
        self.timer = function

    def cancel(self, name):
        assert name == LANE
        self.timer = None

    def answer(self, value=None, error=None, index=-1):
        self.calls[index](Outcome(value, error))


@pytest.fixture
def looks():
    """Counts the times that the job was told of a look."""
    return []


@pytest.fixture
def own(looks):
    own = OwnAddress(Runtime(), lambda: looks.append(1))
    own.configure(config("web"))
    return own


def config(*services, hostname=None):
    items = [{"name": name, "ports": [80], "advertise": []} for name in services]
    return {"hostname": hostname, "advertise": [], "services": items}


def test_a_failing_look_changes_nothing_and_is_made_again(own):
    own._runtime.answer(KNOWN)
    assert (own.addresses, own.problem) == (KNOWN, None)
    own._runtime.timer()
    own._runtime.answer(error=LighthouseError("the full name is not known"))
    assert (own.addresses, own.problem) == (KNOWN, "the full name is not known")
    own._runtime.timer()
    own._runtime.answer(KNOWN)
    assert (own.addresses, own.problem) == (KNOWN, None)


def test_a_look_that_hangs_is_told_of_and_still_waited_for(own, looks):
    own._runtime.timer()
    assert "has not told the address" in own.problem
    assert len(looks) == 1
    assert len(own._runtime.calls) == 1, "one thread that hangs is enough"
    own._runtime.answer(KNOWN)
    assert (own.addresses, own.problem) == (KNOWN, None)


def test_another_configuration_does_not_wait_for_a_look_that_hangs(own):
    own.configure(config("web", hostname="other"))
    assert own._runtime.abandoned == [LANE, LANE]
    other = Addresses("other", KNOWN.services)
    own._runtime.answer(other)
    own._runtime.answer(KNOWN, index=0)
    assert own.addresses == other, "what comes late belongs to the configuration of before"


def test_the_next_generation_begins_with_what_was_known(own):
    own.remember(pack({**KNOWN.report(), "complete": True}))
    assert own.addresses == KNOWN
    own._runtime.answer(error=LighthouseError("away"))
    assert own.addresses == KNOWN


@pytest.mark.parametrize("report", [b"", b"\xc1", pack([]), pack({}), pack({"hostname": "h", "addresses": {"web": 7}})])
def test_a_report_of_nonsense_is_as_none(own, report):
    own.remember(report)
    assert own.addresses is None


def test_at_the_end_a_first_look_is_waited_for_only_if_all_hangs_on_it(own):
    own.stop(wait=True)
    assert own._runtime.abandoned == [LANE], "the first look is waited for"
    assert own.pending
    own._runtime.answer(KNOWN)
    assert not own.pending
    own._runtime.timer()
    assert not own.pending, "it is known"
    own.stop(wait=True)
    assert own._runtime.abandoned == [LANE] * 3
    assert own._runtime.timer is None


def test_at_the_end_nothing_else_is_waited_for(own):
    own.stop(wait=False)
    assert own._runtime.abandoned == [LANE] * 2
    assert not own.pending


def test_without_a_service_nobody_asks():
    own = OwnAddress(Runtime(), lambda: None)
    own.configure(config())
    assert own._runtime.calls == []
