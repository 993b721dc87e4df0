"""The plan on its way from a process in which plugins ran: exactly its shape, or refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighthouse.plan import File, FileState, Plan, ServicePlan, WorkerSpec
from lighthouse.settings import Settings

PLAN = Plan(
    workers={"checker/web": WorkerSpec("checker/web", "checker", "abc")},
    clusters={"web": "dir"},
    services={"web": ServicePlan("dir", (8001,))},
    files={"services/web.yaml": File(FileState.HELD, "services/web.yaml:1: empty")},
    watch=("/etc/lighthouse",),
    fingerprint="f",
    settings=Settings().to_mapping(),
)


def test_it_survives_the_wire():
    assert Plan.from_mapping(PLAN.to_mapping()) == PLAN


def test_settings_that_are_absent_have_their_defaults():
    data = {**PLAN.to_mapping(), "settings": {"hold": 5.0}}
    assert Plan.from_mapping(data).settings == {**Settings().to_mapping(), "hold": 5.0}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("workers", []),
        ("workers", {"checker/web": ["checker"]}),
        ("workers", {"checker/web": ["checker", 5]}),
        ("workers", {"checker/web": ["planner", "abc"]}),
        ("clusters", {"web": None}),
        ("services", {"web": ["dir", ["8001"]]}),
        ("files", {"a": ["fine", None]}),
        ("files", {"a": ["ok", 5]}),
        ("watch", [b"/etc"]),
        ("fingerprint", None),
        ("settings", {"hold": "long"}),
        ("settings", {"hold": True}),
        ("settings", {"heartbeat": 5}),
        ("settings", {"heartbeat": {"interval": None}}),
        ("settings", None),
    ],
)
def test_any_other_shape_is_refused(key, value):
    with pytest.raises(ValueError, match="not a plan"):
        Plan.from_mapping({**PLAN.to_mapping(), key: value})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_random_data_is_refused(value):
    with pytest.raises(ValueError, match="not a plan"):
        Plan.from_mapping(value)
