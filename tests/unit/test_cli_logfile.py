import os
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lighthouse.cli import logfile
from lighthouse.cli.logfile import follow, last_lines, rotated, settled, successor, tail
from support.wait import until

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def rotate(path):
    for number in range(5, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.exists():
            older.rename(path.with_name(f"{path.name}.{number + 1}"))
    path.rename(path.with_name(f"{path.name}.1"))


def write(path, *lines):
    with path.open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "checker.log"
    write(path, "one", "two")
    rotate(path)
    write(path, "three", "four")
    rotate(path)
    write(path, "five", "six")
    return path


@pytest.mark.parametrize(
    ("wanted", "lines"),
    [
        (0, []),
        (1, [b"six"]),
        (3, [b"four", b"five", b"six"]),
        (50, [b"one", b"two", b"three", b"four", b"five", b"six"]),
    ],
)
def test_the_last_lines_reach_into_rotated_files(log, wanted, lines):
    assert last_lines(rotated(log), wanted) == lines


def test_a_missing_log_has_no_lines(tmp_path):
    assert last_lines(rotated(tmp_path / "none"), 5) == []


@unhurried
@given(
    lines=st.lists(st.binary(max_size=9).map(lambda line: line.replace(b"\n", b"")), min_size=1),
    wanted=st.integers(0, 9),
)
def test_a_tail_is_the_end_of_the_file(tmp_path_factory, lines, wanted):
    path = tmp_path_factory.getbasetemp() / "tail.log"
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    with path.open("rb") as file:
        assert tail(file, wanted) == (lines[-wanted:] if wanted else [])
        assert file.read() == b""


def test_a_tail_longer_than_a_block(tmp_path):
    path = tmp_path / "long.log"
    lines = [b"%d" % number + b"x" * 100 for number in range(3000)]
    path.write_bytes(b"\n".join(lines) + b"\n")
    with path.open("rb") as file:
        assert tail(file, 2000) == lines[-2000:]


def collect(path, wanted, seen):
    for line in follow(path, wanted):
        if line == b"end":
            return
        seen.append(line)


@pytest.fixture
def following(log):
    seen = []
    thread = threading.Thread(target=collect, args=(log, 3, seen))
    thread.start()
    until(lambda: len(seen) == 3, what="the last lines")
    yield seen
    write(log, "end")
    thread.join(30)
    assert not thread.is_alive()


def test_following_goes_on_across_rotations(log, following):
    assert following == [b"four", b"five", b"six"]
    write(log, "seven")
    rotate(log)
    write(log, "eight")
    rotate(log)
    write(log, "nine")
    until(lambda: following[3:] == [b"seven", b"eight", b"nine"], what="the new lines, each once")


def test_following_waits_for_the_end_of_a_line(log, following):
    with log.open("a") as file:
        file.write("half")
        file.flush()
        write(log.with_name("other"), "x")
        file.write(" and half\n")
    until(lambda: following[3:] == [b"half and half"], what="the whole line")


def test_following_begins_in_the_middle_of_a_line(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"one\nha")
    lines = follow(path, 5)
    assert next(lines) == b"one"
    with path.open("ab") as file:
        file.write(b"lf\n")
    assert next(lines) == b"half"
    lines.close()


def test_following_survives_truncation(log, following):
    os.truncate(log, 0)
    write(log, "a")
    until(lambda: following[3:] == [b"a"], what="the line after the truncation")


def test_a_line_without_end_is_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(logfile, "BLOCK", 8)
    path = tmp_path / "log"
    write(path, "first")
    lines = follow(path, 1)
    assert next(lines) == b"first"
    with path.open("ab") as file:
        file.write(b"x" * 30)
    assert len(next(lines)) <= 16
    lines.close()


def test_the_successor_of_a_lost_file_is_the_oldest(log):
    assert successor(log, 0) == log.with_name("checker.log.2")
    assert successor(log, log.stat().st_ino) is None
    assert successor(log, log.with_name("checker.log.2").stat().st_ino) == log.with_name("checker.log.1")


def test_a_dump_is_read_from_where_it_starts(log):
    offset = log.stat().st_size
    write(log, "Thread 0x1", "  File x")
    assert settled(log, offset, quiet=0.05) == b"Thread 0x1\n  File x\n"


def test_a_dump_that_does_not_come_is_empty(log):
    assert settled(log, log.stat().st_size, patience=0.1) == b""


def test_a_dump_into_a_log_that_was_rotated_meanwhile(log):
    write(log, "x" * 100)
    offset = log.stat().st_size
    rotate(log)
    write(log, "Thread 0x1")
    assert settled(log, offset, quiet=0.05) == b"Thread 0x1\n"
