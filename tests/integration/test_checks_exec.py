"""The exec check with real commands, well-behaved and hostile ones."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from lighthouse.checks.exec import ExecCheck
from lighthouse.errors import ResourceError
from support.ports import free_port
from support.stack import Stack
from support.wait import until

HASTY = 0.5


def exec_check(command, timeout=20.0, **config):
    check = ExecCheck()
    check.service, check.host, check.port, check.timeout = "web", "127.0.0.1", 8080, timeout
    full = {name: option.default for name, option in ExecCheck.options.items()} | {"command": command, **config}
    ExecCheck.validate_config(full)
    check.apply_config(full)
    return check


def python(text):
    return [sys.executable, "-c", text]


def running(marker):
    """The processes that carry a marker in their command line, zombies aside."""
    return [
        process
        for process in psutil.process_iter(["cmdline", "status"])
        if any(marker in word for word in process.info["cmdline"] or ())
        and process.info["status"] != psutil.STATUS_ZOMBIE
        and process.pid != os.getpid()
    ]


def left_here():
    """The descriptors and the children, zombies among them, of our own process."""
    return sorted(os.listdir("/proc/self/fd")), sorted(child.pid for child in psutil.Process().children())


@pytest.fixture
def marker(tmp_path):
    """A word for command lines; nothing that carries it is left when the test ends."""
    word = f"marker-{tmp_path.name}-{os.getpid()}"
    yield word
    until(lambda: not running(word), what="the end of everything that was started")


@pytest.mark.parametrize(
    ("command", "passes", "reason"),
    [
        ("true", True, ""),
        ("false", False, "exit code 1"),
        (["sh", "-c", "exit 3"], False, "exit code 3"),
        ("echo '3 queues, all short'", True, "3 queues, all short"),
        (["sh", "-c", "echo one; echo two >&2; exit 2"], False, "exit code 2: two"),
        (["sh", "-c", "kill -SEGV $$"], False, "killed by SIGSEGV"),
        (["printf", r"\033[2Jh\303\244\377\n\n"], True, r"\x1b[2Jh\xe4\ufffd"),
        ("/nowhere/at/all", False, "cannot be started: No such file or directory"),
        ("/etc/passwd", False, "cannot be started: Permission denied"),
    ],
)
def test_the_exit_code_decides_and_the_last_line_is_kept(command, passes, reason):
    check = exec_check(command)
    assert check.perform() is passes
    assert check.reason == reason


def test_no_shell_takes_part_unless_asked_for(tmp_path):
    spied = tmp_path / "spied"
    check = exec_check(f"echo $HOME ; touch {spied}")
    assert check.perform()
    assert check.reason == f"$HOME ; touch {spied}"
    assert exec_check(f"echo $HOME ; touch {spied}", shell=True).perform()
    assert spied.exists()


def test_the_environment_is_the_documented_one_and_no_other(tmp_path, monkeypatch):
    monkeypatch.setenv("LH_TEST_KEY", "hush")
    monkeypatch.setenv("LH_TEST_OTHER", "not for commands")
    (tmp_path / "file").write_text("word\n")
    out = tmp_path / "out"
    own = {"A": "b c", "KEY": {"env": "LH_TEST_KEY", "prefix": "k:"}, "FILE": {"file": str(tmp_path / "file")}}
    assert exec_check(f"env -0 > {out}; pwd >> {out}", shell=True, environment=own, directory=str(tmp_path)).perform()
    *variables, directory = out.read_text().split("\0")
    assert directory == f"{tmp_path}\n"
    assert {line for line in variables if not line.startswith(("_=", "PWD="))} == {
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG=C.UTF-8",
        "LIGHTHOUSE_SERVICE=web",
        "LIGHTHOUSE_HOST=127.0.0.1",
        "LIGHTHOUSE_PORT=8080",
        "LIGHTHOUSE_TIMEOUT=20",
        "A=b c",
        "KEY=k:hush",
        "FILE=word",
    }


def test_a_secret_that_is_missing_says_nothing_about_the_service(tmp_path):
    check = exec_check("true", environment={"KEY": {"file": str(tmp_path / "absent")}})
    with pytest.raises(ResourceError, match=r"^environment\.KEY\.file: "):
        check.perform()


def test_another_user():
    if os.getuid() != 0:
        with pytest.raises(ResourceError, match="only root"):
            exec_check("true", user="nobody").perform()
        return
    check = exec_check("id", user="nobody")
    assert check.perform()
    assert check.reason.startswith("uid=65534(nobody) gid=65534(nogroup) groups=65534(nogroup)")
    with pytest.raises(ResourceError, match="there is no user 'no-such-user'"):
        exec_check("true", user="no-such-user").perform()


def test_a_command_that_ignores_sigterm_is_killed_with_its_children(marker):
    command = f"trap '' TERM; (exec -a {marker} sleep 1000) & (exec -a {marker} sleep 1000) & wait"
    check = exec_check(["bash", "-c", command], timeout=HASTY)
    assert check.perform() is False
    assert check.reason == "did not end within 0.5 s, and was killed"


def test_children_that_hold_the_pipe_are_not_waited_for(marker):
    check = exec_check(["bash", "-c", f"(exec -a {marker} sleep 1000) & echo done"])
    assert check.perform()
    assert check.reason == "done"


def test_a_grandchild_whose_parents_are_gone_is_killed_too(marker):
    nested = f"((exec -a {marker} sleep 1000) &) ; ((trap '' TERM HUP; exec -a {marker} sleep 1000) &); sleep 100"
    assert exec_check(["bash", "-c", nested], timeout=HASTY).perform() is False


def test_output_without_end_is_read_and_bounded():
    check = exec_check("yes is all that it says", timeout=HASTY)
    assert check.perform() is False
    assert "did not end" in check.reason
    check = exec_check("yes long | head -c 50000000; echo; echo at last", shell=True)
    assert check.perform(), check.reason
    assert check.reason == "at last"
    check = exec_check(python("print('x' * 1000000)"))
    assert check.perform()
    assert len(check.reason) <= 200


def test_a_command_that_closes_its_output_is_waited_for():
    check = exec_check(["sh", "-c", "exec >&- 2>&-; sleep 0.2; exit 4"])
    assert check.perform() is False
    assert check.reason == "exit code 4"


def test_the_command_gets_no_descriptor_of_ours_and_an_empty_input():
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    try:
        check = exec_check(
            python("import os, sys; print(sorted(map(int, os.listdir('/proc/self/fd')))[:-1], sys.stdin.read())")
        )
        assert check.perform()
        assert check.reason == "[0, 1, 2]"
    finally:
        os.close(reading)
        os.close(writing)


def test_nothing_is_left_behind_in_our_own_process(marker):
    checks = [exec_check(command, timeout=0.1) for command in ("true", "false", "/nowhere", "sleep 5", "yes")]
    for check in checks:
        check.perform()
    before = left_here()
    for check in checks * 3:
        check.perform()
    assert left_here() == before


def test_a_command_ends_with_the_worker_that_runs_it(tmp_path, marker):
    """However the worker ends: killed, or replaced."""
    stack = Stack(tmp_path, role="reporter")
    stack.write("discovery/dir.yaml", {"plugin": "directory", "path": str(tmp_path / "registry")})
    command = ["bash", "-c", f"(exec -a {marker} sleep 1000) & exec -a {marker} sleep 1000"]
    check = {"command": command, "rise": 1, "fall": 1, "timeout": 600}
    stack.write(
        "services/web.yaml", {"port": free_port(), "discovery": "dir", "checks": {"interval": 1, "exec": check}}
    )
    stack.start().wait_up("checker/web")
    try:
        for end in (signal.SIGKILL, None):
            first = set(until(lambda: len(found := running(marker)) == 2 and found, what="the command and its child"))
            if end:
                os.kill(stack.worker("checker/web")["pid"], end)
            else:
                stack.ask("restart", worker="checker/web")
            until(lambda first=first: not first & set(running(marker)), what="the end of both")
    finally:
        stack.stop()


def test_a_shell_is_not_needed_for_the_examples(tmp_path):
    script = tmp_path / "probe"
    script.write_text('#!/bin/sh\nexec test "$LIGHTHOUSE_PORT" = 8080\n')
    script.chmod(0o755)
    assert exec_check(str(script)).perform()
    assert subprocess.run([script], check=False).returncode == 1
