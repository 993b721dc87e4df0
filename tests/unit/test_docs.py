"""The documents, held against the code: their examples are run, their tables and names compared."""

import importlib
import inspect
import re
import socket
import sys
import threading
import tomllib
from dataclasses import fields
from importlib.metadata import entry_points
from pathlib import Path
from typing import get_type_hints

import pytest
from test_rooms import MAY

import lighthouse
import lighthouse.ipc
import lighthouse.workers
from lighthouse.cli.ctl import ctl
from lighthouse.config.plugins import BALANCERS, CHECKS, DISCOVERY
from lighthouse.config.services import _CHECK
from lighthouse.options import REQUIRED
from lighthouse.plan import FileState
from lighthouse.settings import SECTIONS, Settings
from lighthouse.supervisor.worker import WorkerState
from lighthouse.testing.registry import Feature, Registry
from lighthouse.workers.probe import Attempt, build
from support.config_directory import Directory
from support.plugin_site import write_distribution

DOCS = Path(__file__).parents[2] / "docs"
ALL = sorted(DOCS.rglob("*.md"))
CONFIGURATION = (DOCS / "configuration.md").read_text()
PLUGINS = (DOCS / "plugins.md").read_text()
_EXAMPLE = re.compile(r"^`(?P<file>[\w./-]+)`\n\n```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_OPTIONS = re.compile(r"^<!-- options: (?P<reference>\S+) -->$", re.MULTILINE)


def examples(text, kind):
    """The fenced blocks of a kind, by the file that the line before them names."""
    found = {match["file"]: match["text"] for match in _EXAMPLE.finditer(text) if match["kind"] == kind}
    assert len(found) == text.count(f"```{kind}\n"), (
        f"each {kind} block follows a line with the name of its file, used once"
    )
    return found


def table(text):
    """The rows of the first table in a text."""
    lines = text[text.index("\n|") + 1 :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


# examples ------------------------------------------------------------------------------------------------------------


def test_the_examples_are_one_configuration_that_is_accepted(tmp_path):
    files = examples(CONFIGURATION, "yaml")
    compiled = Directory(tmp_path, files).compile()
    assert compiled.plan.files.keys() == files.keys()
    assert [file.error for file in compiled.plan.files.values() if file.state is not FileState.OK] == []
    assert compiled.plan.workers.keys() == {
        "balancer/haproxy", "checker/cache", "checker/queue", "checker/sessions", "checker/shop", "checker/web",
        "discovery/directory", "discovery/zookeeper",
    }  # fmt: skip


class Memcached:
    """Answers each connection with prepared statistics."""

    def __init__(self):
        self.answer = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        while True:
            connection, _ = self._listener.accept()
            with connection:
                if connection.recv(100) != b"stats\r\n":
                    return
                connection.sendall(self.answer)

    def close(self):
        with socket.create_connection(("127.0.0.1", self.port)) as last:
            last.sendall(b"end")
        self._thread.join()
        self._listener.close()


@pytest.fixture
def memcached():
    server = Memcached()
    yield server
    server.close()


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """The documented plugin, installed for one test."""
    project = tomllib.loads(examples(PLUGINS, "toml")["pyproject.toml"])["project"]
    groups = "\n".join(
        f"[{group}]\n" + "\n".join(f"{name} = {value}" for name, value in entries.items())
        for group, entries in project["entry-points"].items()
    )
    modules = {Path(file).stem: text for file, text in examples(PLUGINS, "python").items()}
    write_distribution(tmp_path / "site", "documented", groups, modules)
    for module in modules:
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    yield Directory(tmp_path / "conf", {"discovery/directory.yaml": f"path: {tmp_path}/registry\n"})
    for module in modules:
        sys.modules.pop(module, None)


def found(probe):
    _, finding = probe.call(Attempt(0.0, 0.0, 0.0))
    return finding.passed, finding.text


def test_the_example_of_a_check_works(plugin, memcached):
    ((file, text),) = examples(PLUGINS, "yaml").items()
    plugin.write(file, text)
    compiled = plugin.compile()
    assert compiled.plan.files[file].error is None
    (blob,) = (blob for worker, blob in compiled.blobs.items() if worker.startswith("checker/"))
    blob["service"]["ports"] = [memcached.port]
    (probe,) = build(blob)
    memcached.answer = b"STAT pid 17\r\nSTAT curr_connections 12\r\nEND\r\n"
    assert found(probe) == (True, "curr_connections is 12")
    memcached.answer = b"STAT pid 17\r\nSTAT curr_connections 1000\r\nEND\r\n"
    assert found(probe) == (False, "curr_connections is 1000")
    memcached.answer = b"ERROR\r\n"
    assert found(probe) == (False, "ConnectionError: not an answer of memcached")


def test_the_example_of_a_check_judges_its_configuration(plugin):
    ((file, text),) = examples(PLUGINS, "yaml").items()
    assert "below: 900" in text
    for old, new, key in (
        ("below: 900", "below: 0", "checks.memcached.below"),
        ("below: 900", "below: 900\n    statistic: not one word", "checks.memcached.statistic"),
    ):
        (error,) = plugin.errors(file, text.replace(old, new))
        assert key in error


# tables --------------------------------------------------------------------------------------------------------------


def number(text):
    """What a cell says of a default."""
    return (
        float(text)
        if re.fullmatch(r"[\d.]+", text)
        else {"none": None, "empty": "", "true": True, "false": False}.get(text, text)
    )


def limits(minimum, maximum):
    if minimum is None:
        return ""
    return f"at least {minimum:g}" if maximum is None else f"{minimum:g} to {maximum:g}"


def declared(kind, prefix=""):
    hints = get_type_hints(kind)
    for item in fields(kind):
        if hints[item.name] in SECTIONS:
            yield from declared(hints[item.name], f"{item.name}.")
        else:
            yield f"`{prefix}{item.name}`", item.default, limits(item.metadata["minimum"], item.metadata["maximum"])


def test_the_table_of_settings_is_that_of_the_code():
    rows = table(CONFIGURATION[CONFIGURATION.index("<!-- settings:") :])
    assert [(key, number(default), bounds) for key, _, default, bounds, *_ in rows] == list(declared(Settings))


def resolved(reference):
    module, _, path = reference.partition(":")
    options = importlib.import_module(module)
    for part in path.split("."):
        options = getattr(options, part)
    return options


@pytest.mark.parametrize(
    "match", [pytest.param(match, id=match["reference"]) for match in _OPTIONS.finditer(CONFIGURATION)]
)
def test_the_tables_of_options_are_those_of_the_code(match):
    options = resolved(match["reference"])
    expected = [
        (
            f"`{name}`",
            "required" if option.default is REQUIRED else "" if option.default == [] else option.default,
            limits(option.minimum, option.maximum),
        )
        for name, option in options.items()
    ]
    rows = table(CONFIGURATION[match.end() :])
    assert [(key, number(default), bounds) for key, _, default, bounds, *_ in rows] == expected


def test_every_built_in_option_has_a_table():
    documented = [resolved(reference) for reference in _OPTIONS.findall(CONFIGURATION)]
    assert _CHECK in documented
    for group in (CHECKS, DISCOVERY, BALANCERS):
        for entry in entry_points(group=group):
            if entry.module.startswith("lighthouse."):
                plugin = entry.load()
                assert plugin.options in documented, entry.value
                assert (getattr(plugin, "cluster_options", None) or plugin.options) in documented, entry.value


def test_the_table_of_rooms_is_that_of_the_code():
    text = (DOCS / "architecture.md").read_text()
    rows = table(text[text.index("<!-- rooms:") :])
    assert {room: set(may.replace("`", "").split(", ")) - {"nothing"} for room, _, may, *_ in rows} == MAY


def test_the_tables_of_the_conformance_suite_are_those_of_the_code():
    text = PLUGINS[PLUGINS.index("<!-- registry:") :]
    members = [*Registry.__annotations__, *(name for name, item in vars(Registry).items() if inspect.isfunction(item))]
    expected = {name for name in members if not name.startswith("_")}
    assert {re.match(r"`(\w+)", row[0])[1] for row in table(text)} == expected
    features = [name for name in Feature.__members__ if name not in ("NONE", "ALL")]
    assert [row[0] for row in table(text[text.index("| feature |") - 1 :])] == [f"`{name}`" for name in features]


def test_the_states_of_a_worker_are_those_of_the_code():
    text = (DOCS / "architecture.md").read_text()
    rows = table(text[text.index("<!-- states:") :])
    assert [row[0] for row in rows] == [f"`{state.value}`" for state in WorkerState]


# names ---------------------------------------------------------------------------------------------------------------


PACKAGES = {"lighthouse": lighthouse, "workers": lighthouse.workers, "ipc": lighthouse.ipc}


def located(file):
    """Where a file of the repository is: a module may be installed elsewhere than the documents."""
    room, _, rest = file.partition("/")
    return Path(PACKAGES[room].__file__).parent / rest if room in PACKAGES else DOCS.parent / file


@pytest.mark.parametrize("path", [pytest.param(path, id=path.name) for path in ALL])
def test_what_a_document_refers_to_exists(path):
    text = path.read_text()
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)
    missing = [link for link in links if "://" not in link and not (path.parent / link).exists()]
    commands = set(re.findall(r"lighthouse ctl (?:--\S+ )*([a-z]+)", text)) - ctl.commands.keys()
    files = re.findall(r"`((?:lighthouse|workers|ipc|tests|examples|benchmarks|docs)/[\w./-]+\.\w+)`", text)
    gone = [file for file in files if not located(file).exists()]
    assert (missing, commands, gone) == ([], set(), [])
