"""Who may import whom: the table of docs/architecture.md, held against the code."""

import ast
from pathlib import Path

import pytest

import lighthouse
import lighthouse.ipc
import lighthouse.workers

VALUES = {
    "advertise", "cluster", "errors", "exact", "guard", "health", "hostname", "identity", "nerve", "node", "options", "peer",
    "plan", "preview", "records", "role", "schedule", "service", "service_state", "selection", "settings", "version",
}  # fmt: skip
API = {"balancer", "check", "configurable", "discovery", "pluggable", "secrets"}
PLUGINS = {"checks", "directory", "haproxy", "zookeeper"}
MAY = {
    "values": {"values"},
    "api": {"values", "api"},
    "plugins": {"values", "api", "plugins"},
    "ipc": {"ipc"},
    "supervisor": {"ipc", "values", "supervisor", "log"},
    "workers": {"values", "api", "plugins", "ipc", "workers", "log", "config"},
    "config": {"values", "api", "config"},
    "log": {"values", "log"},
    "testing": {"values", "api", "ipc", "workers", "config", "testing"},
    "cli": {"values", "cli", "ipc", "paths", "daemon"},
    "paths": {"values"},
    "preload": {"workers"},
    "daemon": {"values", "ipc", "supervisor", "workers", "log", "paths", "preload"},
}


def room_of(module):
    parts = module.split(".")
    name = parts[1] if len(parts) > 1 else "version"
    if name in VALUES:
        return "values"
    if name in API:
        return "api"
    return "plugins" if name in PLUGINS else name


def sources():
    for package in (lighthouse, lighthouse.ipc, lighthouse.workers):
        root = Path(package.__file__).parent
        for path in sorted(root.rglob("*.py")):
            inner = path.relative_to(root).with_suffix("").parts
            yield ".".join((package.__name__, *(part for part in inner if part != "__init__"))), path


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield f"{node.module}.{alias.name}" if node.module == "lighthouse" else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize(("module", "path"), [pytest.param(*pair, id=pair[0]) for pair in sources()])
def test_no_arrow_that_the_table_forbids(module, path):
    if module == "lighthouse":
        return
    allowed = MAY[room_of(module)]
    wrong = {name for name in imports(path) if name.split(".")[0] == "lighthouse" and room_of(name) not in allowed}
    assert not wrong


def test_the_inner_rooms_import_nothing_from_outside_the_standard_library():
    import sys

    for module, path in sources():
        room = room_of(module)
        if room in ("values", "ipc"):
            outside = {name.split(".")[0] for name in imports(path)} - sys.stdlib_module_names - {"lighthouse"}
            assert outside <= ({"msgpack"} if room == "ipc" else set()), module
