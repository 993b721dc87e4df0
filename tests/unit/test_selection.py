"""Which members a host uses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighthouse.node import Node
from lighthouse.selection import Selection, labels_of, select, zone_of


def node(number, **metadata):
    return Node(f"host{number}", f"192.0.2.{number}", 80, metadata)


FLEET = [
    node(1, zone="a", labels={"tier": "gold", "version": "1"}),
    node(2, zone="a", labels={"tier": "silver"}),
    node(3, zone="b", labels={"tier": "gold", "version": "2"}),
    node(4, zone="c"),
    node(5),
]


def names(found):
    return [item.host.removeprefix("host") for item in found.nodes]


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(), "12345"),
        (Selection({"tier": ("gold",)}), "13"),
        (Selection({"tier": ("gold", "silver")}), "123"),
        (Selection({"tier": ("gold",), "version": ("2", "3")}), "3"),
        (Selection({"tier": ("bronze",)}), ""),
        (Selection(zones=("a",)), "12"),
        (Selection(zones=("a",), minimum=2), "12"),
        (Selection(zones=("a",), minimum=3), "12345"),
        (Selection(zones=("a", "b"), minimum=3), "123"),
        (Selection(zones=("x", "c", "a"), minimum=1), "4"),
        (Selection(zones=("x",)), "12345"),
        (Selection({"tier": ("gold",)}, ("a",), 1), "1"),
        (Selection({"tier": ("gold",)}, ("a",), 2), "13"),
    ],
)
def test_labels_choose_and_zones_prefer(selection, expected):
    found = select(FLEET, selection)
    assert "".join(names(found)) == expected
    assert {item.name for item in FLEET} == {item.name for item in found.nodes} | found.left_out.keys()


def test_the_reason_is_told():
    left_out = select(FLEET, Selection({"tier": ("gold",)}, ("a",))).left_out
    assert left_out["host2:80"] == "label tier is not gold"
    assert left_out["host3:80"] == "not in zone a, which has enough members"


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"labels": {"tier": 3}}, "label tier is not gold; its record has label tier 3, which must be text"),
        (
            {"labels": "gold"},
            "label tier is not gold; its record has labels 'gold', which must be a mapping from names to text",
        ),
        ({"labels": {"other": 3}}, "label tier is not gold"),
        (
            {"labels": {"tier": "gold"}, "zone": 7},
            "not in zone a, which has enough members; its record has zone 7, which must be text",
        ),
        (
            {"labels": {"tier": ["\x1b"]}},
            "label tier is not gold; its record has label tier ['\\x1b'], which must be text",
        ),
    ],
)
def test_a_reason_names_what_is_of_another_shape(metadata, reason):
    found = select([*FLEET, node(9, **metadata)], Selection({"tier": ("gold",)}, ("a",)))
    assert found.left_out["host9:80"] == reason


@pytest.mark.parametrize("labels", [None, 5, "tier", ["tier"], {"tier": 5}, {"tier": ["gold"]}, {5: "gold"}])
def test_labels_of_another_shape_count_as_absent(labels):
    strange = node(9, labels=labels, zone=labels)
    assert labels_of(strange) == {}
    assert names(select([strange], Selection({"tier": ("gold",)}))) == []


def test_a_zone_of_another_shape_counts_as_absent():
    assert zone_of(node(9, zone=["a"])) is None


_LABELS = st.sampled_from(["a", "b", "c"])


@given(
    zones=st.lists(_LABELS, max_size=8),
    preferred=st.lists(_LABELS, unique=True, max_size=3),
    minimum=st.integers(0, 6),
)
def test_a_preference_never_leaves_fewer_than_the_minimum_or_all(zones, preferred, minimum):
    fleet = [node(number, zone=zone) for number, zone in enumerate(zones, 1)]
    found = select(fleet, Selection(zones=tuple(preferred), minimum=minimum))
    assert len(found.nodes) == len(fleet) or len(found.nodes) >= max(1, minimum)


def test_it_passes_the_wire():
    selection = Selection({"tier": ("gold",)}, ("a", "b"), 2)
    assert Selection.from_mapping(selection.to_mapping()) == selection
