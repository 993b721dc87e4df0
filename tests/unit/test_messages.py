"""The typed messages: strict about what they need, silent about what they do not know."""

from contextlib import suppress

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighthouse.ipc.errors import ProtocolError
from lighthouse.ipc.frames import Frame, Kind
from lighthouse.ipc.messages import Condition, Heartbeat, Hello, Progress, elements, pack, unpack

MESSAGES = [
    Hello(12),
    Heartbeat(),
    Heartbeat("check http", 1.5, 3.5, 1.0, 4096, 8192),
    Condition(),
    Condition("zookeeper is away", fatal=True),
    Condition("an announcement is refused", whole=True),
    Progress("clusters/web.yaml", "ab" * 32),
]


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_read_back(message):
    assert type(message).read(message.frame()) == message


@given(st.binary(max_size=300))
def test_random_payloads_are_a_protocol_error_or_a_value(payload):
    with suppress(ProtocolError):
        unpack(payload)


@given(st.sampled_from([Hello, Heartbeat, Condition, Progress]), st.binary(max_size=100))
def test_random_payloads_never_become_a_message_by_accident(cls, payload):
    try:
        message = cls.read(Frame(cls.kind, payload))
    except ProtocolError:
        return
    assert cls.read(message.frame()) == message


@pytest.mark.parametrize(
    ("cls", "value", "why"),
    [
        (Hello, {}, "lacks 'pid'"),
        (Hello, {"pid": "12"}, "is str, not int"),
        (Hello, {"pid": True}, "is bool, not int"),
        (Hello, [], "is not a map"),
        (Condition, {"degraded": 5, "fatal": False}, "is int, not str or nothing"),
        (Condition, {"degraded": None, "fatal": 1}, "is int, not bool"),
    ],
)
def test_missing_and_mistyped_fields_are_named(cls, value, why):
    with pytest.raises(ProtocolError, match=why):
        cls.read(Frame(cls.kind, pack(value)))


def test_unknown_fields_of_a_newer_peer_are_ignored():
    assert Hello.read(Frame(Kind.HELLO, pack({"pid": 1, "colour": "red"}))) == Hello(1)


@pytest.mark.parametrize(
    "payload",
    [
        b"\x91" * 5000,  # nesting
        b"\xdd\x7f\xff\xff\xff",  # an array that claims 2**31 items
        b"\xc6\x7f\xff\xff\xff",  # as many bytes
        msgpack.packb(1) + msgpack.packb(2),
        msgpack.packb({1: 2}),
        msgpack.packb(msgpack.ExtType(5, b"")),
        msgpack.packb(msgpack.Timestamp(1)),
        b"",
        b"\xc1",
    ],
)
def test_hostile_payloads_are_refused(payload):
    with pytest.raises(ProtocolError):
        unpack(payload)


def test_names_that_are_not_utf8_survive():
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    assert unpack(pack({"name": name})) == {"name": name}


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=3), PLAIN, max_size=3), st.lists(PLAIN, max_size=5))
def test_elements_are_cut_as_they_were_packed(others, items):
    assert [unpack(item) for item in elements(pack({**others, "nodes": items}), "nodes")] == items


@given(st.binary(max_size=300))
def test_random_payloads_have_no_elements_or_plain_bytes(payload):
    with suppress(ProtocolError):
        assert all(isinstance(item, bytes) for item in elements(payload, "nodes"))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc1",
        pack([]),
        pack({}),
        pack({"nodes": 1}),
        pack({"other": []}),
        pack({"nodes": [1, 2]})[:-1],
        pack({"nodes": []}) + b"\x00",
        pack({b"nodes": []}),
        pack({"nodes": []})[:1] + b"\xdd\xff\xff\xff\xff",
        b"\x81" + b"\x91" * 5000,
    ],
)
def test_what_is_no_map_with_a_list_is_refused(payload):
    with pytest.raises(ProtocolError):
        elements(payload, "nodes")
