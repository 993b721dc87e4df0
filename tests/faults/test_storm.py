"""Whatever happens to the workers, traffic does not notice: crashes and hangs of every kind under load."""

import os
import random
import re
import signal
import time
from functools import partial

import psutil
import pytest

from lighthouse.ipc.messages import unpack
from lighthouse.node import Node
from lighthouse.supervisor.keeper import Keeper
from support.haproxy import Load
from support.site import alive
from support.wait import until
from support.watcher import Servers, Watcher, serving

KINDS = ("checker", "discovery", "balancer")


class Registry(Watcher):
    """Nothing that is announced may ever be gone from the folder."""

    every = 0.005

    def __init__(self, site):
        super().__init__(site)
        self.folder = site.registry / "web"

    def there(self):
        return set(os.listdir(self.folder))


class Peace:
    """Load, registry and servers together, judged at the end."""

    def __init__(self, site):
        self.load, self.registry, self.servers = Load(site.port, threads=3, rate=300), Registry(site), Servers(site)

    def __enter__(self):
        self.began = time.monotonic()
        self.load.__enter__()
        self.registry.__enter__()
        self.servers.__enter__()
        return self

    def __exit__(self, *error):
        self.servers.__exit__(*error)
        self.registry.__exit__(*error)
        self.load.__exit__(*error)
        if error[0] is None:
            print(f"{self.load.total} requests at {self.load.total / (time.monotonic() - self.began):.0f}/s")
            assert self.load.failed == []
            assert sum(self.load.ok.values()) > 0
            assert self.registry.missing == []
            assert self.servers.missing == []
            assert self.servers.looks > 0
            assert self.registry.looks > 0


def generation(site, kind):
    return site.stack.worker(site.workers[kind])["generation"]


def wait_replaced(site, kind, before, within=60):
    """Until a later generation has caught up."""
    worker = site.workers[kind]

    def replaced():
        seen = site.stack.worker(worker)
        return seen["generation"] > before and seen["state"] == "up"

    until(replaced, within=within, what=lambda: f"a replacement of {worker}: {site.stack.tail(worker)}")


def test_two_hundred_crashes_in_a_row_in_random_order_are_not_noticed(site):
    dice = random.Random(2026)
    supervisor = psutil.Process(site.stack.process.pid)
    fds, memory = supervisor.num_fds(), supervisor.memory_full_info().uss
    master = site.haproxy().pid
    children = {child.pid for child in site.haproxy().children()}
    signals = (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS)
    restarts = sum(worker["restarts"] for worker in site.stack.status()["workers"])
    killed = dict.fromkeys(KINDS, 0)
    crashes = 0
    with Peace(site):
        while crashes < 200:
            kind = dice.choice(KINDS)
            worker = site.stack.worker(site.workers[kind])
            if worker["pid"] is None or worker["generation"] == killed[kind]:
                continue  # between two lives
            os.kill(worker["pid"], dice.choice(signals))
            killed[kind] = worker["generation"]
            crashes += 1
            if crashes % 10 == 0:
                site.stack.wait_up(*site.workers.values())
        site.stack.wait_up(*site.workers.values())
    assert sum(worker["restarts"] for worker in site.stack.status()["workers"]) == restarts + 200
    assert site.haproxy().pid == master
    assert {child.pid for child in site.haproxy().children()} == children, "HAProxy was reloaded"
    until(lambda: supervisor.num_fds() <= fds + 1, what="no descriptor leaked")
    assert [child for child in supervisor.children() if child.status() == psutil.STATUS_ZOMBIE] == []
    assert supervisor.memory_full_info().uss < memory + 3 * 1024 * 1024
    assert site.answered() == {str(web.port) for web in site.webs}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("crash", ["kill", "segv", "abort", "leave"])
def test_a_crash_inside_the_plugin(site, kind, crash):
    before = generation(site, kind)
    with Peace(site):
        site.misbehave(kind, crash)
        wait_replaced(site, kind, before)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("hang", "told"),
    [
        ("syscall", "past its deadline"),
        ("loop", "past its deadline"),
        ("gil", "past its deadline|silent"),
        ("main_loop", "silent"),
        ("stop", "silent"),
        ("children", "past its deadline"),
    ],
)
def test_a_hang_is_found_by_its_deadline_and_replaced(site, kind, hang, told):
    before = generation(site, kind)
    worker = site.workers[kind]
    with Peace(site):
        pid = site.stack.worker(worker)["pid"]
        site.misbehave(kind, hang)
        wait_replaced(site, kind, before)
    assert re.search(told, site.stack.worker(worker)["last_exit"]["reason"])
    assert not psutil.pid_exists(pid)
    if hang != "stop":  # a stopped process cannot tell where it stands
        assert "most recent call first" in site.stack.log(worker)
    if hang == "children":
        assert [
            process
            for process in psutil.process_iter(["cmdline"])
            if process.info["cmdline"] == ["sleep", "1000"]
            and alive(process)
            and process.ppid() in (1, site.stack.process.pid)
        ] == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("nonsense", ["garbage", "oversized"])
def test_a_worker_that_breaks_the_protocol_is_replaced(site, kind, nonsense):
    before = generation(site, kind)
    with Peace(site):
        site.misbehave(kind, nonsense)
        wait_replaced(site, kind, before)
    assert "protocol error" in site.stack.worker(site.workers[kind])["last_exit"]["reason"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_exception_or_a_quiet_exit_of_a_plugin_costs_nobody_a_process(site, kind):
    before = generation(site, kind)
    with Peace(site):
        for fault in ("refuse", "exit_quietly"):
            site.misbehave(kind, fault)
            until(lambda: not site.control(kind).exists(), what="the fault to be met")
            site.stack.wait_up(site.workers[kind])
    assert generation(site, kind) == before
    assert "\x1b" not in site.stack.log(site.workers[kind])


def test_a_flood_of_output_is_rotated_and_hurts_nobody(site):
    before = generation(site, "checker")
    with Peace(site):
        site.misbehave("checker", "flood")
        until(lambda: "flood 005999" in site.stack.log("checker/web"), within=60, what="the flood to be over")
    assert generation(site, "checker") == before


def test_a_registry_that_takes_no_announcements_still_tells_its_members(site):
    refuse = site.control("discovery").with_suffix(".control.refuse-announcements")
    dead = site.webs[0]
    try:
        refuse.touch()
        os.kill(site.stack.worker("discovery/dir")["pid"], signal.SIGKILL)
        until(
            lambda: "takes no announcements" in (site.stack.worker("discovery/dir")["reason"] or ""), what="to be told"
        )
        (site.registry / "web" / f"testhost:{dead.port}").unlink()
        until(lambda: f"testhost:{dead.port}" not in serving(str(site.root / "haproxy.sock")), what="a member to leave")
    finally:
        refuse.unlink()
    site.wait_serving()


def test_the_supervisor_killed_leaves_no_worker_and_is_taken_up_where_it_was(site):
    workers = [psutil.Process(worker["pid"]) for worker in site.stack.status()["workers"]]
    master = site.haproxy().pid
    children = {child.pid for child in site.haproxy().children()}
    with Peace(site):
        site.stack.kill()
        until(lambda: not any(alive(worker) for worker in workers), what="the end of all workers")
        time.sleep(0.2)  # served without any supervisor for a while
        site.stack.start()
        site.stack.wait_up(*site.workers.values())
        time.sleep(0.5)  # and whatever the new one would do wrong, it does now
    assert site.haproxy().pid == master
    assert {child.pid for child in site.haproxy().children()} == children, "HAProxy was reloaded"
    assert "took up the state" in site.stack.log("supervisor")
    assert site.answered() == {str(web.port) for web in site.webs}


def test_members_that_joined_just_before_the_supervisor_was_killed_stay(site):
    """What was told to a worker is on disk, however short a time ago and however soon after another change."""
    sock = str(site.root / "haproxy.sock")
    nodes = [Node(f"other{number}", "127.0.0.1", site.webs[0].port) for number in range(3)]
    paths = [site.registry / "web" / node.name for node in nodes]
    names = {node.name for node in nodes}
    for node, path in zip(nodes, paths, strict=True):
        new = path.with_name(".new")
        new.write_text(node.serialize())
        new.rename(path)
        until(partial(_serves, sock, {node.name}), what=f"{node.name} to join")
    site.stack.kill()
    kept, _ = Keeper(site.stack.runtime / "state").load()
    assert names <= {Node.from_mapping(node).name for node in unpack(kept["members/web"])["nodes"]}
    with Servers(site, names) as servers:
        site.stack.start()
        for path in paths:
            path.touch()  # as their own hosts would
        site.stack.wait_up(*site.workers.values())
    assert servers.missing == []
    for path in paths:
        path.unlink()
    until(lambda: not names & serving(sock), what="the members to leave")


def _serves(sock, names):
    return names <= serving(sock)


def test_a_supervisor_that_stands_still_for_a_while_blames_nobody(site):
    generations = [worker["generation"] for worker in site.stack.status()["workers"]]
    with Peace(site):
        os.kill(site.stack.process.pid, signal.SIGSTOP)
        time.sleep(3.0)  # longer than the heartbeat deadline
        os.kill(site.stack.process.pid, signal.SIGCONT)
        until(lambda: "held up" in site.stack.log("supervisor"), what="the supervisor to notice")
        site.stack.wait_up(*site.workers.values())
    assert [worker["generation"] for worker in site.stack.status()["workers"]] == generations


def test_an_orderly_restart_is_not_noticed_either(site):
    master = site.haproxy().pid
    with Peace(site):
        assert site.stack.stop() == 0
        site.stack.start()
        site.stack.wait_up(*site.workers.values())
    assert site.haproxy().pid == master
