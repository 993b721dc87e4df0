"""The example unit, judged by systemd itself."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "examples" / "systemd" / "lighthouse-supervisor.service"


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
