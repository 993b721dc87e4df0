"""The supervisor's settings: kinds, and what contradicts itself."""

import pytest

from lighthouse.settings import Settings, contradictions


def test_the_defaults_contradict_nothing():
    assert list(contradictions(Settings())) == []


@pytest.mark.parametrize(
    ("data", "key"),
    [
        ({"runtime_dir": "run"}, ("runtime_dir",)),
        ({"log_dir": "../logs"}, ("log_dir",)),
        ({"hostname": "a b"}, ("hostname",)),
        ({"advertise": "web01.example.org"}, ("advertise",)),
        ({"heartbeat": {"interval": 30}}, ("heartbeat", "deadline")),
        ({"restart": {"base": 90}}, ("restart", "cap")),
        ({"registration": {"farewell": 5}}, ("registration", "farewell")),
        ({"deadlines": {"stop": 0.5}}, ("registration", "farewell")),
    ],
)
def test_a_contradiction_names_its_key(data, key):
    assert [path for path, _ in contradictions(Settings.from_mapping(data))] == [key]


@pytest.mark.parametrize(
    "data", [{"hold": "5"}, {"hold": True}, {"logs": []}, {"logs": {"backups": 1.5}}, {"hostname": 5}]
)
def test_a_value_of_another_kind_is_a_type_error(data):
    with pytest.raises(TypeError):
        Settings.from_mapping(data)
