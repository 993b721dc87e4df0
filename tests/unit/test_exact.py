"""Values that came from JSON or YAML are the same if they say the same, and nothing else makes them so."""

from types import MappingProxyType

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighthouse.cluster import Cluster
from lighthouse.exact import same
from lighthouse.nerve import NamedHost
from lighthouse.node import Node
from lighthouse.service import Service

# Those that Python takes for equal, or takes for different from themselves, come often.
LEAVES = st.sampled_from([True, False, 0, 1, 0.0, -0.0, 1.0, float("nan"), None, "", "1", b"1"]) | st.text(max_size=2)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)


def canonical(value):
    """With all keys in order."""
    if isinstance(value, dict):
        return {key: canonical(value[key]) for key in sorted(value)}
    return [canonical(item) for item in value] if isinstance(value, list) else value


def shaped(value):
    """The same in other types and another order, as a plugin may have it."""
    if isinstance(value, dict):
        return MappingProxyType({key: shaped(value[key]) for key in reversed(value)})
    return tuple(map(shaped, value)) if isinstance(value, list) else value


@given(VALUES, VALUES)
def test_they_are_the_same_if_and_only_if_their_packed_bytes_are(one, other):
    assert same(one, other) == (msgpack.packb(canonical(one)) == msgpack.packb(canonical(other)))
    assert same(one, shaped(one))


@pytest.mark.parametrize(
    "made",
    [
        lambda value: Node("a", "192.0.2.1", 80, {"backup": value}),
        lambda value: Service("app", (80,), metadata={"backup": value}),
        lambda value: NamedHost("a", 80, {"labels": {"backup": value}}),
        lambda value: Cluster("web", options={"peers": value}),
        lambda value: Cluster("web", nodes=[Node("a", "192.0.2.1", 80, {"backup": value})]),
    ],
)
def test_what_holds_such_values_compares_them_so(made):
    said = [True, 1, 1.0]
    assert [[made(one) == made(other) for other in said] for one in said] == [
        [one is other for other in said] for one in said
    ]
    assert made(float("nan")) == made(float("nan"))
    assert made(1) != "web"
