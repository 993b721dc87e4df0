"""The example unit, judged by systemd itself."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "examples" / "systemd"
UNIT = UNITS / "lighthouse-supervisor.service"
DRAIN = UNITS / "lighthouse-drain.service"


def verified(unit):
    return subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(unit)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def copy(tmp_path):
    """The unit with a program that exists: whether Lighthouse is installed in /usr/bin is not the unit's fault."""
    text, count = re.subn(r"(?m)^ExecStart=\S+", f"ExecStart={shutil.which('true')}", UNIT.read_text())
    assert count == 1
    target = tmp_path / UNIT.name
    target.write_text(text)
    return target


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze, from the package systemd")
def test_systemd_accepts_every_line(copy):
    result = verified(copy)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze, from the package systemd")
def test_systemd_would_complain_about_a_wrong_one(copy):
    copy.write_text(copy.read_text().replace("[Service]", "[Service]\nProtectEverything=yes"))
    assert "ProtectEverything" in verified(copy).stderr


def test_haproxy_survives_a_stop():
    assert re.search(r"(?m)^KillMode=process$", UNIT.read_text())
    assert re.search(r"(?m)^RuntimeDirectoryPreserve=yes$", UNIT.read_text())


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze, from the package systemd")
def test_systemd_accepts_the_unit_that_drains_a_host():
    result = verified(DRAIN)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize(("state", "drains"), [("running", False), ("degraded", False), ("stopping", True)])
def test_it_drains_only_while_the_system_goes_down(tmp_path, state, drains):
    """Its ExecStop, run by a shell that finds a `systemctl` which says so, and a `lighthouse` that tells how it was called."""
    [line] = re.findall(r"(?m)^ExecStop=-/bin/sh -c '(.*)'$", DRAIN.read_text())
    for name, script in {"systemctl": f"echo {state}", "lighthouse": "echo called: $*"}.items():
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    command = line.replace("/usr/bin/lighthouse", str(tmp_path / "lighthouse"))
    path = f"{tmp_path}:/usr/bin:/bin"
    done = subprocess.run(["/bin/sh", "-c", command], env={"PATH": path}, capture_output=True, text=True, check=True)
    called = "called: ctl drain --all --wait --timeout 30s --until-boot --reason shutdown\n"
    assert done.stdout == (called if drains else "")
