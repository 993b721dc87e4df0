"""Registry records: lighthouse 1.0's are read and written, and nothing hostile becomes a node."""

import contextlib
import ipaddress
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighthouse.errors import NodeError
from lighthouse.identity import valid_ip
from lighthouse.ipc.messages import pack, unpack
from lighthouse.node import MAX_RECORD, MAX_VALUES, Node
from lighthouse.peer import DEFAULT_PORT, Peer

RECORD_OF_1_0 = (
    '{"host": "web01.example.org", "ip": "10.0.0.7", "metadata": "{\\"weight\\": 3}", '
    '"peer": "{\\"ip\\": \\"10.0.0.7\\", \\"name\\": \\"web01.example.org\\", \\"port\\": 1024}", "port": 8000}'
)
NODE = Node("web01.example.org", "10.0.0.7", 8000, {"weight": 3}, Peer("web01.example.org", "10.0.0.7"))


def test_the_record_of_1_0_is_read():
    assert Node.deserialize(RECORD_OF_1_0) == NODE


def test_and_written_byte_for_byte():
    assert NODE.serialize() == RECORD_OF_1_0


def test_a_node_survives_the_wire_between_our_processes():
    assert Node.from_mapping(NODE.to_mapping()) == NODE


@pytest.mark.parametrize(
    ("word", "leaving"), [("true", True), ("false", False), ("1", False), ('"true"', False), ("null", False)]
)
def test_a_node_that_leaves_says_true_and_nothing_else(word, leaving):
    assert Node.deserialize(f'{{"ip": "10.0.0.7", "port": 80, "leaving": {word}}}').leaving is leaving
    assert Node.deserialize(replace(NODE, leaving=True).serialize()) == replace(NODE, leaving=True)
    assert "leaving" not in NODE.serialize()


def test_a_record_without_host_or_peer_is_a_node():
    node = Node.deserialize('{"ip": "10.0.0.7", "port": 80}')
    assert (node.name, node.peer, dict(node.metadata)) == ("10.0.0.7:80", None, {})
    assert json.loads(json.loads(node.serialize())["peer"])["port"] == DEFAULT_PORT


def test_addresses_are_canonical():
    assert Node.deserialize('{"ip": "2001:DB8:0::1", "port": 80}').ip == "2001:db8::1"


HOSTILE = [
    "a b",
    "a\nserver evil 10.0.0.1:1",
    "a\r",
    "a\x00",
    "a\x1b[31m",
    "..",
    "../../etc/passwd",
    "a/b",
    "a#b",
    "a'b",
    'a"b',
    "a\\b",
    "а.example",  # noqa: RUF001 - the first letter is Cyrillic
    "",
    "-a",
    "a" * 5000,
    5,
    None,
    ["a"],
]


@pytest.mark.parametrize("host", [host for host in HOSTILE if host is not None])
def test_hostile_hosts_are_refused_and_their_refusal_is_printable(host):
    with pytest.raises(NodeError) as error:
        Node.deserialize(json.dumps({"host": host, "ip": "10.0.0.1", "port": 80}))
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    "ip", [*HOSTILE, "localhost", "10.0.0.256", "fe80::1%eth0", "10.0.0.1 check", "0.0.0.0", "::", "::ffff:0.0.0.0"]
)
def test_hostile_addresses_are_refused(ip):
    with pytest.raises(NodeError):
        Node.deserialize(json.dumps({"host": "a", "ip": ip, "port": 80}))


@pytest.mark.parametrize("port", [0, 65536, -1, "80", 80.0, True, None, [80]])
def test_hostile_ports_are_refused(port):
    with pytest.raises(NodeError):
        Node.deserialize(json.dumps({"host": "a", "ip": "10.0.0.1", "port": port}))


@pytest.mark.parametrize(
    "record",
    [
        "",
        "[]",
        "null",
        "{",
        "[" * 100_000,
        '{"ip": "10.0.0.1"}',
        '{"ip": "10.0.0.1", "port": 80, "metadata": "[]"}',
        '{"ip": "10.0.0.1", "port": 80, "metadata": "{"}',
        '{"ip": "10.0.0.1", "port": 80, "peer": "5"}',
        '{"ip": "10.0.0.1", "port": 80, "peer": {"name": "a b", "ip": "10.0.0.1"}}',
        b"\xff\xfe",
        '{"ip": "10.0.0.1", "port": 80, "metadata": "%s"}' % ("x" * MAX_RECORD),
        json.dumps({"ip": "10.0.0.1", "port": 80, "metadata": {"m": [[]] * MAX_VALUES}}),
        '{"ip": "::ffff:0.0.0.0", "port": 80}',
    ],
)
def test_malformed_records_are_refused(record):
    with pytest.raises(NodeError):
        Node.deserialize(record)


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner))
)
def test_any_json_is_a_node_or_refused(value):
    try:
        Node.deserialize(json.dumps(value))
    except NodeError as error:
        assert str(error).isprintable()


@given(st.binary(max_size=200))
def test_any_bytes_are_a_node_or_refused(record):
    with contextlib.suppress(NodeError):
        Node.deserialize(record)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(st.dictionaries(st.text() | st.just("\udfff"), JSON, max_size=4))
def test_every_node_that_is_accepted_can_be_told(metadata):
    try:
        node = Node.deserialize(json.dumps({"ip": "10.0.0.1", "port": 80, "metadata": metadata}))
    except NodeError:
        return
    unpack(pack(node.to_mapping()))


@pytest.mark.parametrize("value", ["\ud800", {"\ud800": 1}, json.loads("[" * 40 + "]" * 40)])
def test_metadata_that_cannot_be_told_costs_its_node_alone(value):
    with pytest.raises(NodeError):
        Node.deserialize(json.dumps({"ip": "10.0.0.1", "port": 80, "metadata": {"x": value}}))


@pytest.mark.parametrize("text", [str(2**63), str(-(2**63) - 1), "-" + "9" * 30, "1" * 5000])
@pytest.mark.parametrize("nested", [True, False], ids=["as 1.0 writes it", "plain"])
def test_a_number_that_cannot_be_told_becomes_text_and_costs_nobody(text, nested):
    metadata = f'{{"weight": {text}, "in": [{text}], "fits": [{2**63 - 1}, {-(2**63)}, -0, 1e3]}}'
    record = f'{{"ip": "10.0.0.1", "port": 80, "metadata": {json.dumps(metadata) if nested else metadata}}}'
    node = Node.deserialize(record)
    assert node.metadata == {"weight": text, "in": [text], "fits": [2**63 - 1, -(2**63), 0, 1000.0]}
    assert Node.from_mapping(unpack(pack(node.to_mapping()))) == node
    with pytest.raises(NodeError):
        Node.deserialize(f'{{"ip": "10.0.0.1", "port": {text}}}')


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, [[2**64]]])
def test_what_a_plugin_says_is_refused_instead(value):
    with pytest.raises(NodeError):
        Node.from_mapping({"ip": "10.0.0.1", "port": 80, "metadata": {"x": value}})


@given(
    st.ip_addresses(v=4).map(str)
    | st.lists(st.from_regex(r"[0-9]{0,4}", fullmatch=True), min_size=3, max_size=5).map(".".join)
    | st.text(alphabet="0123456789.\u0663\n ", max_size=12)
)
def test_addresses_are_those_of_the_standard_library(text):
    try:
        expected = str(ipaddress.ip_address(text))
    except ValueError:
        with pytest.raises(NodeError):
            valid_ip(text)
    else:
        assert valid_ip(text) == expected
