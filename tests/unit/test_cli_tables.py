import io

import pytest
from rich.console import Console

from lighthouse.cli import tables
from lighthouse.cli.document import document
from support.control import node, packed, raw_status, worker

LONG = "x" * 300


def drawn(raw, width=100):
    output = io.StringIO()
    Console(file=output, width=width, highlight=False).print(tables.status(document(raw)))
    return output.getvalue()


def bad_status():
    raw = raw_status(
        workers=[worker("balancer/haproxy"), worker("checker/" + LONG, "backoff", reason=LONG, retry_in=3)]
    )
    raw["clusters"][LONG] = {
        "discovery": LONG,
        "stale": True,
        "age": 1e9,
        "members": packed({"nodes": [node(LONG, 1)] * 40}),
    }
    raw["services"]["a"] = {
        "discovery": LONG,
        "held": True,
        "ports": {
            "1": {"state": "down", "since": 0.0, "checks": {LONG: {"state": "down", "streak": -1, "reason": LONG}}}
        },
    }
    raw["config"]["files"][LONG] = {"state": "refused", "error": LONG}
    return raw


@pytest.mark.parametrize("width", [100, 80])
def test_it_fits(width):
    assert max(len(line) for line in drawn(bad_status(), width).splitlines()) <= width


def test_a_healthy_host():
    text = drawn(raw_status())
    lines = text.splitlines()
    assert lines[0].startswith("OK  lighthouse 2.0, pid 4241, up 2m 40s")
    assert "balancer/haproxy" in text
    assert "2/2" in text
    assert "a:8001, b:8002" in text
    assert "http up" in text
    assert "FILE" not in text


def test_what_this_host_does_not_use_is_counted_apart():
    raw = raw_status()
    nodes = [node(name, 1) for name in "abcde"]
    raw["clusters"]["web"]["members"] = packed({"nodes": nodes, "refused": [{"record": "x", "reason": "y"}]})
    report = {
        "servers": {"web": {"a:1": "up", "b:1": "down"}},
        "left_out": {"web": dict.fromkeys(["c:1", "d:1", "e:1"], "zone")},
    }
    raw["reports"]["balancer/haproxy"] = packed(report)
    (line,) = (line for line in drawn(raw).splitlines() if line.startswith("web ") and "/" in line)
    assert "1/2" in line
    assert line.rstrip().endswith("b:1 down, 1 record refused, 3 unused, a:1")
    assert "cluster web: 1 of 2 nodes not up: b:1 down" in drawn(raw)


def test_ages_are_those_of_the_supervisors_clock():
    (line,) = (line for line in drawn(raw_status()).splitlines() if line.startswith("checker/web"))
    assert line.split()[:8] == ["checker/web", "up", "1m", "00s", "4242", "0", "6.0", "MiB"]


def test_the_worst_comes_first():
    lines = drawn(bad_status()).splitlines()
    assert lines[0].startswith("DEGRADED")
    assert lines[1].startswith("! ")
    order = [line.split()[0] for line in lines if line.split()[:1] and line.split()[0].isupper()]
    assert order == ["DEGRADED", "WORKER", "CLUSTER", "SERVICE", "FILE"]
    (row,) = (number for number, line in enumerate(lines) if line.startswith("WORKER"))
    assert lines[row + 1].startswith("checker/")
    assert lines[row + 2].startswith("balancer/")


def test_what_is_not_fine_is_cut_and_not_wrapped():
    assert "…" in drawn(bad_status())


def test_only_files_that_are_not_in_force_are_listed():
    raw = raw_status()
    raw["config"]["files"]["/c/bad.yaml"] = {"state": "held", "error": "line 3: rise must be a number"}
    text = drawn(raw).partition("FILE")[2]
    assert "/c/bad.yaml" in text
    assert "held" in text
    assert "web.yaml" not in text


def test_many_problems_are_counted():
    raw = raw_status()
    raw["config"]["files"] = {f"/c/{number}.yaml": {"state": "held", "error": "x"} for number in range(15)}
    text = drawn(raw)
    assert sum(line.startswith("! ") for line in text.splitlines()) == tables.SHOWN_PROBLEMS + 1
    assert "and 5 more" in text


def test_each_mistake_in_a_file_is_a_line_of_its_own():
    raw = raw_status()
    errors = [f"web.yaml:{number}: wrong\x1b" for number in range(1, 31)]
    raw["config"]["files"] = {"web.yaml": {"state": "refused", "error": "\n".join(errors)}}
    lines = [line.rstrip() for line in drawn(raw).splitlines()]
    at = lines.index("! file web.yaml is refused:")
    assert lines[at + 1 : at + 4] == [f"    web.yaml:{number}: wrong\\x1b" for number in (1, 2, 3)]
    assert lines[at + tables.SHOWN_LINES] == f"    and {31 - tables.SHOWN_LINES} more, see `lighthouse ctl reload`"
    assert lines[-1].split(maxsplit=2) == ["web.yaml", "refused", "30 problems, see above"]


def test_nothing_from_outside_reaches_the_terminal_raw():
    evil = "\x1b]0;owned\x07[bold]\u202e"
    raw = raw_status(workers=[worker("checker/" + evil, evil, reason=evil)])
    raw["clusters"][evil] = {
        "discovery": evil,
        "stale": False,
        "age": 1.0,
        "members": packed({"nodes": [node(evil, 1)]}),
    }
    raw["services"] = {
        evil: {"discovery": evil, "ports": {evil: {"state": evil, "since": evil, "checks": {evil: {"reason": evil}}}}}
    }
    raw["config"]["files"] = {evil: {"state": "refused", "error": evil}}
    raw["supervisor"]["version"] = evil
    text = drawn(raw, 200)
    assert text.replace("\n", "").isprintable()
    assert "[bold]" in text


def test_damaged_shapes_are_drawn():
    raw = raw_status(workers=[{}, {"memory": 3, "call": [], "last_exit": "x"}])
    raw["services"] = {"a": {"ports": {"1": None, "2": {"checks": {"http": 5}}}}, "b": {}}
    raw["supervisor"] = {}
    raw["config"]["files"] = {"x": None}
    assert drawn(raw)


def test_a_note_says_what_matters_most():
    rows = [
        worker("a", reason="bad password", retry_in=4, call={"name": "connect", "age": 9, "deadline": 10}),
        worker("b", call={"name": "connect", "age": 9, "deadline": 10}),
        worker("c", last_exit={"reason": "exit code 3", "at": 1_000_000.0}),
        worker("d", call={"name": "check", "age": 0.1, "deadline": 10}),
    ]
    output = io.StringIO()
    Console(file=output, width=100).print(tables.workers(rows, 1_000_061.0))
    text = output.getvalue()
    assert "bad password, next try in 4s" in text
    assert "in connect for 9s" in text
    assert "last exit 1m 01s ago: exit code 3" in text
    assert "check for" not in text


def test_flapping_is_counted_and_a_service_without_a_check_is_warned_of():
    raw = raw_status()
    port = {"state": "up", "since": 1.0, "verdict": "up", "checks": {}}
    raw["services"]["flappy"] = {
        "discovery": "d",
        "held": False,
        "ports": {"1": {**port, "flap": {"held": True, "changes": 6}}},
    }
    text = drawn(raw)
    assert "held, 6 changes" in text
    assert "~ service flappy has no check" in text
