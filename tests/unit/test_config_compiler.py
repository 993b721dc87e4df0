"""What is in force: accepted, held, refused, gone; and what the workers are given."""

import os
from hashlib import sha256

import msgpack
import pytest

from lighthouse.config.lastgood import LastGood
from lighthouse.errors import ConfigError
from lighthouse.plan import Plan, ServicePlan
from lighthouse.role import Role
from support import plugin_site
from support.config_directory import GOOD, Directory


@pytest.fixture
def tree(tmp_path, monkeypatch):
    plugin_site.install(tmp_path / "site", monkeypatch)
    return Directory(tmp_path / "conf")


# what the workers are given ------------------------------------------------------------------------------------------


def test_the_shapes_of_the_workers_configuration(tree):
    service = {
        "name": "app",
        "ports": [8000],
        "host": "127.0.0.1",
        "metadata": {},
        "discovery": "beacon",
        "advertise": [],
    }
    assert tree.compile().blobs == {
        "checker/app": {
            "logging": None,
            "service": service,
            "interval": 5.0,
            "checks": [
                {
                    "name": "echo",
                    "plugin": "sample_plugins:Echo",
                    "config": {"phrase": "hello", "loud": False},
                    "rise": 2,
                    "fall": 3,
                    "timeout": 2.0,
                    "interval": 5.0,
                }
            ],
            "flap": None,
            "patience": 60.0,
        },
        "discovery/beacon": {
            "logging": None,
            "name": "beacon",
            "plugin": "sample_plugins:Beacon",
            "config": {"hosts": ["one"], "password": "", "retries": 3},
            "clusters": ["web"],
            "guards": {"web": {"share": 0.5, "minimum": 2, "window": 60.0, "hold": 300.0}},
            "services": [service],
            "hostname": None,
            "advertise": [],
            "registration": {"rate": 10.0, "burst": 100, "farewell": 1.0},
        },
        "balancer/scales": {
            "logging": None,
            "name": "scales",
            "plugin": "sample_plugins:Scales",
            "config": {"file": "/run/scales", "copy": False},
            "initial_wait": 2.0,
            "clusters": [
                {
                    "name": "web",
                    "discovery": "beacon",
                    "options": {"port": 80, "mode": "tcp", "global": [], "weight": 1},
                }
            ],
        },
    }


def test_the_plan(tree):
    result = tree.compile()
    plan = result.plan
    assert {(spec.id, spec.kind) for spec in plan.workers.values()} == {
        ("checker/app", "checker"),
        ("discovery/beacon", "discovery"),
        ("balancer/scales", "balancer"),
    }
    assert plan.clusters == {"web": "beacon"}
    assert plan.services == {"app": ServicePlan("beacon", (8000,))}
    assert Plan.from_mapping(msgpack.unpackb(msgpack.packb(plan.to_mapping()))) == plan
    assert msgpack.unpackb(msgpack.packb(result.blobs)) == result.blobs


@pytest.mark.parametrize(
    ("role", "workers"),
    [
        (Role.ALL, {"discovery/beacon", "balancer/scales", "checker/app"}),
        (Role.WRITER, {"discovery/beacon", "balancer/scales"}),
        (Role.REPORTER, {"discovery/beacon", "checker/app"}),
    ],
)
def test_a_role_reads_only_its_own(tree, role, workers):
    plan = tree.compile(role=role).plan
    assert set(plan.workers) == workers
    assert ("services/app.yaml" in plan.files) == ("checker/app" in workers)
    assert ("clusters/web.yaml" in plan.files) == ("balancer/scales" in workers)


def test_what_another_role_had_in_force_is_kept_for_it(tree):
    tree.compile()
    tree.compile(role=Role.WRITER)
    tree.write("services/app.yaml", "broken")
    assert tree.state("services/app.yaml") == "held"


def test_names_are_taken_from_the_key_where_there_is_one(tree):
    tree.write("clusters/x.yaml", "name: other\ndiscovery: beacon\nscales: {}\n")
    tree.write("services/app.yaml", "name: webapp\n" + GOOD["services/app.yaml"])
    result = tree.compile()
    assert set(result.plan.clusters) == {"other", "web"}
    assert result.blobs["checker/webapp"]["service"]["name"] == "webapp"


def test_a_discovery_that_nobody_uses_gets_its_worker(tree):
    tree.write("discovery/lonely.yml", "plugin: beacon\nhosts: []\n")
    assert tree.compile().blobs["discovery/lonely"]["clusters"] == []


def test_which_balancer_a_key_addresses(tree):
    tree.write("balancers/edge.yaml", "plugin: scales\nfile: /edge\n")
    tree.write("balancers/one.yaml", "plugin: classic\noutput: /one\n")
    tree.write("balancers/two.yaml", "plugin: classic\noutput: /two\n")
    tree.write("clusters/web.yaml", "discovery: beacon\nscales: {port: 1}\nedge: {port: 2}\n")
    tree.write("clusters/b.yaml", "discovery: beacon\nscales: {port: 3}\n")
    tree.write("clusters/c.yaml", "discovery: beacon\nclassic: {all: 1}\n")
    tree.write("clusters/d.yaml", "discovery: beacon\nclassic: {all: 1}\ntwo: {own: 1}\n")
    blobs = tree.compile().blobs

    def seen(name, key):
        return {item["name"]: item["options"].get(key) for item in blobs[f"balancer/{name}"]["clusters"]}

    assert seen("scales", "port") == {"b": 3, "web": 1}
    assert seen("edge", "port") == {"web": 2}
    assert seen("one", "all") == {"c": 1, "d": 1}
    assert seen("two", "own") == {"c": None, "d": 1}


def test_the_same_input_gives_the_same_digests(tree, tmp_path):
    first = tree.compile()
    tree.write(
        "services/app.yaml",
        "# reordered\ndiscovery: beacon\n" + GOOD["services/app.yaml"].replace("discovery: beacon\n", ""),
    )
    again = Directory(tmp_path / "elsewhere").compile()
    assert first.plan.workers == tree.compile().plan.workers == again.plan.workers


def test_a_change_changes_the_digests_of_those_it_concerns(tree):
    before = tree.compile().plan.workers
    tree.write("clusters/web.yaml", "discovery: beacon\nscales:\n  port: 81\n")
    after = tree.compile().plan.workers
    assert {id_ for id_ in before if before[id_] != after[id_]} == {"balancer/scales"}


# held, refused, gone -------------------------------------------------------------------------------------------------


def test_a_file_that_breaks_is_held(tree):
    before = tree.compile()
    tree.write("clusters/web.yaml", "discovery: beacon\nscales:\n  port: eighty\n")
    after = tree.compile()
    file = after.plan.files["clusters/web.yaml"]
    assert file.state.value == "held"
    assert file.error == "clusters/web.yaml:3: key 'scales.port': 'eighty': expected a whole number"
    assert after.plan.workers == before.plan.workers
    assert tree.state("clusters/web.yaml") == "held"
    tree.write("clusters/web.yaml", "discovery: beacon\nscales: {port: 82}\n")
    assert tree.state("clusters/web.yaml") == "ok"


@pytest.mark.parametrize("path", ["discovery/beacon", "services/app", "lighthouse"])
def test_a_file_that_breaks_as_it_gets_its_other_suffix_is_held(tree, path):
    tree.write("lighthouse.yaml", "initial_wait: 7\n")
    before = tree.compile()
    tree.remove(f"{path}.yaml")
    for _ in range(2):
        tree.write(f"{path}.yml", "plugin: [\n")
        after = tree.compile()
        assert after.plan.files[f"{path}.yml"].state.value == "held"
        assert f"{path}.yaml" not in after.plan.files
        assert (after.plan.workers, after.plan.settings) == (before.plan.workers, before.plan.settings)


def test_of_two_files_that_differ_in_their_suffix_none_stands_in_for_the_other(tree):
    tree.compile()
    tree.write("discovery/beacon.yml", "plugin: [\n")
    files = tree.compile().plan.files
    assert files["discovery/beacon.yaml"].state.value == "ok"
    assert "last good" not in files["discovery/beacon.yml"].error


def test_a_deleted_file_is_gone_for_good(tree):
    tree.compile()
    tree.remove("clusters/web.yaml")
    result = tree.compile()
    assert result.plan.clusters == {}
    assert "clusters/web.yaml" not in result.plan.files
    assert result.good.text("clusters/web.yaml") is None
    tree.write("clusters/web.yaml", "broken")
    assert tree.state("clusters/web.yaml") == "refused"


def test_a_missing_folder_holds_its_files(tree):
    before = tree.compile()
    (tree.path / "clusters").rename(tree.path / "moved")
    after = tree.compile()
    assert after.plan.workers == before.plan.workers
    assert after.plan.files["clusters/web.yaml"].state.value == "held"
    assert after.plan.files["clusters/web.yaml"].error == (
        "clusters/web.yaml: directory clusters/ is missing: restore it, or create it empty to remove what was in it"
    )
    (tree.path / "clusters").mkdir()
    assert tree.compile().plan.clusters == {}


def test_folders_that_never_were_are_no_fault(tmp_path):
    (tmp_path / "empty").mkdir()
    bare = Directory(tmp_path / "bare", files={})
    for folder in ("discovery", "balancers", "clusters", "services"):
        (bare.path / folder).rmdir()
    assert bare.compile().plan.files == {}


def test_a_folder_in_place_of_which_there_is_a_file(tree):
    tree.compile()
    (tree.path / "clusters").rename(tree.path / "moved")
    (tree.path / "clusters").write_text("")
    assert tree.state("clusters/web.yaml") == "held"


def test_a_missing_directory_is_an_error(tree):
    tree.path.rename(tree.path.with_name("away"))
    with pytest.raises(ConfigError, match="the configuration directory cannot be read: No such file or directory"):
        tree.compile()


def test_a_discovery_or_a_balancer_that_is_needed_outlives_its_file(tree):
    tree.write("balancers/edge.yaml", "plugin: scales\nfile: /edge\n")
    tree.write("clusters/web.yaml", "discovery: beacon\nedge: {port: 2}\n")
    before = tree.compile()
    tree.remove("discovery/beacon.yaml")
    tree.remove("balancers/edge.yaml")
    tree.remove("balancers/scales.yaml")
    for _ in range(2):
        result = tree.compile()
        assert set(result.plan.workers) == set(before.plan.workers) - {"balancer/scales"}, "nobody needs that one"
        held = {path: file.error for path, file in result.plan.files.items() if file.state.value == "held"}
        assert held.keys() == {"discovery/beacon.yaml", "balancers/edge.yaml"}
        assert held["discovery/beacon.yaml"].startswith(
            "discovery/beacon.yaml: the file was deleted, and is still used by clusters/web.yaml, services/app.yaml: restore"
        )
        assert "still used by clusters/web.yaml: " in held["balancers/edge.yaml"]
    assert result.blobs["discovery/beacon"] == before.blobs["discovery/beacon"]
    tree.remove("clusters/web.yaml")
    assert "balancer/edge" not in tree.compile().plan.workers
    tree.remove("services/app.yaml")
    assert (tree.compile().plan.workers, tree.compile().plan.files) == ({}, {})


def test_a_renamed_discovery_is_not_kept_for_those_who_follow(tree):
    tree.compile()
    (tree.path / "discovery/beacon.yaml").rename(tree.path / "discovery/beacon.yml")
    assert "discovery/beacon.yaml" not in tree.compile().plan.files
    (tree.path / "discovery/beacon.yml").rename(tree.path / "discovery/other.yaml")
    for path in ("clusters/web.yaml", "services/app.yaml"):
        assert tree.compile().plan.files["discovery/beacon.yml"].state.value == "held"
        tree.write(path, GOOD[path].replace("beacon", "other"))
    tree.write("discovery/other.yaml", "plugin: beacon\n" + GOOD["discovery/beacon.yaml"])
    result = tree.compile()
    assert {path for path, file in result.plan.files.items() if path.startswith("discovery/")} == {
        "discovery/other.yaml"
    }
    assert not any(file.error for file in result.plan.files.values())


def test_a_balancer_whose_key_another_one_serves_is_not_needed(tree):
    tree.write("balancers/a.yaml", "plugin: scales\nfile: /a\n")
    tree.write("balancers/b.yaml", "plugin: scales\nfile: /b\n")
    tree.remove("balancers/scales.yaml")
    tree.compile()
    tree.remove("balancers/b.yaml")
    assert {id_ for id_ in tree.compile().plan.workers if id_.startswith("balancer/")} == {"balancer/a"}
    tree.remove("balancers/a.yaml")
    assert "balancer/a" in tree.compile().plan.workers


def test_a_cluster_outlives_its_discovery_and_its_balancer_key(tree):
    """As after a reboot, of which the last good versions of the two are not known."""
    tree.write("balancers/edge.yaml", "plugin: scales\nfile: /edge\n")
    tree.write("clusters/web.yaml", "discovery: beacon\nscales: {port: 1}\nedge: {port: 2}\n")
    tree.compile()
    tree.remove("discovery/beacon.yaml")
    tree.remove("balancers/edge.yaml")
    tree.forget("discovery/beacon.yaml", "balancers/edge.yaml")
    for _ in range(2):
        result = tree.compile()
        assert result.plan.clusters == {"web": "beacon"}
        assert set(result.plan.workers) == {"balancer/scales", "checker/app"}
        assert [item["name"] for item in result.blobs["balancer/scales"]["clusters"]] == ["web"]
        file = result.plan.files["clusters/web.yaml"]
        assert file.state.value == "held"
        assert "there is no file discovery/beacon.yaml" in file.error
        assert "unknown key 'edge'" in file.error
    tree.write("discovery/beacon.yaml", GOOD["discovery/beacon.yaml"])
    tree.write("balancers/edge.yaml", "plugin: scales\nfile: /edge\n")
    result = tree.compile()
    assert result.plan.files["clusters/web.yaml"].state.value == "ok"
    assert [item["options"]["port"] for item in result.blobs["balancer/edge"]["clusters"]] == [2]


def test_a_new_cluster_may_use_a_held_discovery(tree):
    tree.compile()
    tree.write("discovery/beacon.yaml", "broken")
    tree.write("clusters/new.yaml", "discovery: beacon\nscales: {}\n")
    assert tree.state("clusters/new.yaml") == "ok"


def test_held_settings_stay(tree):
    tree.write("lighthouse.yaml", "hold: 7\n")
    tree.compile()
    tree.write("lighthouse.yaml", "hold: x\n")
    assert tree.compile().plan.settings["hold"] == 7.0
    tree.remove("lighthouse.yaml")
    assert tree.compile().plan.settings["hold"] == 30.0


def test_a_last_good_version_that_no_longer_counts_is_refused_with_both_reasons(tree):
    tree.compile()
    site = tree.path.parent / "site" / "sample-1.0.dist-info" / "entry_points.txt"
    site.write_text(plugin_site.ENTRY_POINTS.replace("echo =", "ekko ="))
    tree.write("services/app.yaml", "broken")
    file = tree.compile().plan.files["services/app.yaml"]
    assert file.state.value == "refused"
    first, second = file.error.splitlines()
    assert first.startswith("services/app.yaml:1:1: expected 'key: value' lines")
    assert second.startswith(
        "its last good version is refused too: services/app.yaml:5: key 'checks.echo': no plugin 'echo'"
    )


# one name, two files -------------------------------------------------------------------------------------------------


def test_two_files_of_one_base_name(tree):
    tree.write("clusters/web.yml", "name: other\ndiscovery: beacon\nscales: {}\n")
    files = tree.compile().plan.files
    assert files["clusters/web.yaml"].state.value == "ok"
    assert files["clusters/web.yml"].error == (
        "clusters/web.yml:1: base name 'web' is that of clusters/web.yaml too, which is in force: remove one, or give it another"
    )


def test_two_files_of_one_name(tree):
    tree.write("clusters/zzz.yaml", "discovery: beacon\nname: web\nscales: {}\n")
    files = tree.compile().plan.files
    assert files["clusters/web.yaml"].state.value == "ok"
    assert files["clusters/zzz.yaml"].error == (
        "clusters/zzz.yaml:2: name 'web' is that of clusters/web.yaml too, which is in force: remove one, or give it another"
    )


def test_a_broken_file_does_not_take_the_name_of_one_in_force(tree):
    tree.write("clusters/app.yml", "discovery: beacon\nscales: {}\n")
    tree.compile()
    tree.write("clusters/app.yaml", "broken")
    result = tree.compile()
    assert result.plan.files["clusters/app.yml"].state.value == "ok"
    assert result.plan.files["clusters/app.yaml"].state.value == "refused"


def test_the_same_name_may_be_that_of_a_cluster_and_of_a_service(tree):
    tree.write("services/web.yaml", GOOD["services/app.yaml"])
    assert tree.state("services/web.yaml") == "ok"


def test_litter_is_ignored(tree):
    for name in (".web.yaml", "web.yaml~", "web.yaml.swp", "README", "..data"):
        tree.write(f"clusters/{name}", "broken")
    assert len(tree.compile().plan.files) == 4


# poison --------------------------------------------------------------------------------------------------------------


def digest(text):
    return sha256(text.encode()).hexdigest()


def test_progress_names_the_file_before_parsing_and_before_plugin_code(tree):
    tree.compile()
    path = "discovery/beacon.yaml"
    content = digest(GOOD[path])
    steps = [step for step in tree.steps if step[0] in (path, "plugin:lighthouse.discovery/beacon")]
    assert steps[0] == steps[2] == (path, content)
    assert steps[1][0] == "plugin:lighthouse.discovery/beacon"


def test_a_poisoned_file_is_not_read_again_until_it_changes(tree):
    tree.compile()
    deadly = "discovery: beacon\nscales: {port: 99}\n"
    tree.write("clusters/web.yaml", deadly)
    tree.write("clusters/new.yaml", deadly)
    poisoned = {path: {digest(deadly): "killed after 10 s"} for path in ("clusters/web.yaml", "clusters/new.yaml")}
    files = tree.compile(poisoned=poisoned).plan.files
    assert files["clusters/web.yaml"].state.value == "held"
    assert files["clusters/new.yaml"].state.value == "refused"
    assert files["clusters/new.yaml"].error == (
        "clusters/new.yaml: not read again, since it ended an earlier compilation: killed after 10 s: change the file"
    )
    assert not [step for step in tree.steps if step[1] == digest(deadly)]
    tree.write("clusters/web.yaml", deadly.replace("99", "98"))
    assert tree.state("clusters/web.yaml", poisoned=poisoned) == "ok"


def test_a_file_in_force_whose_text_turns_out_deadly_stays_without_being_read(tree):
    before = tree.compile()
    poisoned = {path: {digest(text): "crash"} for path, text in GOOD.items()}
    after = tree.compile(poisoned=poisoned)
    assert after.plan.workers == before.plan.workers
    assert {file.state.value for file in after.plan.files.values()} == {"held"}
    assert tree.steps == []


def test_without_a_compiled_form_a_deadly_last_good_version_is_refused(tree):
    versions = tree.compile().good.versions
    stripped = {path: type(version)(version.text) for path, version in versions.items()}
    tree.good = LastGood(stripped)
    path = "clusters/web.yaml"
    assert tree.state(path, poisoned={path: {digest(GOOD[path]): "crash"}}) == "refused"


# files that cannot be read -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.mkdir(), "not a regular file: put a file in its place"),
        (lambda path: os.mkfifo(path), "not a regular file: put a file in its place"),
        (lambda path: path.symlink_to("nowhere"), "a symbolic link that leads nowhere: correct or remove it"),
        (lambda path: path.symlink_to(path.name), "a symbolic link that leads nowhere: correct or remove it"),
    ],
)
def test_what_cannot_be_read_is_held(tree, make, reason):
    tree.compile()
    path = tree.path / "clusters" / "web.yaml"
    path.unlink()
    make(path)
    make(path.with_name("new.yaml")) if not reason.startswith("a symbolic") else None
    result = tree.compile()
    file = result.plan.files["clusters/web.yaml"]
    assert (file.state.value, file.error) == ("held", f"clusters/web.yaml: {reason}")
    assert result.plan.clusters == {"web": "beacon"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_held(tree):
    tree.compile()
    (tree.path / "clusters" / "web.yaml").chmod(0)
    file = tree.compile().plan.files["clusters/web.yaml"]
    assert file.state.value == "held"
    assert file.error.endswith("cannot be read: Permission denied: correct its owner or permissions")


def test_a_fault_of_ours_costs_one_file(tree, monkeypatch):
    from lighthouse.config import kinds, reading
    from lighthouse.config.tree import Kind

    tree.compile()

    def faulty(unit):
        if unit.stem == "web":
            raise RecursionError("too deep")
        return kinds.cluster_file(unit)

    monkeypatch.setitem(reading._COMPILERS, Kind.CLUSTER, faulty)
    tree.write("clusters/b.yaml", GOOD["clusters/web.yaml"])
    files = tree.compile().plan.files
    assert files["clusters/b.yaml"].state.value == "ok"
    assert files["clusters/web.yaml"].state.value == "held"
    assert "RecursionError: too deep" in files["clusters/web.yaml"].error
