"""Every change of the configuration is picked up live, and a bad one costs only itself."""

import os
import shutil
import subprocess

import pytest

from support.ports import free_port
from support.site import ZOO, Web
from support.stack import Stack
from support.wait import until


@pytest.fixture
def stack(tmp_path):
    stack = Stack(tmp_path, role="reporter", path=[ZOO])
    stack.write("discovery/dir.yaml", {"plugin": "directory", "path": str(tmp_path / "registry")})
    yield stack
    assert stack.stop() in (0, None)


@pytest.fixture
def web():
    web = Web(free_port()).start()
    yield web
    web.stop()


def service(port, **more):
    return {
        "port": port,
        "discovery": "dir",
        "checks": {"interval": 0.2, "http": {"uri": "/", "rise": 1, "fall": 2}},
        **more,
    }


def file(stack, path):
    return stack.status()["config"]["files"].get(path, {"state": None, "error": None})


def wait_file(stack, path, state):
    return until(
        lambda: file(stack, path)["state"] == state and file(stack, path),
        what=lambda: f"{path} {state}; {file(stack, path)}",
    )


def wait_state(stack, name, state):
    until(lambda: stack.state(name) == state, what=lambda: f"{name} {state}; {stack.tail(name)}")


def test_files_are_created_edited_renamed_and_deleted(stack, web, tmp_path):
    stack.start()
    stack.write("services/web.yaml", service(web.port))
    stack.wait_up("checker/web")
    until(lambda: stack.port_state("web", web.port) == "up", what="up")
    generation = stack.worker("checker/web")["generation"]

    dead = free_port()
    stack.write("services/web.yaml", {**service(web.port), "port": dead})
    until(lambda: stack.port_state("web", dead) == "down", what="the edit to be in force")
    assert stack.worker("checker/web")["generation"] == generation, "an edit needs no restart"
    until(lambda: not list((tmp_path / "registry" / "web").iterdir()), what="the old port to be withdrawn")

    (stack.config / "services" / "web.yaml").rename(stack.config / "services" / "shop.yml")
    wait_state(stack, "checker/shop", "up")
    until(lambda: stack.worker("checker/web") is None, what="the old name to go")

    stack.remove("services/shop.yml")
    until(lambda: stack.status()["services"] == {} and stack.worker("checker/shop") is None, what="the service to go")


def test_an_edit_in_place_is_seen_too(stack, web):
    stack.write("services/web.yaml", service(web.port))
    stack.start().wait_up("checker/web")
    path = stack.config / "services" / "web.yaml"
    path.write_text(path.read_text().replace(str(web.port), str(dead := free_port())))
    until(lambda: stack.port_state("web", dead) == "down", what="the edit in place")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ports: [1, 2\ndiscovery: dir\n", ("services/web.yaml:",)),
        ("port: 80\ndiscovery: dir\nchekcs: {}\n", ("services/web.yaml:3", "chekcs", "checks")),
        ("port: 80\nchecks: {interval: 1}\n", ("services/web.yaml:1", "discovery")),
        ("port: eighty\ndiscovery: dir\nchecks: {interval: 1}\n", ("services/web.yaml:1", "port", "eighty")),
        ("port: 80\ndiscovery: zk\nchecks: {interval: 1}\n", ("services/web.yaml:2", "zk")),
        (
            "port: 80\ndiscovery: dir\nchecks:\n  interval: 1\n  smtp: {rise: 1, fall: 1}\n",
            ("services/web.yaml:5", "smtp"),
        ),
        ("", ("services/web.yaml", "empty")),
    ],
)
def test_a_bad_file_is_refused_with_its_place_and_the_last_good_one_stays(stack, web, text, told):
    stack.write("services/web.yaml", service(web.port))
    stack.start().wait_up("checker/web")
    until(lambda: stack.port_state("web", web.port) == "up", what="up")
    pid = stack.worker("checker/web")["pid"]
    stack.write("services/web.yaml", text)
    error = wait_file(stack, "services/web.yaml", "held")["error"]
    for part in told:
        assert part in error
    assert stack.port_state("web", web.port) == "up"
    assert stack.worker("checker/web")["pid"] == pid
    stack.write("services/other.yaml", service(web.port))  # all else goes on
    stack.wait_up("checker/other")
    stack.write("services/web.yaml", service(web.port))
    wait_file(stack, "services/web.yaml", "ok")


def test_bad_files_never_stop_the_start(stack, web):
    stack.write("services/web.yaml", service(web.port))
    stack.write("services/broken.yaml", "{")
    stack.write("logging.yaml", "version: 7")
    stack.write("lighthouse.yaml", "heartbeat: {interval: fast}")
    stack.start().wait_up("checker/web")
    assert {
        path: file(stack, path)["state"] for path in ("services/broken.yaml", "logging.yaml", "lighthouse.yaml")
    } == {
        "services/broken.yaml": "refused",
        "logging.yaml": "refused",
        "lighthouse.yaml": "refused",
    }


def test_the_last_good_version_survives_a_restart_of_the_supervisor(stack, web):
    stack.write("services/web.yaml", service(web.port))
    stack.start().wait_up("checker/web")
    stack.write("services/web.yaml", "{")
    wait_file(stack, "services/web.yaml", "held")
    stack.kill()
    stack.start().wait_up("checker/web")
    assert file(stack, "services/web.yaml")["state"] == "held"
    until(lambda: stack.port_state("web", web.port) == "up", what="up from the last good version")


def test_a_directory_swapped_by_symlink_is_seen(tmp_path, web):
    """As configuration management does: ``current`` points to a release, and is replaced by a rename."""
    stack = Stack(tmp_path, role="reporter")
    stack.write("discovery/dir.yaml", {"plugin": "directory", "path": str(tmp_path / "registry")})
    releases = tmp_path / "releases"
    releases.mkdir()
    shutil.move(stack.config, releases / "1")
    shutil.copytree(releases / "1", releases / "2")
    current = tmp_path / "current"
    current.symlink_to(releases / "1")
    stack.config = releases / "2"
    stack.write("services/web.yaml", service(web.port))
    stack.config = current
    # The periodic reading must not be what finds it.
    (releases / "1" / "lighthouse.yaml").write_text("advertise: 127.0.0.1\nconfig: {resync: 3600, settle: 0.05}\n")
    try:
        stack.start()
        assert stack.status()["services"] == {}
        link = tmp_path / "next"
        link.symlink_to(releases / "2")
        link.replace(current)
        stack.wait_up("checker/web")
    finally:
        stack.stop()


def test_a_kubernetes_config_map_is_seen(tmp_path, web):
    """Files are symlinks through ``..data``, which is a symlink that is replaced by a rename."""
    stack = Stack(tmp_path, role="reporter")
    stack.write("lighthouse.yaml", {"advertise": "127.0.0.1", "config": {"resync": 3600, "settle": 0.05}})
    stack.write("discovery/dir.yaml", {"plugin": "directory", "path": str(tmp_path / "registry")})
    services = stack.config / "services"

    def publish(version, port):
        folder = services / f"..{version}"
        folder.mkdir()
        import yaml

        (folder / "web.yaml").write_text(yaml.safe_dump(service(port)))
        (services / "..tmp").symlink_to(folder.name)
        (services / "..tmp").replace(services / "..data")

    publish(1, dead := free_port())
    (services / "web.yaml").symlink_to("..data/web.yaml")
    try:
        stack.start()
        until(lambda: stack.port_state("web", dead) == "down", what="the first version")
        publish(2, web.port)
        until(lambda: stack.port_state("web", web.port) == "up", what="the second version")
    finally:
        stack.stop()


def test_a_whole_subdirectory_that_vanishes_changes_nothing(stack, web):
    stack.write("services/web.yaml", service(web.port))
    stack.start().wait_up("checker/web")
    (stack.config / "services").rename(stack.config / "services.away")
    wait_file(stack, "services/web.yaml", "held")
    assert stack.state("checker/web") == "up"
    (stack.config / "services.away").rename(stack.config / "services")
    wait_file(stack, "services/web.yaml", "ok")


def test_a_yaml_bomb_costs_that_one_file(stack, web):
    stack.write("services/web.yaml", service(web.port))
    stack.start().wait_up("checker/web")
    bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    for number, name in enumerate("bcdefghi"):
        bomb += f"{name}: &{name} [{', '.join(['*' + 'abcdefgh'[number]] * 10)}]\n"
    stack.write("services/bomb.yaml", bomb)
    stack.write("services/deep.yaml", "[" * 200_000)
    stack.write("services/after.yaml", service(web.port))
    stack.wait_up("checker/after")
    for path in ("services/bomb.yaml", "services/deep.yaml"):
        wait_file(stack, path, "refused")
    assert stack.state("checker/web") == "up"


def test_a_plugin_that_hangs_or_kills_while_it_judges_costs_its_file_alone(tmp_path, web):
    stack = Stack(
        tmp_path, role="reporter", path=[ZOO], settings={"config": {"deadline": 1.5, "settle": 0.05, "resync": 1.0}}
    )
    stack.write("discovery/dir.yaml", {"plugin": "directory", "path": str(tmp_path / "registry")})
    for how in ("hang", "segv", "memory"):
        stack.write(
            f"services/{how}.yaml",
            service(web.port, checks={"interval": 0.2, "zoo_judge": {"how": how, "rise": 1, "fall": 1}}),
        )
    stack.write("services/web.yaml", service(web.port))
    try:
        stack.start(wait=False)
        until(lambda: stack.socket_path.exists() and stack.answers(), what="an answer")
        stack.wait_up("checker/web")
        for how in ("hang", "segv", "memory"):
            wait_file(stack, f"services/{how}.yaml", "refused")
        stack.write("services/hang.yaml", service(web.port))  # once mended it is taken
        stack.wait_up("checker/hang")
    finally:
        stack.stop()


def test_a_plugin_that_does_not_import_says_so_and_the_rest_works(stack, web):
    stack.write("services/web.yaml", service(web.port))
    stack.write("services/bad.yaml", service(web.port, checks={"interval": 1, "zoo_import": {"rise": 1, "fall": 1}}))
    stack.start().wait_up("checker/web")
    assert "libmissing.so" in wait_file(stack, "services/bad.yaml", "refused")["error"]


def test_a_plugin_that_fails_in_its_worker_waits_for_a_change(stack, web):
    """It was well when the configuration was judged; where it runs it is not."""
    stack.write("services/web.yaml", service(web.port))
    stack.write("services/late.yaml", service(web.port, checks={"interval": 1, "zoo_late": {"rise": 1, "fall": 1}}))
    stack.start().wait_up("checker/web")
    wait_state(stack, "checker/late", "fatal")
    assert "only works elsewhere" in stack.worker("checker/late")["reason"]
    generation = stack.worker("checker/late")["generation"]
    stack.write("services/late.yaml", service(web.port))
    stack.wait_up("checker/late")
    assert stack.worker("checker/late")["generation"] == generation + 1


def test_a_change_that_a_plugin_refuses_where_it_runs_leaves_the_last_configuration_at_work(stack, web):
    stack.write("services/web.yaml", service(web.port))
    stack.start().wait_up("checker/web")
    until(lambda: stack.port_state("web", web.port) == "up", what="up")
    pid = stack.worker("checker/web")["pid"]
    stack.write("services/web.yaml", service(web.port, checks={"interval": 1, "zoo_late": {"rise": 1, "fall": 1}}))
    wait_state(stack, "checker/web", "degraded")
    assert "only works elsewhere" in stack.worker("checker/web")["reason"]
    web.stop()
    until(lambda: stack.port_state("web", web.port) == "down", what="the old check to see it")
    stack.write("services/web.yaml", service(web.port))
    stack.wait_up("checker/web")
    assert stack.worker("checker/web")["pid"] == pid


def test_sighup_and_reload_read_anew(stack):
    import signal

    stack.start()
    before = stack.status()["config"]["compilations"]
    os.kill(stack.process.pid, signal.SIGHUP)
    until(lambda: stack.status()["config"]["compilations"] > before, what="SIGHUP to be followed")
    promised = stack.ask("reload")["result"]["compilation"]
    until(lambda: stack.status()["config"]["compilations"] >= promised, what="the reload")


def test_logging_yaml_is_for_the_workers(stack, web, tmp_path):
    stack.write("services/web.yaml", service(web.port))
    stack.write(
        "logging.yaml",
        {
            "version": 1,
            "filters": {"context": {"()": "lighthouse.log.ContextFilter"}},
            "formatters": {"own": {"format": "OWN %(program)s %(message)s"}},
            "handlers": {
                "file": {
                    "class": "logging.FileHandler",
                    "filename": str(tmp_path / "own.log"),
                    "filters": ["context"],
                    "formatter": "own",
                },
                "cli": {"class": "lighthouse.log.cli.CLIHandler", "stream": "ext://sys.stdout"},
            },
            "root": {"handlers": ["file", "cli"], "level": "INFO"},
        },
    )
    stack.start().wait_up("checker/web")
    until(lambda: "OWN checker/web" in (tmp_path / "own.log").read_text(), what="a line in the own format")
    assert "worker checker/web" in stack.log("checker/web")


def test_a_changed_logging_yaml_reaches_running_workers(stack, web, tmp_path):
    own = tmp_path / "own.log"
    stack.write("services/web.yaml", service(web.port))
    stack.start().wait_up("checker/web")
    until(lambda: stack.port_state("web", web.port) == "up", what="up")
    generation = stack.worker("checker/web")["generation"]
    stack.write(
        "logging.yaml",
        {
            "version": 1,
            "handlers": {"file": {"class": "logging.FileHandler", "filename": str(own)}},
            "root": {"handlers": ["file"], "level": "INFO"},
        },
    )
    until(own.exists, what="the new log file")
    web.stop()
    until(lambda: f"port {web.port} of web is down" in own.read_text(), what="a line in the new log file")
    stack.remove("logging.yaml")
    until(lambda: "logging.yaml" not in stack.status()["config"]["files"], what="the removal to be seen")
    web.start()
    until(lambda: f"port {web.port} of web is up" in stack.log("checker/web")[-500:], what="the usual log again")
    assert stack.worker("checker/web")["generation"] == generation


def test_a_plugin_that_forks_while_it_judges_does_not_stall_the_supervisor(stack, web):
    """Its child keeps the socket of the configuration worker open."""
    stack.write("services/web.yaml", service(web.port))
    stack.write(
        "services/fork.yaml",
        service(web.port, checks={"interval": 0.2, "zoo_judge": {"how": "fork", "rise": 1, "fall": 1}}),
    )
    stack.start().wait_up("checker/web")
    stack.write("services/other.yaml", service(web.port))
    stack.wait_up("checker/other")


def test_a_service_and_a_cluster_that_come_back_are_known_again(tmp_path, web):
    stack = Stack(tmp_path)
    stack.write("discovery/dir.yaml", {"plugin": "directory", "path": str(tmp_path / "registry")})
    stack.write("services/web.yaml", service(web.port))
    stack.write(
        "balancers/haproxy.yaml",
        {name: str(tmp_path / name) for name in ("config_file", "socket_file", "pid_file")}
        | {"binary": "/nonexistent/haproxy"},
    )
    cluster = {"discovery": "dir", "haproxy": {}}

    def members():
        return stack.status()["clusters"].get("web", {}).get("members")

    try:
        stack.write("clusters/web.yaml", cluster)
        stack.start().wait_up("checker/web", "discovery/dir")
        first = until(members, what="the members")
        until(lambda: stack.port_state("web", web.port) == "up", what="up")
        os.kill(stack.worker("discovery/dir")["pid"], 9)  # so that the next generation is born with the members
        stack.wait_up("discovery/dir")
        stack.remove("clusters/web.yaml")
        until(lambda: "web" not in stack.status()["clusters"], what="the cluster to go")
        stack.write("clusters/web.yaml", cluster)
        until(members, what="the members again")
        assert first
    finally:
        stack.stop()


def test_without_inotify_changes_are_found_by_the_periodic_reading_until_it_is_there_again(stack, web):
    limit = "/proc/sys/user/max_inotify_instances"
    alone = ["unshare", "--user", "--map-root-user", "sh", "-c", f'echo 0 >{limit} && exec "$@"', "sh"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no user namespace, whose limits are its own, can be made here")
    stack.start(prefix=alone)
    assert "inotify" in stack.status()["config"]["error"]
    stack.write("services/web.yaml", service(web.port))
    stack.wait_up("checker/web")
    inside = ["nsenter", "--user", "--preserve-credentials", "--target", str(stack.process.pid)]
    subprocess.run([*inside, "sh", "-c", f"echo 100 >{limit}"], check=True)
    until(lambda: stack.status()["config"]["error"] is None, what=lambda: f"inotify; {stack.output()}")
    assert "changes are found at once again" in stack.output()


def test_another_plugin_takes_over_in_a_fresh_process_that_counts_as_no_death(stack, web, tmp_path):
    stack.write("services/web.yaml", service(web.port))
    stack.start().wait_up("discovery/dir", "checker/web")
    record = tmp_path / "registry" / "web" / f"testhost:{web.port}"
    until(record.exists, what="the announcement")
    before = stack.worker("discovery/dir")
    stack.write("discovery/dir.yaml", {"plugin": "zoo_directory", "path": str(tmp_path / "registry")})
    until(lambda: stack.worker("discovery/dir")["pid"] not in (before["pid"], None), what="a fresh process")
    stack.wait_up("discovery/dir")
    assert stack.worker("discovery/dir")["last_exit"]["reason"] == "it wanted a fresh process"
    told = [line.split()[1] for line in stack.output().splitlines() if "discovery/dir, generation 1" in line]
    assert told == ["I"], "said, and not as something bad"
    assert record.exists()
