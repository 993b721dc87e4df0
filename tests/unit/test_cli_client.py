import json
import os
import socket

import pytest

from lighthouse.cli import client as module
from lighthouse.cli.client import Client, ControlError, NoSupervisorError, RefusedError
from support.control import ControlServer, ok, refusal


@pytest.fixture
def path(tmp_path):
    return tmp_path / "control.sock"


def asked(path, answer):
    with ControlServer(path, {"status": answer}):
        return Client(path, timeout=5).call("status")


def test_a_request_and_its_result(path):
    with ControlServer(path, {"restart": ok({"worker": "checker/web", "state": "starting"})}) as server:
        result = Client(path).call("restart", worker="checker/web")
    assert result == {"worker": "checker/web", "state": "starting"}
    assert server.asked == [{"version": 1, "command": "restart", "args": {"worker": "checker/web"}}]


def test_an_answer_of_many_pieces(path):
    result = {"text": "x" * 3_000_000}
    assert asked(path, ok(result)) == result


@pytest.mark.parametrize(
    ("code", "exit_code"), [("usage", 2), ("denied", 4), ("busy", 4), ("stopping", 4), ("internal", 4)]
)
def test_a_refusal_carries_its_reason(path, code, exit_code):
    with pytest.raises(RefusedError, match="there is no worker x") as caught:
        asked(path, refusal(code, "there is no worker x"))
    assert (caught.value.code, caught.value.exit_code) == (code, exit_code)


@pytest.mark.parametrize("answer", [b"hello\n", b"[]\n", b"\xff\n", b"[" * 100_000 + b"\n"])
def test_something_else_listens(path, answer):
    with pytest.raises(ControlError, match="does not speak the control protocol"):
        asked(path, answer)


def test_another_version_of_the_protocol(path):
    with pytest.raises(ControlError, match=r"version 2 .* this ctl version 1"):
        asked(path, {"version": 2, "ok": True, "result": {}})


def test_an_answer_without_result(path):
    with pytest.raises(ControlError, match="no result"):
        asked(path, {"version": 1, "ok": True})


def test_an_answer_too_large(path, monkeypatch):
    monkeypatch.setattr(module, "MAX_REPLY", 1000)
    with pytest.raises(ControlError, match="longer than 1000"):
        asked(path, ok({"text": "x" * 2000}))


def test_a_request_too_large(path):
    with pytest.raises(RefusedError, match="longer than 65536"):
        Client(path).call("restart", worker="x" * 70_000)


def test_a_hang_up(path):
    with pytest.raises(NoSupervisorError, match="hung up"):
        asked(path, b"half an answer")


def test_no_answer_in_time(path):
    with ControlServer(path, {"status": None}) as server:
        with pytest.raises(NoSupervisorError, match=r"did not answer within 0\.2 s"):
            Client(path, timeout=0.2).call("status")
        server.close()


def test_an_answer_that_drips_is_not_waited_for_without_end(path):
    with ControlServer(path, {"status": b"x"}) as server:
        server.answers["status"] = lambda _: None
        with pytest.raises(NoSupervisorError, match="did not answer"):
            Client(path, timeout=0.2).call("status")
        server.close()


def test_a_full_backlog_is_waited_for(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(0)
        waiting = socket.socket(socket.AF_UNIX)
        with waiting:
            waiting.connect(str(path))
            with pytest.raises(NoSupervisorError, match="did not answer"):
                Client(path, timeout=0.2).call("status")


def test_no_socket(path):
    with pytest.raises(NoSupervisorError, match="no supervisor runs: there is no") as caught:
        Client(path).call("status")
    assert caught.value.exit_code == 3


def test_a_socket_that_was_left_behind(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    with pytest.raises(NoSupervisorError, match="left behind"):
        Client(path).call("status")


def test_a_path_too_long(tmp_path):
    with pytest.raises(NoSupervisorError, match="cannot be reached: AF_UNIX path too long"):
        Client(tmp_path / ("x" * 200)).call("status")


def test_the_listener_is_known_by_its_process(path):
    assert Client(path).listener() is None
    with ControlServer(path, {}):
        assert Client(path).listener() == os.getpid()


def test_every_request_ends_with_one_newline(path):
    with ControlServer(path, {"logs": lambda args: ok(args)}):
        assert Client(path).call("logs", worker="a\nb") == {"worker": "a\nb"}
    assert "\n" not in json.dumps({"worker": "a\nb"})
