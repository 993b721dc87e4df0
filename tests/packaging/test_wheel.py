"""The wheel as it is installed. `make wheel-test` builds it and runs these in an environment of its own, outside the checkout."""

import configparser
import os
import subprocess
import sys
import zipfile
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import lighthouse
from lighthouse.version import __version__

pytestmark = pytest.mark.skipif("LIGHTHOUSE_WHEEL" not in os.environ, reason="`make wheel-test` runs these")

PROGRAMS = ("lighthouse", "lighthouse-supervisor", "lighthouse-writer", "lighthouse-reporter")
GROUPS = ("lighthouse.balancers", "lighthouse.discovery", "lighthouse.checks")


@pytest.fixture
def names():
    with zipfile.ZipFile(os.environ["LIGHTHOUSE_WHEEL"]) as wheel:
        return wheel.namelist()


def program(name, *arguments, **environment):
    command = [str(Path(sys.executable).with_name(name)), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **environment}
    )


def test_what_is_tested_is_what_was_installed():
    for module in ("lighthouse", "lighthouse.workers", "lighthouse.ipc", "lighthouse.cli.main"):
        path = Path(import_module(module).__file__)
        assert path.is_relative_to(sys.prefix), path
        assert not path.is_relative_to(os.environ["LIGHTHOUSE_CHECKOUT"]), path


def test_only_our_own_names_reach_site_packages(names):
    metadata = f"lighthouse-{__version__}.dist-info"
    assert {name.partition("/")[0] for name in names} == {"lighthouse", metadata}


def test_every_module_of_the_checkout_is_in_the_wheel(names):
    checkout = Path(os.environ["LIGHTHOUSE_CHECKOUT"])
    rooms = {"lighthouse": "lighthouse", "workers": "lighthouse/workers", "ipc": "lighthouse/ipc"}
    expected = {
        f"{target}/{path.relative_to(checkout / room)}"
        for room, target in rooms.items()
        for path in (checkout / room).rglob("*.py")
    }
    assert {name for name in names if name.endswith(".py")} == expected
    assert "lighthouse/py.typed" in names


def test_every_entry_point_can_be_loaded(names):
    (path,) = (name for name in names if name.endswith(".dist-info/entry_points.txt"))
    with zipfile.ZipFile(os.environ["LIGHTHOUSE_WHEEL"]) as wheel:
        declared = configparser.ConfigParser(delimiters=("=",))
        declared.read_string(wheel.read(path).decode())
    assert set(declared.sections()) == {"console_scripts", *GROUPS}
    assert set(declared["console_scripts"]) == set(PROGRAMS)
    for group in declared.sections():
        for name in declared[group]:
            (found,) = (item for item in entry_points(group=group, name=name) if item.dist.name == "lighthouse")
            assert callable(found.load()), found


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_programs_run(name):
    result = program(name, "--version")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.strip().endswith(f"version {lighthouse.__version__}")
    assert program(name, "--help").stdout.startswith(f"Usage: {name} ")


@pytest.mark.parametrize("name", PROGRAMS[1:])
def test_a_daemon_without_its_configuration_says_so(name, tmp_path):
    result = program(name, str(tmp_path / "none"))
    assert result.returncode == 2
    assert "none' does not exist" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("form", [["status"], ["status", "--json"], ["workers"]])
def test_ctl_without_a_supervisor(form, tmp_path):
    result = program("lighthouse", "ctl", *form, LIGHTHOUSE_SOCKET=str(tmp_path / "none.sock"))
    assert (result.returncode, result.stdout) == (3, "")
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("lighthouse ctl: no supervisor runs")


def test_a_plan_for_an_empty_directory(tmp_path):
    """It is made by a process of its own, which must find the installed modules."""
    for name in ("balancers", "clusters", "discovery", "services"):
        (tmp_path / name).mkdir()
    result = program("lighthouse", "plan", str(tmp_path), XDG_RUNTIME_DIR=str(tmp_path))
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.endswith("plan: nothing would change\n")
