import json
import os
import subprocess
import sys
import threading

import pytest
from click.testing import CliRunner

from lighthouse.cli import ctl as module
from lighthouse.cli.main import main
from support.control import ControlServer, ok, raw_status, refusal, worker
from support.wait import until


@pytest.fixture
def path(tmp_path):
    return tmp_path / "control.sock"


@pytest.fixture
def ctl(path):
    def run(answers, *arguments):
        with ControlServer(path, answers) as server:
            result = CliRunner().invoke(main, ["ctl", "--socket", str(path), *arguments])
        result.asked = server.asked
        return result

    return run


def as_json(result):
    return json.loads(result.stdout)


def test_status_of_a_healthy_host(ctl):
    result = ctl({"status": ok(raw_status())}, "status")
    assert result.exit_code == 0
    assert result.stdout.startswith("OK  ")
    assert "\x1b" not in result.stdout


def test_status_with_a_problem_exits_with_1(ctl):
    result = ctl({"status": ok(raw_status(workers=[worker("checker/web", "failing")]))}, "status")
    assert result.exit_code == 1
    assert "worker checker/web is failing" in result.stdout


@pytest.mark.parametrize("arguments", [["--json", "status"], ["status", "--json"]])
def test_json_may_stand_before_or_behind_the_command(ctl, arguments):
    result = ctl({"status": ok(raw_status())}, *arguments)
    assert as_json(result)["health"] == "ok"
    assert result.exit_code == 0


def test_json_is_safe_to_look_at(ctl):
    result = ctl({"status": ok(raw_status(workers=[worker("\x1b\x7f\u009b\u202e")]))}, "status", "--json")
    assert result.stdout.replace("\n", "").isprintable()
    assert as_json(result)["workers"][0]["id"] == "\x1b\x7f\u009b\u202e"


def test_workers(ctl):
    result = ctl({"status": ok(raw_status())}, "workers")
    assert result.exit_code == 0
    assert "checker/web" in result.stdout
    assert "CLUSTER" not in result.stdout
    assert len(as_json(ctl({"status": ok(raw_status())}, "workers", "--json"))["workers"]) == 3


@pytest.mark.parametrize("verb", ["restart", "stop", "start"])
def test_steering_a_worker(ctl, verb):
    answer = {verb: ok({"worker": "checker/web", "state": "stopping"})}
    result = ctl(answer, verb, "checker/web")
    assert (result.exit_code, result.stdout) == (0, "checker/web: stopping\n")
    assert result.asked == [{"version": 1, "command": verb, "args": {"worker": "checker/web"}}]
    assert as_json(ctl(answer, verb, "checker/web", "--json")) == {"worker": "checker/web", "state": "stopping"}


def test_an_unknown_worker_is_wrong_use(ctl):
    result = ctl({"restart": refusal("usage", "there is no worker x\x1b")}, "restart", "x")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "lighthouse ctl: there is no worker x\\x1b\n"


def test_a_refusal_exits_with_4(ctl):
    assert ctl({"reload": refusal("denied", "only root may")}, "reload").exit_code == 4


@pytest.mark.parametrize("arguments", [["frobnicate"], ["restart"], ["status", "x"], ["logs", "x", "-n", "-1"]])
def test_wrong_use_exits_with_2(path, arguments):
    result = CliRunner().invoke(main, ["ctl", "--socket", str(path), *arguments])
    assert result.exit_code == 2
    assert "Usage: " in result.stderr


def test_no_supervisor_exits_with_3(path):
    result = CliRunner().invoke(main, ["ctl", "--socket", str(path), "status"])
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.count("\n") == 1
    assert str(path) in result.stderr


def test_the_socket_may_come_from_the_environment(path):
    with ControlServer(path, {"status": ok(raw_status())}):
        assert CliRunner().invoke(main, ["ctl", "status"], env={"LIGHTHOUSE_SOCKET": str(path)}).exit_code == 0


def test_without_a_default_the_error_says_what_to_give(monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 4_000_000)
    result = CliRunner().invoke(main, ["ctl", "status"], env={"XDG_RUNTIME_DIR": None, "LIGHTHOUSE_SOCKET": None})
    assert result.exit_code == 2
    assert "LIGHTHOUSE_SOCKET" in result.stderr


def test_a_dump_is_waited_for_and_printed(ctl, tmp_path):
    log = tmp_path / "log"
    log.write_text("before\n")

    def dump(_):
        offset = log.stat().st_size
        with log.open("a") as file:
            file.write("Thread 0x7f\x1b\n  File x\n")
        return ok({"log": str(log), "offset": offset})

    result = ctl({"dump": dump}, "dump", "checker/web")
    assert (result.exit_code, result.stdout) == (0, "Thread 0x7f\\x1b\n  File x\n")
    assert as_json(ctl({"dump": dump}, "dump", "checker/web", "--json"))["stacks"] == "Thread 0x7f\x1b\n  File x"


def test_a_dump_that_does_not_come(ctl, tmp_path, monkeypatch):
    monkeypatch.setattr("lighthouse.cli.logfile.settled", lambda *_: b"")
    result = ctl({"dump": ok({"log": str(tmp_path / "log"), "offset": 0})}, "dump", "checker/web")
    assert result.exit_code == 1
    assert "wrote no stacks" in result.stderr


def test_logs(ctl, tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b"one\ntwo\x1b[2J\n\xff\tthree\n")
    answer = {"logs": ok({"log": str(log)})}
    result = ctl(answer, "logs", "supervisor", "-n", "2")
    assert (result.exit_code, result.stdout) == (0, "two\\x1b[2J\n\\xff\tthree\n")
    assert as_json(ctl(answer, "logs", "supervisor", "--json"))["lines"][0] == "one"
    assert ctl(answer, "logs", "supervisor", "-f", "--json").exit_code == 2


def test_a_log_that_cannot_be_read(ctl, tmp_path):
    result = ctl({"logs": ok({"log": str(tmp_path)})}, "logs", "supervisor")
    assert result.exit_code == 1
    assert "Is a directory" in result.stderr


def test_an_answer_that_names_no_log(ctl):
    assert ctl({"logs": ok({"log": 5})}, "logs", "supervisor").exit_code == 4


def test_following_a_log_ends_with_ctrl_c(path, tmp_path):
    log = tmp_path / "log"
    log.write_text("one\n")
    command = [sys.executable, "-m", "lighthouse.cli", "ctl", "--socket", str(path), "logs", "supervisor", "-f"]
    with ControlServer(path, {"logs": ok({"log": str(log)})}):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            assert process.stdout.readline() == "one\n"
            with log.open("a") as file:
                file.write("two\n")
            assert process.stdout.readline() == "two\n"
            process.send_signal(2)
            _, errors = process.communicate(timeout=30)
        finally:
            process.kill()
            process.wait()
    assert (process.returncode, errors) == (130, "")


def compiled(number, **config):
    raw = raw_status()
    raw["config"].update(compilations=number, **config)
    return ok(raw)


def test_reload_waits_for_its_compilation(ctl):
    statuses = iter([compiled(4), compiled(4), compiled(5)])
    result = ctl({"reload": ok({"compilation": 5}), "status": lambda _: next(statuses)}, "reload")
    assert (result.exit_code, result.stdout) == (0, "the configuration is in force\n")
    assert len(result.asked) == 4


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"files": {"/c/x.yaml": {"state": "refused", "error": "line 3"}}}, "file /c/x.yaml is refused: line 3"),
        ({"error": "it took longer than 10 s"}, "the configuration could not be read: it took longer than 10 s"),
    ],
)
def test_reload_tells_what_is_refused(ctl, config, sentence):
    answers = {"reload": ok({"compilation": 5}), "status": compiled(5, **config)}
    result = ctl(answers, "reload")
    assert (result.exit_code, result.stdout) == (1, sentence + "\n")
    result = ctl(answers, "reload", "--json")
    assert (result.exit_code, as_json(result)["problems"]) == (1, [sentence])


def test_reload_gives_up(ctl, monkeypatch):
    monkeypatch.setattr(module, "COMPILED_WITHIN", 0.05)
    result = ctl({"reload": ok({"compilation": 9}), "status": compiled(5)}, "reload")
    assert result.exit_code == 1
    assert "not compiled within" in result.stderr


def test_shutdown_waits_until_the_supervisor_is_gone(path):
    going = threading.Event()
    with ControlServer(path, {"shutdown": lambda _: going.set() or ok({})}) as server:
        results = []
        thread = threading.Thread(
            target=lambda: results.append(CliRunner().invoke(main, ["ctl", "--socket", str(path), "shutdown"]))
        )
        thread.start()
        until(going.is_set, what="the request")
        assert not results
        server.close()
        thread.join(30)
    assert (results[0].exit_code, results[0].stdout) == (0, "the supervisor has stopped\n")


def test_shutdown_gives_up(ctl, monkeypatch):
    monkeypatch.setattr(module, "STOPPED_WITHIN", 0.05)
    result = ctl({"shutdown": ok({})}, "shutdown")
    assert result.exit_code == 1
    assert "did not stop within" in result.stderr


def imported_by(path, *arguments):
    """The modules that a whole `lighthouse ctl` process loads."""
    code = (
        "import atexit, sys; sys.argv = sys.argv[1:]; atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
    )
    code += "from lighthouse.cli.main import main; main()"
    command = [sys.executable, "-c", code, "lighthouse", "ctl", "--socket", str(path), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "NO_COLOR": "1"}
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


def test_ctl_stays_light(path):
    with ControlServer(path, {"status": ok(raw_status())}):
        table, document = imported_by(path, "status"), imported_by(path, "status", "--json")
    heavy = {
        "pydantic",
        "yaml",
        "kazoo",
        "inotify_simple",
        "lighthouse.supervisor",
        "lighthouse.daemon",
        "lighthouse.ipc",
    }
    assert not heavy & table
    assert not (heavy | {"rich", "asyncio", "ssl", "importlib.metadata"}) & document
    assert "rich" in table
