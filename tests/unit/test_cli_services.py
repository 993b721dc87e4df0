"""Taking services out of service, on the command line."""

import json

import pytest
from click.testing import CliRunner

from lighthouse.cli import sessions
from lighthouse.cli.ctl import ctl
from lighthouse.cli.sessions import established
from support.control import ControlServer, ok, packed, raw_status

TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0100007F:1F40 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0
   2: 0100007F:D431 0100007F:1F40 01 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0
   3: 0100007F:1F40 0100007F:D432 06 00000000:00000000 00:00000000 00000000     0        0 0 3 0
"""
TCP6 = """  sl  local_address                         remote_address                        st
   0: 00000000000000000000000001000000:1F40 00000000000000000000000001000000:C001 01 x
   1: damaged
"""


def test_established_connections_are_counted_by_their_local_port(tmp_path):
    (tmp_path / "tcp").write_text(TCP)
    (tmp_path / "tcp6").write_text(TCP6)
    tables = [tmp_path / name for name in ("tcp", "tcp6", "none")]
    assert established([8000, 9000], tables) == {8000: 2, 9000: 0}


@pytest.fixture
def run(tmp_path):
    def run(*arguments, announced="withdrawn"):
        status = raw_status()
        report = {"announced": {"web": {"8001": announced}}, "complete": True}
        status["reports"]["discovery/directory"] = packed(report)
        answers = {"status": ok(status), "drain": ok({"services": ["web"]}), "maintenance": ok({"services": ["web"]})}
        path = tmp_path / "s"
        with ControlServer(path, answers) as server:
            result = CliRunner().invoke(ctl, ["--socket", str(path), *arguments])
        return result.exit_code, result.output, server.asked

    return run


def test_drain_waits_for_the_registry(run):
    code, output, asked = run("drain", "web", "--wait", "--reason", "disk")
    assert (code, output) == (0, "web: withdrawn; sessions that remain: none\n")
    assert asked[0]["args"] == {"service": "web", "on": True, "reason": "disk", "until_boot": False}
    code, output, _ = run("drain", "web", "--wait", "--timeout", "1s", announced="up")
    assert (code, output.splitlines()[0]) == (
        1,
        "web: not withdrawn yet (see `lighthouse ctl status`); sessions that remain: none",
    )
    code, output, _ = run("drain", "web", announced="up")
    assert code == 0, "without --wait it is only told"


def test_drain_waits_for_sessions_only_once_nothing_is_announced(run, monkeypatch):
    counts = iter([3, 2, 0, 7])
    monkeypatch.setattr(sessions, "established", lambda ports: dict.fromkeys(ports, next(counts)))
    wait = ("drain", "web", "--wait", "--wait-sessions")
    assert run(*wait, "1m")[:2] == (0, "web: withdrawn; sessions that remain: none\n")
    code, output, _ = run(*wait, "1m", "--timeout", "1s", announced="up")
    assert (code, "sessions that remain: 7 on port 8001" in output) == (1, True)
    monkeypatch.setattr(sessions, "established", lambda ports: dict.fromkeys(ports, 1))
    assert run(*wait, "1s")[:2] == (1, "web: withdrawn; sessions that remain: 1 on port 8001\n")


def test_drain_as_json_and_off(run):
    code, output, _ = run("drain", "--all", "--json")
    assert (code, json.loads(output)) == (0, {"services": {"web": {"withdrawn": True, "sessions": {"8001": 0}}}})
    code, output, asked = run("drain", "--all", "--off")
    assert (code, output, asked[0]["args"]["on"]) == (0, "web: no longer draining\n", False)


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("1h30m", 5400), ("2d", 172800)])
def test_maintenance_for_a_time(run, text, seconds):
    code, _, asked = run("maintenance", "web", "on", "--for", text)
    assert (code, asked[0]["args"]["for"]) == (0, seconds)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["maintenance", "web", "on", "--for", "30"], "write for example 90s, 30m, 1h30m or 2d"),
        (["maintenance", "web", "on", "--for", "0m"], "no duration"),
        (["maintenance", "web", "on", "--for", "-5m"], "no duration"),
        (["maintenance", "web", "on", "--for", "9" * 400 + "s"], "no duration"),
        (["drain", "web", "--wait", "--timeout", "9" * 5000 + "d"], "no duration"),
        (["maintenance", "web", "maybe"], "'maybe' is not one of 'on', 'off'"),
        (["maintenance", "web", "off", "--for", "5m"], "belong to `on`"),
        (["drain"], "either a SERVICE or --all"),
        (["drain", "web", "--all"], "either a SERVICE or --all"),
        (["drain", "web", "--off", "--wait"], "--off goes with no other option"),
        (["drain", "web", "--off", "--wait-sessions", "1m"], "--off goes with no other option"),
        (["drain", "web", "--wait-sessions", "1m"], "--wait-sessions needs --wait"),
    ],
)
def test_wrong_use(run, arguments, told):
    code, output, asked = run(*arguments)
    assert (code, asked) == (2, [])
    assert told in output
