"""The Redis check against real servers: with and without a password, over TLS, master and replica; and hostile ones."""

import logging
import os

import pytest

from lighthouse.checks.redis import RedisCheck
from lighthouse.errors import ResourceError
from support.pki import Authority
from support.ports import free_port
from support.redis import redis_server
from support.stack import Stack
from support.talk import answer, drip, server, silent
from support.wait import until

PASSWORD = "correct horse"


def redis_check(port, timeout=20.0, **config):
    check = RedisCheck()
    check.host, check.port, check.timeout = "127.0.0.1", port, timeout
    full = {name: option.default for name, option in RedisCheck.options.items()} | config
    RedisCheck.validate_config(full)
    check.apply_config(full)
    return check


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("redis")


@pytest.fixture(scope="module")
def plain(folder):
    with redis_server(folder) as port:
        yield port


@pytest.fixture(scope="module")
def locked(folder):
    """Wants a password; knows a user who may do no more than the check does, and one who may do nothing."""
    acl = (
        "--user",
        "probe",
        "on",
        f">{PASSWORD}x",
        "+ping",
        "+role",
        "--user",
        "nobody",
        "on",
        f">{PASSWORD}",
        "-@all",
    )
    with redis_server(folder, "--requirepass", PASSWORD, *acl) as port:
        yield port


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"
    path.write_text(PASSWORD + "\n")
    path.chmod(0o600)
    return path


def test_a_server_without_a_password(plain):
    check = redis_check(plain)
    assert check.perform(), check.reason
    assert check.reason == ""


def test_a_server_with_a_password(locked, secret, monkeypatch):
    assert redis_check(locked, password_file=str(secret)).perform()
    monkeypatch.setenv("LH_TEST_REDIS", PASSWORD)
    assert redis_check(locked, password_env="LH_TEST_REDIS").perform()


def test_a_user_who_may_ping_only(locked, secret):
    secret.write_text(PASSWORD + "x")
    check = redis_check(locked, username="probe", password_file=str(secret), role="master")
    assert check.perform(), check.reason


def test_what_the_server_refuses_is_the_reason_and_no_secret(locked, secret, caplog):
    with caplog.at_level(logging.DEBUG):
        for config, reason in (
            ({}, "Authentication required."),
            ({"username": "nobody"}, "no permissions"),
            ({"username": "unknown"}, "invalid username-password pair"),
        ):
            if config:
                config["password_file"] = str(secret)
            check = redis_check(locked, **config)
            assert check.perform() is False
            assert reason in check.reason
            assert PASSWORD not in check.reason
    assert PASSWORD not in caplog.text


def test_a_changed_password_counts_at_once(locked, secret):
    secret.write_text("wrong")
    check = redis_check(locked, password_file=str(secret))
    assert check.perform() is False
    secret.write_text(PASSWORD)
    assert check.perform(), check.reason
    secret.unlink()
    with pytest.raises(ResourceError, match=r"^password_file: "):
        check.perform()


def test_a_password_for_a_server_that_has_none_fails(plain, secret):
    check = redis_check(plain, username="somebody", password_file=str(secret))
    assert check.perform() is False
    assert check.reason


def test_roles(plain, folder):
    with redis_server(folder, "--replicaof", "127.0.0.1", plain) as replica:
        assert redis_check(plain, role="master").perform()
        assert redis_check(replica, role="replica").perform()
        check = redis_check(plain, role="replica")
        assert check.perform() is False
        assert check.reason == "it is no replica: its role is 'master'"
        assert redis_check(replica, role="master").perform() is False


def test_tls_with_a_private_ca_and_a_client_certificate(folder, tmp_path):
    authority = Authority(tmp_path)
    options = (
        "--tls-port", tls_port := free_port(), "--tls-cert-file", authority.certificate("redis"),
        "--tls-key-file", authority.key_file("redis"), "--tls-ca-cert-file", authority.ca_file,
    )  # fmt: skip
    mine = {"certificate_file": str(authority.certificate("probe")), "key_file": str(authority.key_file("probe"))}
    with redis_server(folder, *options):
        check = redis_check(tls_port, tls=True, ca_file=str(authority.ca_file), **mine)
        assert check.perform(), check.reason
        for config in ({"ca_file": str(authority.ca_file)}, {**mine, "verify": True}):
            check = redis_check(tls_port, tls=True, **config)
            assert check.perform() is False
            assert check.reason
        assert redis_check(tls_port, timeout=1.0).perform() is False


def test_a_server_that_is_gone_and_comes_back(folder):
    with redis_server(folder) as port:
        check = redis_check(port)
        assert check.perform()
    assert check.perform() is False
    assert check.reason == "Connection refused"


@pytest.mark.parametrize(
    "talk",
    [
        silent,
        drip(b"", b"+"),
        drip(b"*1000000\r\n", b":1\r\n"),
        drip(b"$1000\r\n", b"x"),
    ],
)
def test_one_deadline_holds_for_whatever_comes(talk):
    with server(talk) as port:
        check = redis_check(port, timeout=0.5)
        assert check.perform() is False
        assert "0.5 s" in check.reason


def test_an_endless_answer_is_cut_by_size():
    def talk(connection, stop):
        connection.recv(65536)
        connection.sendall(b"$536870912\r\n")
        while not stop.is_set():
            connection.sendall(bytes(65536))

    with server(talk) as port:
        check = redis_check(port)
        assert check.perform() is False
        assert "65536 bytes" in check.reason


@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 400 Bad\r\n\r\n", b"\x00\xff\x1b[2J\r\n", b"+NOTPONG\r\n", b"*-5\r\n", b""]
)
def test_what_is_no_redis_fails_with_a_harmless_reason(said):
    with server(answer(said, linger=False)) as port:
        check = redis_check(port)
        assert check.perform() is False
        assert check.reason
        assert check.reason.isprintable()


def test_no_descriptor_is_left_open(plain, locked):
    checks = [
        redis_check(plain),
        redis_check(locked),
        redis_check(free_port()),
        redis_check(plain, tls=True, timeout=0.2),
    ]
    for check in checks:
        check.perform()
    before = sorted(os.listdir("/proc/self/fd"))
    for check in checks * 3:
        check.perform()
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_a_real_worker_sees_a_server_go(tmp_path, folder):
    stack = Stack(tmp_path, role="reporter")
    stack.write("discovery/dir.yaml", {"plugin": "directory", "path": str(tmp_path / "registry")})
    try:
        with redis_server(folder) as port:
            checks = {"interval": 0.2, "redis": {"rise": 1, "fall": 2, "role": "master"}}
            stack.write("services/cache.yaml", {"port": port, "discovery": "dir", "checks": checks})
            stack.start()
            until(lambda: stack.port_state("cache", port) == "up", what="up")
        until(lambda: stack.port_state("cache", port) == "down", what="down")
    finally:
        stack.stop()
