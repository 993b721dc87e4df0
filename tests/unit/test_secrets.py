"""Secrets from files and from the environment."""

import logging
import os

import pytest

from lighthouse import secrets
from lighthouse.errors import ConfigError, ResourceError
from lighthouse.secrets import Secret, SecretSource, check_secret, secret_options, secret_source

HUSH = "correct horse"


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(secrets, "_warned", set())


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "secret"
    path.write_text(HUSH)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (HUSH, HUSH),
        (HUSH + "\n", HUSH),
        (HUSH + "\r\n", HUSH),
        (HUSH + "\n\n", HUSH + "\n"),
        ("  " + HUSH + " ", "  " + HUSH + " "),
        ("pässword", "pässword"),
        ("x" * secrets.MAX_SECRET, "x" * secrets.MAX_SECRET),
    ],
)
def test_a_file_gives_its_text_without_one_line_end(file, content, text):
    file.write_bytes(content.encode())
    assert SecretSource("password_file", str(file)).read().reveal() == text


def test_a_changed_file_is_read_anew(file):
    source = SecretSource("password_file", str(file))
    assert source.read().reveal() == HUSH
    file.write_text("another")
    assert source.read().reveal() == "another"


def test_a_link_is_followed(file, tmp_path):
    (tmp_path / "link").symlink_to(file)
    assert SecretSource("password_file", str(tmp_path / "link")).read().reveal() == HUSH


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe" + HUSH.encode(), b"x" * (secrets.MAX_SECRET + 1)])
def test_what_is_no_secret_is_refused_with_key_and_path(file, content):
    file.write_bytes(content)
    with pytest.raises(ResourceError) as refused:
        SecretSource("password_file", str(file)).read()
    assert str(refused.value).startswith(f"password_file: '{file}'")
    assert HUSH not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_missing_file_a_directory_and_a_pipe_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("absent", ".", "pipe"):
        with pytest.raises(ResourceError, match="password_file"):
            SecretSource("password_file", str(tmp_path / name)).read()


def test_a_variable(monkeypatch):
    source = SecretSource("password_env", variable="LH_TEST_SECRET")
    monkeypatch.setenv("LH_TEST_SECRET", HUSH)
    assert source.read().reveal() == HUSH
    for value in ("", None):
        if value is None:
            monkeypatch.delenv("LH_TEST_SECRET")
        else:
            monkeypatch.setenv("LH_TEST_SECRET", value)
        with pytest.raises(ResourceError, match=r"^password_env: .* LH_TEST_SECRET"):
            source.read()


def test_a_secret_shows_itself_to_nobody():
    secret = Secret(HUSH)
    assert HUSH not in f"{secret} {secret!r} {[secret]}"
    assert secret == Secret(HUSH)


def test_a_file_that_everybody_can_read_is_warned_of_once(file, caplog):
    source = SecretSource("password_file", str(file))
    with caplog.at_level(logging.WARNING):
        source.read()
        assert not caplog.records
        file.chmod(0o644)
        source.read()
        source.read()
    (record,) = caplog.records
    assert str(file) in record.getMessage()
    assert HUSH not in record.getMessage()


def test_the_options_are_two_and_optional():
    assert [(name, option.default) for name, option in secret_options("password", "it").items()] == [
        ("password_file", None),
        ("password_env", None),
    ]


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"password_file": "/a", "password_env": "A"}, "password_file"),
        ({"password_file": HUSH}, "password_file"),
        ({"password_file": ""}, "password_file"),
        ({"password_file": "/a\0b"}, "password_file"),
        ({"password_env": HUSH}, "password_env"),
        ({"password_env": ""}, "password_env"),
    ],
)
def test_what_cannot_be_a_source_is_refused_without_being_repeated(config, key):
    with pytest.raises(ConfigError) as refused:
        check_secret(config, "password")
    assert refused.value.key == (key,)
    assert HUSH not in str(refused.value)


@pytest.mark.parametrize(
    ("config", "source"),
    [
        ({}, None),
        ({"password_file": None, "password_env": None}, None),
        ({"password_file": "/a", "password_env": None}, SecretSource("password_file", "/a")),
        ({"password_env": "A_1"}, SecretSource("password_env", variable="A_1")),
    ],
)
def test_a_judged_configuration_names_the_source(config, source):
    check_secret(config, "password")
    assert secret_source(config, "password") == source
