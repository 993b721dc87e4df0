"""Rotation on real files: nothing is lost, whatever happens around it."""

import os
import resource
import stat
import subprocess
import sys
import textwrap

import pytest

from lighthouse.log.rotation import LogFile


def write(log, text):
    os.write(log._fd, text.encode())


@pytest.fixture
def path(tmp_path):
    return tmp_path / "logs" / "web.log"


@pytest.fixture
def log(path):
    log = LogFile(path, 10, 3)
    yield log
    log.close()


def test_the_file_is_private_from_its_creation(log, path):
    mode = stat.S_IMODE(path.stat().st_mode)
    assert mode & 0o137 == 0
    assert not os.get_inheritable(log._fd)


def test_a_small_file_is_left_alone(log, path):
    write(log, "1234567890")
    assert log.rotate_if_needed() is False
    assert path.read_text() == "1234567890"
    assert len(list(path.parent.iterdir())) == 1


def test_a_large_file_is_rotated_and_the_oldest_goes(log, path):
    for number in range(5):
        write(log, f"number {number} is long\n")
        assert log.rotate_if_needed() is True
    kept = {item.name: item.read_text() for item in path.parent.iterdir()}
    assert kept == {
        "web.log": "",
        "web.log.1": "number 4 is long\n",
        "web.log.2": "number 3 is long\n",
        "web.log.3": "number 2 is long\n",
    }


@pytest.mark.parametrize("how", ["deleted", "moved", "replaced", "directory deleted"])
def test_a_file_that_was_taken_away_is_opened_anew(log, path, how):
    write(log, "before")
    if how == "deleted":
        path.unlink()
    elif how == "moved":
        path.rename(path.with_suffix(".old"))
    elif how == "replaced":
        path.rename(path.with_suffix(".old"))
        path.write_text("new: ")
    else:
        path.unlink()
        path.parent.rmdir()
    assert log.rotate_if_needed() is True
    write(log, "after")
    assert path.read_text() == ("new: after" if how == "replaced" else "after")
    assert log.rotate_if_needed() is False


def test_where_no_new_file_can_be_made_the_old_one_goes_on(log, path):
    write(log, "x" * 20)
    (path.parent / "web.log.1").mkdir()
    (path.parent / "web.log.1" / "inside").touch()
    path.parent.joinpath("web.log.2").mkdir()
    path.parent.joinpath("web.log.3").write_text("third")
    path.parent.joinpath("web.log.2", "inside").touch()
    assert log.rotate_if_needed() is False
    write(log, "y")
    assert path.read_text() == "x" * 20 + "y"


def test_a_rename_without_a_new_file_is_made_good_later(log, path):
    write(log, "x" * 20)
    lowest = os.dup(log._fd)
    os.close(lowest)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
    try:
        assert log.rotate_if_needed() is False
        assert log.rotate_if_needed() is False
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    write(log, "y")
    assert (path.parent / "web.log.1").read_text() == "x" * 20 + "y"
    assert log.rotate_if_needed() is True
    write(log, "z")
    assert path.read_text() == "z"


def test_a_missing_directory_that_cannot_be_made_is_tried_again(log, path):
    path.unlink()
    path.parent.rmdir()
    path.parent.write_text("in the way")
    assert log.rotate_if_needed() is False
    write(log, "into the deleted file")
    path.parent.unlink()
    assert log.rotate_if_needed() is True
    write(log, "back")
    assert path.read_text() == "back"


def test_a_rotation_cut_short_pushes_nothing_out(log, path):
    path.parent.joinpath("web.log.2").write_text("second")
    path.parent.joinpath("web.log.3").write_text("third")
    write(log, "x" * 20)
    assert log.rotate_if_needed() is True
    assert path.parent.joinpath("web.log.1").read_text() == "x" * 20
    assert path.parent.joinpath("web.log.2").read_text() == "second"
    assert path.parent.joinpath("web.log.3").read_text() == "third"


def test_a_directory_that_is_a_file_is_told_at_the_start(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        LogFile(tmp_path / "file" / "x.log", 10, 1)


WRITERS = textwrap.dedent("""
    import os, subprocess, sys, threading, time
    from lighthouse.log.rotation import LogFile

    LINES = 15000
    log = LogFile(sys.argv[1], 32768, 99)
    log.attach()

    def write(fd, name):
        for number in range(LINES):
            os.write(fd, f"{name} {number} {'x' * 40}\\n".encode())
            if number % 100 == 0:
                time.sleep(0.001)  # lets the thread that rotates have its turn

    writers = [threading.Thread(target=write, args=(fd, f"thread{fd}")) for fd in (1, 2)]
    code = "import os\\nfor n in range(%d): os.write(2, f'child {n} {\\"x\\" * 40}\\\\n'.encode())" % LINES
    child = subprocess.Popen([sys.executable, "-c", code])
    for writer in writers:
        writer.start()
    rotations = 0
    while child.poll() is None or any(writer.is_alive() for writer in writers):
        rotations += log.rotate_if_needed()
    os.write(1, f"rotations {rotations}\\n".encode())
""")


def test_no_line_is_lost_or_doubled_while_threads_and_a_child_write(path):
    subprocess.run([sys.executable, "-c", WRITERS, str(path)], check=True, timeout=200)
    lines = [line for item in path.parent.iterdir() for line in item.read_text().splitlines()]
    rotations = next(line for line in lines if line.startswith("rotations"))
    assert int(rotations.split()[1]) >= 10
    lines.remove(rotations)
    expected = [f"{name} {number} {'x' * 40}" for name in ("thread1", "thread2", "child") for number in range(15000)]
    assert sorted(lines) == sorted(expected)
