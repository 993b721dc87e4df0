"""Plugins that are missing, broken or odd cost only the files that need them."""

import subprocess
import sys

import pytest

from lighthouse.config.plugins import BALANCERS, CHECKS, DISCOVERY, Plugins
from lighthouse.errors import ConfigError, PluginError
from support import plugin_site
from support.config_directory import Directory


@pytest.fixture
def tree(tmp_path, monkeypatch):
    plugin_site.install(tmp_path / "site", monkeypatch)
    return Directory(tmp_path / "conf")


@pytest.fixture
def plugins(tree):
    return Plugins(lambda *_: None, {})


def test_a_plugin_is_found_by_its_entry_point(plugins):
    found = plugins.resolve(DISCOVERY, "beacon")
    assert (found.cls.__name__, found.reference) == ("Beacon", "sample_plugins:Beacon")
    assert plugins.resolve(DISCOVERY, "beacon") is found
    assert {"scales", "classic"} <= plugins.names(BALANCERS)


def test_an_unknown_plugin_is_the_files_fault(plugins):
    with pytest.raises(
        ConfigError, match=r"no plugin 'ech' .*did you mean 'echo'\? \(installed: .*echo.*\): correct the name"
    ):
        plugins.resolve(CHECKS, "ech")


@pytest.mark.parametrize(
    ("group", "name", "text"),
    [
        (
            DISCOVERY,
            "broken",
            "'broken' (sample_broken:Thing) does not load: RuntimeError: the import failed: repair or uninstall it",
        ),
        (
            CHECKS,
            "nomodule",
            "does not load: ModuleNotFoundError: No module named 'sample_not_there': install what it needs",
        ),
        (CHECKS, "noattribute", "does not load: AttributeError: "),
        (CHECKS, "exits", "does not load: SystemExit: 7"),
        (CHECKS, "syntax", "does not load: SyntaxError: "),
        (CHECKS, "needy", "'needy' (sample_plugins:Needy) lacks something it depends on"),
        (CHECKS, "wrongbase", "'wrongbase' (sample_plugins:Scales) is not a subclass of lighthouse.check.Check"),
        (CHECKS, "number", "is not a subclass of lighthouse.check.Check"),
        (CHECKS, "malformed", "'malformed' is registered as '!!', which is not 'module:Class': repair or uninstall it"),
        (CHECKS, "module", "'module' (sample_plugins:None) is not a subclass of lighthouse.check.Check"),
        (CHECKS, "twice", "registered twice, as sample_plugins:Echo, sample_plugins:Odd: uninstall one"),
    ],
)
def test_a_plugin_that_cannot_be_used_is_named_with_the_reason(plugins, group, name, text):
    for _ in range(2):  # a failure is remembered, not tried again
        with pytest.raises(PluginError) as caught:
            plugins.resolve(group, name)
        assert text in str(caught.value)


def test_a_damaged_installation_takes_nothing_out_of_force(tree, tmp_path):
    before = tree.compile()
    plugin_site.write_distribution(tmp_path / "site", "wrecked", "")
    (tmp_path / "site" / "wrecked-1.0.dist-info" / "entry_points.txt").write_bytes(b"\xff")
    after = tree.compile()
    assert after.plan.workers == before.plan.workers
    assert {file.state.value for file in after.plan.files.values()} == {"held"}
    assert all("the installed plugins cannot be listed: " in file.error for file in after.plan.files.values())


def service(check, config):
    return f"port: 1\ndiscovery: beacon\nchecks:\n  interval: 5\n  {check}:\n    rise: 1\n    fall: 1\n{config}"


@pytest.mark.parametrize(
    ("raised", "text"),
    [
        ("exit", "plugin 'odd' (sample_plugins:Odd) failed in validate_config: SystemExit: 3: repair the plugin"),
        ("key", "failed in validate_config: KeyError: 'x'"),
        ("base", "failed in validate_config: BaseException: b"),
        ("unprintable", "failed in validate_config: Unprintable: (no text)"),
        ("value", "services/a.yaml:5: key 'checks.odd': bad value"),
    ],
)
def test_whatever_a_plugin_raises_is_told_at_its_key(tree, raised, text):
    [error] = tree.errors("services/a.yaml", service("odd", f"    raise: {raised}\n"))
    assert error.startswith("services/a.yaml:5: key 'checks.odd': ")
    assert text in error


@pytest.mark.parametrize(("check", "name"), [("badoptions", "BadOptions"), ("baddefault", "BadDefault")])
def test_an_unusable_declaration_of_options_is_the_plugins_fault(tree, check, name):
    [error] = tree.errors("services/a.yaml", service(check, ""))
    assert f"plugin '{check}' (sample_plugins:{name}) declares unusable options: " in error
    assert error.endswith(": repair the plugin")


def test_a_plugin_without_declared_options_gets_the_mapping_as_it_stands(tree):
    tree.write("services/app.yaml", service("odd", "    anything: [1, {a: b}]\n    f0: x\n"))
    tree.write("balancers/classic.yaml", "output: /x\n22:22: on\n")
    tree.write("clusters/web.yaml", "discovery: beacon\nclassic: {free: [yes]}\n")
    blobs = tree.compile().blobs
    assert blobs["checker/app"]["checks"][0]["config"] == {"anything": [1, {"a": "b"}], "f0": "x"}
    assert blobs["balancer/classic"]["config"] == {"output": "/x", "22:22": "on"}
    assert blobs["balancer/classic"]["clusters"][0]["options"] == {"free": ["yes"]}


def test_the_judgement_of_a_classic_plugin(tree):
    assert tree.errors("balancers/classic.yaml", "other: 1\n") == ["balancers/classic.yaml:1: No output given"]


def test_validation_cannot_change_the_configuration(tree):
    assert tree.compile().blobs["discovery/beacon"]["config"]["hosts"] == ["one"]


def breaks(tree, monkeypatch, text):
    (tree.path.parent / "site" / "sample_plugins.py").write_text(text)
    plugin_site.forget(monkeypatch)


def test_a_plugin_that_breaks_takes_nothing_out_of_force(tree, monkeypatch):
    before = tree.compile()
    breaks(tree, monkeypatch, "raise ImportError('half installed')\n")
    after = tree.compile()
    assert after.plan.workers == before.plan.workers
    assert after.blobs == before.blobs
    assert {file.state.value for file in after.plan.files.values()} == {"held"}
    assert all("ImportError: half installed" in file.error for file in after.plan.files.values())
    breaks(tree, monkeypatch, plugin_site.PLUGINS)
    assert {file.state.value for file in tree.compile().plan.files.values()} == {"ok"}


def test_a_plugin_that_is_uninstalled_refuses_its_files(tree):
    tree.compile()
    (tree.path.parent / "site" / "sample-1.0.dist-info" / "entry_points.txt").write_text(
        plugin_site.ENTRY_POINTS.replace("beacon =", "lamp =")
    )
    result = tree.compile()
    assert result.plan.files["discovery/beacon.yaml"].state.value == "refused"
    assert result.plan.files["clusters/web.yaml"].state.value == "held"
    assert result.plan.clusters == {"web": "beacon"}


def test_importing_a_plugin_is_announced_and_a_deadly_one_is_not_imported_again(tree):
    before = tree.compile()
    [(key, digest)] = [step for step in tree.steps if step[0] == "plugin:lighthouse.discovery/beacon"]
    after = tree.compile(poisoned={key: {digest: "it crashed"}})
    assert "plugin 'beacon' is not loaded again: it crashed" in after.plan.files["discovery/beacon.yaml"].error
    assert after.plan.workers == before.plan.workers


def test_the_supervisors_side_loads_neither_pydantic_nor_yaml():
    code = (
        "import sys, lighthouse.role, lighthouse.plan, lighthouse.config, lighthouse.config.tree;"
        "print(sorted({'pydantic', 'yaml', 'importlib.metadata'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


@pytest.mark.parametrize(("name", "library"), [("redis", "redis"), ("grpc", "grpc")])
def test_a_built_in_check_without_its_extra_names_the_remedy(plugins, monkeypatch, name, library):
    monkeypatch.setattr("lighthouse.pluggable.find_spec", lambda _: None)
    with pytest.raises(PluginError) as refused:
        plugins.resolve(CHECKS, name)
    assert str(refused.value).startswith(f"plugin '{name}' (lighthouse.checks.{name}:")
    assert str(refused.value).endswith(f") needs the library {library}: pip install 'lighthouse[{name}]'")
