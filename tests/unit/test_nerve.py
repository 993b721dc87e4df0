"""Records of SmartStack, and which format a record has."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighthouse import nerve
from lighthouse.errors import NodeError
from lighthouse.nerve import NamedHost
from lighthouse.node import MAX_RECORD, Node
from lighthouse.records import read


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ('{"host":"10.0.0.5","port":31000,"name":"i-1"}', Node("10.0.0.5", "10.0.0.5", 31000)),
        ('{"host":"10.0.0.5","port":"31000"}', Node("10.0.0.5", "10.0.0.5", 31000)),
        ('{"host":"2001:db8::5","port":80}', Node("2001:db8::5", "2001:db8::5", 80)),
        ('{"host":"10.0.0.5","port":80,"weight":0}', Node("10.0.0.5", "10.0.0.5", 80, {"weight": 0})),
        (
            '{"host":"10.0.0.5","port":80,"labels":{"az":"b"},"haproxy_server_options":"backup","id":7}',
            Node("10.0.0.5", "10.0.0.5", 80, {"labels": {"az": "b"}}),
        ),
        ('{"host":"db.example","port":80,"weight":3}', NamedHost("db.example", 80, {"weight": 3})),
        ('{"host":"10.0.0.5","port":80,"leaving":true}', Node("10.0.0.5", "10.0.0.5", 80, leaving=True)),
        ('{"host":"db.example","port":80,"leaving":true}', NamedHost("db.example", 80, leaving=True)),
    ],
)
def test_reading(record, expected):
    assert read(record) == expected
    assert read(record.encode()).metadata == expected.metadata


@pytest.mark.parametrize(
    "record",
    [
        '{"host":"10.0.0.5"}', '{"host":"10.0.0.5","port":"x"}', '{"host":"10.0.0.5","port":0}', '{"host":"a b","port":1}',
        '{"host":"a\\nserver x","port":1}', '{"host":7,"port":1}', '{"host":null,"port":1}', '{"port":1}', "[]", "7", "",
        '{"host":"h","port":1,"weight":-1}', '{"host":"h","port":1,"weight":1.5}', '{"host":"h","port":1,"weight":true}',
        '{"host":"h","port":1,"weight":"3"}', '{"host":"h","port":1,"labels":[]}', '{"host":"h","port":"99999999999"}',
        '{"host":"h","port":1,"labels":{"a":"\\ud800"}}', '{"host":"h","port":"\\u0661"}', " " * (MAX_RECORD + 1),
        '{"host":"h","port":1,"labels":{"a":' + '{"b":' * 30 + "1" + "}" * 32,
        '{"host":"0.0.0.0","port":1}', '{"host":"::","port":1}',
    ],
)  # fmt: skip
def test_records_that_are_refused(record):
    with pytest.raises(NodeError):
        read(record)


def test_a_record_of_lighthouse_is_none_of_nerve():
    node = Node("h", "10.0.0.1", 80, {"weight": 5})
    assert read(node.serialize()).metadata == {"weight": 5}
    assert read('{"host": "h", "ip": "10.0.0.1", "port": 80}') == Node("h", "10.0.0.1", 80)


def test_writing():
    node = Node("web-17", "10.0.0.1", 80, {"weight": 10, "labels": {"az": "b", "n": 1}, "version": "4"})
    record = nerve.serialize(node)
    assert json.loads(record) == {
        "host": "10.0.0.1",
        "name": "web-17",
        "port": 80,
        "weight": 10,
        "labels": {"az": "b", "n": "1"},
    }
    assert read(record) == Node("10.0.0.1", "10.0.0.1", 80, {"weight": 10, "labels": {"az": "b", "n": "1"}})
    assert json.loads(nerve.serialize(Node("h", "10.0.0.1", 80, {"weight": "heavy", "labels": []}))) == {
        "host": "10.0.0.1", "name": "h", "port": 80,
    }  # fmt: skip


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["host", "port", "ip", "weight", "labels", "x"]), inner)
    ),
    max_leaves=10,
)


@given(JSON | st.binary())
def test_whatever_stands_there_is_a_member_or_refused(content):
    record = content if isinstance(content, bytes) else json.dumps(content)
    try:
        found = read(record)
    except NodeError:
        return
    assert found.host.isprintable()
    assert 0 < found.port < 65536
