"""The control socket of a real supervisor under abuse."""

import json
import os
import random
import resource
import socket
import stat
import subprocess
import sys
import time

import psutil
import pytest

from support.stack import Stack
from support.wait import until


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    stack = Stack(tmp_path_factory.mktemp("control")).start()
    yield stack
    assert stack.stop() == 0


def connect(stack):
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(str(stack.socket_path))  # blocking: a full backlog is waited for
    sock.settimeout(30)
    return sock


def exchange(stack, data):
    with connect(stack) as sock:
        sock.sendall(data)
        with sock.makefile("rb") as file:
            return json.loads(file.readline())


def test_it_is_private(stack):
    assert stat.S_IMODE(stack.socket_path.stat().st_mode) == 0o600
    assert stat.S_IMODE(stack.runtime.stat().st_mode) == 0o750


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"nonsense",
        b"[]",
        b"{}",
        b'{"version": 2, "command": "status"}',
        b'{"version": 1}',
        b'{"version": 1, "command": 5}',
        b'{"version": 1, "command": "status", "args": []}',
        b'{"version": 1, "command": "__class__"}',
        b'{"version": 1, "command": "explode"}',
        b'{"version": 1, "command": "restart"}',
        b'{"version": 1, "command": "restart", "args": {"worker": ["x"]}}',
        b'{"version": 1, "command": "restart", "args": {"worker": "checker/\\u001b[31m"}}',
        b"[" * 60000,
        b"\xff\xfe\x00",
    ],
)
def test_a_malformed_request_gets_a_reason(stack, line):
    reply = exchange(stack, line + b"\n")
    assert (reply["ok"], reply["code"]) == (False, "usage")
    assert reply["error"].isprintable()


def test_several_requests_on_one_connection_are_answered_in_order(stack):
    with connect(stack) as sock, sock.makefile("rb") as file:
        sock.sendall(b'{"version":1,"command":"status"}\nnonsense\n{"version":1,"command":"status"}\n')
        assert [json.loads(file.readline())["ok"] for _ in range(3)] == [True, False, True]


def test_many_requests_in_one_go_are_answered_without_holding_the_others_up(stack):
    with connect(stack) as greedy, greedy.makefile("rb") as file:
        greedy.sendall(b'{"version":1,"command":"status"}\n' * 500)
        assert stack.answers()
        assert all(json.loads(file.readline())["ok"] for _ in range(500))


def test_an_oversized_request_is_refused_and_closed(stack):
    with connect(stack) as sock:
        try:
            sock.sendall(b"x" * 300_000)
        except OSError:
            return  # closed while we were still sending
        assert b"one line of" in sock.recv(4096)


def test_ten_thousand_malformed_oversized_and_half_sent_requests_leave_it_answering(stack):
    before = stack.status()["supervisor"]["pid"]
    fds = len(os.listdir(f"/proc/{before}/fd"))
    dice = random.Random(7)
    held = []
    for number in range(10_000):
        sock = connect(stack)
        kind = number % 4
        try:
            if kind == 0:
                sock.sendall(dice.randbytes(dice.randrange(1, 200)) + b"\n")
            elif kind == 1:
                sock.sendall(b'{"version": 1, "comm')  # and never more
                held.append(sock)
                continue
            elif kind == 2 and number % 100 == 2:
                sock.sendall(b"y" * 80_000)
            else:
                sock.sendall(b'{"version": 1, "command": "status"}\n')  # and goes without reading
        except OSError:
            pass
        finally:
            if len(held) > 50:
                held.pop(0).close()
            if sock not in held:
                sock.close()
        if number % 500 == 0:
            assert stack.status()["supervisor"]["pid"] == before
    assert stack.answers()
    for sock in held:
        sock.close()
    until(lambda: len(os.listdir(f"/proc/{before}/fd")) <= fds + 1, what="no descriptor is kept")


def test_somebody_else_is_refused_by_the_kernels_word(stack):
    """Even when the file's mode lets them in."""
    if os.getuid() != 0:
        pytest.skip("only root can become somebody else")
    script = (
        "import os, socket, sys\n"
        "sock = socket.socket(socket.AF_UNIX)\n"
        "os.chdir(sys.argv[1])\n"
        "os.setuid(65534)\n"
        "sock.connect('control.sock')\n"
        'sock.sendall(b\'{"version":1,"command":"shutdown"}\\n\')\n'
        "print(sock.recv(4096).decode())\n"
    )
    stack.socket_path.chmod(0o666)
    stack.runtime.chmod(0o755)
    try:
        done = subprocess.run(
            [sys.executable, "-c", script, str(stack.runtime)], capture_output=True, text=True, timeout=60
        )
    finally:
        stack.socket_path.chmod(0o600)
        stack.runtime.chmod(0o750)
    assert json.loads(done.stdout)["code"] == "denied", done.stderr
    assert "uid 65534" in stack.log("supervisor")


def test_a_mutating_command_is_logged_with_who_asked(stack):
    stack.ask("reload")
    assert f"uid {os.getuid()}, pid {os.getpid()} asked for reload" in stack.log("supervisor")


def test_a_second_supervisor_is_refused_with_a_remedy(stack):
    second = Stack(stack.root)
    second.start(wait=False)
    assert second.process.wait(60) == 2
    assert "another supervisor uses" in second.output()
    assert stack.answers()


def test_a_socket_left_by_a_killed_supervisor_is_taken_over(tmp_path):
    stack = Stack(tmp_path).start()
    stack.kill()
    assert stack.socket_path.exists()
    stack.start()
    assert stack.stop() == 0
    assert not stack.socket_path.exists()


def test_a_path_too_long_for_a_socket_is_explained(tmp_path):
    stack = Stack(tmp_path)
    stack.runtime = tmp_path / ("x" * 90) / "run"
    stack.start(wait=False)
    assert stack.process.wait(60) == 2
    assert "--runtime-dir" in stack.output()


def test_a_directory_that_does_not_exist_is_explained(tmp_path):
    stack = Stack(tmp_path)
    stack.config = tmp_path / "nowhere"
    stack.start(wait=False)
    assert stack.process.wait(60) == 2
    assert "nowhere" in stack.output()
    assert "Traceback" not in stack.output()


def test_without_descriptors_it_rests_and_answers_again_later(stack):
    process = psutil.Process(stack.process.pid)
    _, hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir(f"/proc/{process.pid}/fd"))
    before = resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (highest + 1, hard))
    clients = []
    try:
        for _ in range(30):
            clients.append(connect(stack))
            clients[-1].sendall(b'{"version": 1, "command": "status"}\n')
        deaf = "Too many open files"
        until(lambda: deaf in stack.log("supervisor"), what="a word about it")
        lines, used, begin = stack.log("supervisor").count(deaf), sum(process.cpu_times()[:2]), time.monotonic()
        until(lambda: stack.log("supervisor").count(deaf) >= lines + 2, what="two more tries")
        share = (sum(process.cpu_times()[:2]) - used) / (time.monotonic() - begin)
        assert share < 0.25, "it does not spin on the listener meanwhile"
    finally:
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, before)
        for client in clients:
            client.close()
    until(stack.answers, what="an answer")
    assert stack.process.poll() is None
