from pathlib import Path

import pytest

from lighthouse.paths import PathError, runtime_dir, runtime_dir_for
from lighthouse.role import Role


@pytest.mark.parametrize("user", ["root", "lighthouse"])
def test_the_system_has_its_directory(user):
    assert runtime_dir_for(Role.ALL, user, "/run/user/0") == Path("/run/lighthouse")


def test_a_user_has_a_private_one():
    assert runtime_dir_for(Role.ALL, "jane", "/run/user/7") == Path("/run/user/7/lighthouse")


@pytest.mark.parametrize("user", ["root", "jane"])
def test_a_writer_and_a_reporter_do_not_collide(user):
    assert len({runtime_dir_for(role, user, "/run/user/7") for role in Role}) == len(Role)


@pytest.mark.parametrize("xdg", [None, "", "relative/path"])
def test_no_safe_default_is_an_error_with_its_remedy(xdg):
    with pytest.raises(PathError, match="--runtime-dir"):
        runtime_dir_for(Role.ALL, "jane", xdg)


def test_the_rule_is_applied_to_the_one_who_runs(monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 4_000_000)  # a number without a name
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/x")
    assert runtime_dir(Role.WRITER) == Path("/run/user/x/lighthouse/writer")
