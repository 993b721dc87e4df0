"""What the built-in checks accept as configuration, and the deadline's arithmetic."""

import ssl
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighthouse.checks.deadline import Deadline
from lighthouse.checks.exchange import explained
from lighthouse.checks.exec import ExecCheck
from lighthouse.checks.grpc import GRPCCheck
from lighthouse.checks.http import HTTPCheck
from lighthouse.checks.http_rules import Target, statuses
from lighthouse.checks.redis import RedisCheck
from lighthouse.checks.tcp import TCPCheck
from lighthouse.checks.tls import tls_of
from lighthouse.errors import ConfigError, PluginError


@pytest.mark.parametrize("uri", ["/", "/health?deep=1", "/a%20b"])
def test_a_path_is_a_uri(uri):
    HTTPCheck.validate_config({"uri": uri, "https": False, "method": "GET"})


@pytest.mark.parametrize("uri", ["", "health", "http://127.0.0.1/", "/a b", "/a\r\nX: y", "/ä", "/\x7f"])
def test_what_is_not_a_path_is_refused(uri):
    with pytest.raises(ConfigError) as refused:
        HTTPCheck.validate_config({"uri": uri, "https": False, "method": "GET"})
    assert refused.value.key == ("uri",)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("config", [{}, {"query": None, "response": None}, {"query": "PING\r\n", "response": "+PONG"}])
def test_query_and_response_come_together(config):
    TCPCheck.validate_config(config)


def test_an_empty_query_waits_for_a_greeting():
    TCPCheck.validate_config({"query": "", "response": "220"})


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"query": "PING"}, "response"),
        ({"query": "PING", "response": ""}, "response"),
        ({"response": "PONG"}, "query"),
        ({"query": "PING", "response": "x" * 70000}, "response"),
    ],
)
def test_one_without_the_other_is_refused(config, key):
    with pytest.raises(ConfigError) as refused:
        TCPCheck.validate_config(config)
    assert refused.value.key == (key,)


def test_a_deadline_counts_down_and_then_raises():
    now = [100.0]
    deadline = Deadline(2.0, clock=lambda: now[0])
    assert deadline.remaining() == 2.0
    now[0] = 101.5
    assert deadline.remaining() == 0.5
    now[0] = 102.0
    with pytest.raises(TimeoutError, match="within 2 s"):
        deadline.remaining()


def test_an_explanation_is_one_safe_line():
    assert explained(TimeoutError("timed out"), 1.5) == "no complete answer within 1.5 s"
    assert explained(ConnectionRefusedError(111, "Connection refused"), 1) == "Connection refused"
    assert explained(ssl.SSLError(1, "wrong version"), 1) == "wrong version"
    assert explained(UnicodeError("label \x1b[2J\n too long"), 1).isprintable()


def judged(check, **config):
    """The configuration as the schema hands it on, if the check accepts it."""
    full = {name: option.default for name, option in check.options.items()} | config
    check.validate_config(full)
    return full


def refused_key(check, **config):
    with pytest.raises(ConfigError) as refused:
        judged(check, **config)
    assert "\n" not in str(refused.value)
    assert "hush" not in str(refused.value)
    return refused.value.key


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"status": []}, ("status",)),
        ({"status": [200, "6xx"]}, ("status", 1)),
        ({"status": ["2XX"]}, ("status", 0)),
        ({"status": [20]}, ("status", 0)),
        ({"status": ["299-200"]}, ("status", 0)),
        ({"status": ["200-"]}, ("status", 0)),
        ({"body_regex": "(["}, ("body_regex",)),
        ({"body_regex": ""}, ("body_regex",)),
        ({"body": ""}, ("body",)),
        ({"body": "x", "method": "HEAD"}, ("body",)),
        ({"headers": {"a b": "x"}}, ("headers", "a b")),
        ({"headers": {"": "x"}}, ("headers", "")),
        ({"headers": {"X": "hush\r\nY: z"}}, ("headers", "X")),
        ({"headers": {"X": {"file": "/f", "prefix": "hush\n"}}}, ("headers", "X")),
        ({"headers": {"X": "ü"}}, ("headers", "X")),
        ({"headers": {"X": "1", "x": "2"}}, ("headers", "x")),
        ({"headers": {"content-length": "1"}}, ("headers", "content-length")),
        ({"headers": {"AUTHORIZATION": "hush"}}, ("headers", "AUTHORIZATION")),
        ({"headers": {"X": {}}}, ("headers", "X")),
        ({"headers": {"X": {"file": "/f", "env": "E"}}}, ("headers", "X")),
        ({"headers": {"X": {"file": "hush"}}}, ("headers", "X", "file")),
        ({"headers": {"X": {"env": "hush hush"}}}, ("headers", "X", "env")),
        ({"headers": {"X": {"text": "hush"}}}, ("headers", "X")),
        ({"verify": True}, ("verify",)),
        ({"https": True, "ca_file": "relative"}, ("ca_file",)),
        ({"https": True, "ca_file": "/ca", "verify": False}, ("ca_file",)),
        ({"https": True, "key_file": "/key"}, ("key_file",)),
        ({"https": True, "server_name": "a b"}, ("server_name",)),
    ],
)
def test_what_an_http_check_cannot_use_is_refused_by_its_key(config, key):
    assert refused_key(HTTPCheck, uri="/", **config) == key


@pytest.mark.parametrize(
    "config",
    [
        {"status": [204, "3xx", "500-503"], "redirects": "follow"},
        {"headers": {"Host": "a.b", "Authorization": {"file": "/f", "prefix": "Bearer "}, "Cookie": {"env": "E"}}},
        {"https": True, "verify": True, "server_name": "web.test", "certificate_file": "/c", "key_file": "/k"},
        {"body": "ok", "body_regex": r"\bok\b"},
    ],
)
def test_what_an_http_check_can_use_is_accepted(config):
    judged(HTTPCheck, uri="/", **config)


@pytest.mark.parametrize(
    ("config", "verify"),
    [({}, False), ({"ca_file": "/ca"}, True), ({"verify": True}, True), ({"verify": False}, False)],
)
def test_a_certificate_is_verified_where_there_is_a_ca_or_the_wish(config, verify):
    assert tls_of(judged(HTTPCheck, uri="/", https=True, **config), "https").verify is verify
    assert tls_of(judged(HTTPCheck, uri="/"), "https") is None


@given(st.text(max_size=60), st.booleans())
def test_a_redirect_leads_to_a_request_that_is_one_line_or_nowhere(location, https):
    target = Target(https, "127.0.0.1", 8080, "/health").redirected(location)
    if isinstance(target, str):
        assert target.isprintable()
        assert "\n" not in target
    else:
        assert f"GET {target.path} HTTP/1.1".split(" ") == ["GET", target.path, "HTTP/1.1"]
        assert target.path.isascii()
        assert target.path.isprintable()
        assert target.path.startswith("/")
        assert 0 < target.port < 65536
        assert target.https or not https


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ([200], {200}),
        (["2xx"], set(range(200, 300))),
        (["200-202", 404, "404"], {200, 201, 202, 404}),
        (["503"], {503}),
    ],
)
def test_statuses_are_named_one_by_one_and_by_range(given, wanted):
    assert statuses(given) == wanted


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"command": ""}, ("command",)),
        ({"command": "  ", "shell": True}, ("command",)),
        ({"command": []}, ("command",)),
        ({"command": [""]}, ("command",)),
        ({"command": ["a\0b"]}, ("command",)),
        ({"command": "echo 'open"}, ("command",)),
        ({"command": ["true"], "shell": True}, ("command",)),
        ({"command": "true", "directory": "here"}, ("directory",)),
        ({"command": "true", "environment": {"A=B": "x"}}, ("environment", "A=B")),
        ({"command": "true", "environment": {"LIGHTHOUSE_PORT": "1"}}, ("environment", "LIGHTHOUSE_PORT")),
        ({"command": "true", "environment": {"A": {"file": "hush"}}}, ("environment", "A", "file")),
        ({"command": "true", "environment": {"A": "hush\0"}}, ("environment", "A")),
    ],
)
def test_what_cannot_be_run_is_refused_by_its_key(config, key):
    assert refused_key(ExecCheck, **config) == key


@pytest.mark.parametrize(
    ("check", "config", "key"),
    [
        (RedisCheck, {"username": "u"}, ("username",)),
        (RedisCheck, {"password_file": "hush"}, ("password_file",)),
        (RedisCheck, {"ca_file": "/ca"}, ("ca_file",)),
        (TCPCheck, {"verify": True}, ("verify",)),
        (GRPCCheck, {"server_name": "a"}, ("server_name",)),
    ],
)
def test_what_contradicts_itself_is_refused_by_its_key(check, config, key):
    assert refused_key(check, **config) == key


@pytest.mark.parametrize(("check", "name"), [(RedisCheck, "redis"), (GRPCCheck, "grpc")])
def test_a_missing_extra_is_told_with_its_remedy(check, name, monkeypatch):
    assert check.validate_dependencies()
    monkeypatch.setattr("lighthouse.pluggable.find_spec", lambda _: None)
    with pytest.raises(PluginError, match=rf"pip install 'lighthouse\[{name}\]'"):
        check.validate_dependencies()


def test_judging_a_check_does_not_load_its_library():
    script = (
        "import sys\n"
        "from lighthouse.checks.grpc import GRPCCheck\n"
        "from lighthouse.checks.redis import RedisCheck\n"
        "assert GRPCCheck.validate_dependencies() and RedisCheck.validate_dependencies()\n"
        "assert not {'grpc', 'grpc_health', 'redis', 'google.protobuf'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
