"""One ZooKeeper, the whole product: whatever ends a process of ours, no other host sees an event, and no request fails."""

import base64
import json
import os
import re
import signal
import stat

import psutil
import pytest

from lighthouse.supervisor.keeper import Keeper
from support.faultproxy import FaultProxy, Way
from support.site import alive
from support.wait import until
from support.zookeeper import Realm
from support.zookeeper_site import Witness, ZookeeperSite


@pytest.fixture(scope="module")
def proxy(zookeeper_server):
    with FaultProxy(zookeeper_server.servers[0].port) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def site(tmp_path_factory, zookeeper_server, proxy):
    realm = Realm(zookeeper_server)
    site = ZookeeperSite(tmp_path_factory.mktemp("site"), realm, [proxy.address])
    try:
        site.start()
        site.wait_announced()
        yield site
    finally:
        proxy.accept()
        proxy.pass_on()
        code = site.stop()
        realm.close()
        assert code == 0


@pytest.fixture
def witness(site):
    site.wait_announced()
    with Witness(site.client, site.folder, site.names) as witness:
        yield witness


def generation(site):
    return site.worker()["generation"]


def wait_replaced(site, before):
    until(lambda: (seen := site.worker())["generation"] > before and seen["state"] == "up", within=60, what=site.tail())


def handed_over(site):
    """What the last generation left, from the supervisor's own keeping: the session and its password."""
    kept, damaged = Keeper(site.stack.runtime / "state").load()
    assert damaged == []
    return json.loads(kept["handover/discovery/zk"])


# Nobody sees an event -------------------------------------------------------------------------------------------------


def test_a_killed_worker_is_replaced_without_an_event(site, witness):
    with site.peace():
        for _ in range(3):
            before = generation(site)
            os.kill(site.worker()["pid"], signal.SIGKILL)
            wait_replaced(site, before)
        site.wait_working()
    assert witness.events() == []


@pytest.mark.parametrize("how", ["stopped as a whole", "in a call of the plugin"])
def test_a_hung_worker_is_replaced_without_an_event(site, witness, how):
    before = generation(site)
    with site.peace():
        if how == "stopped as a whole":
            os.kill(site.worker()["pid"], signal.SIGSTOP)
        else:
            site.misbehave("discovery", "syscall")
            site.touch()
        wait_replaced(site, before)
        site.wait_working()
    assert witness.events() == []


def test_a_restart_by_hand_is_without_an_event(site, witness):
    before = generation(site)
    with site.peace():
        site.stack.ask("restart", worker="discovery/zk")
        wait_replaced(site, before)
        site.wait_working()
    assert witness.events() == []


@pytest.mark.parametrize("how", ["killed", "in good order"])
def test_a_restart_of_the_whole_supervisor_is_without_an_event(site, witness, how):
    workers = [psutil.Process(worker["pid"]) for worker in site.stack.status()["workers"]]
    with site.peace():
        if how == "killed":
            site.stack.kill()
            until(lambda: not any(alive(worker) for worker in workers), what="the end of all workers")
        else:
            assert site.stack.stop() == 0
        site.stack.start()
        site.stack.wait_up(*site.workers.values())
        site.wait_working()
    assert witness.events() == []


# ZooKeeper is away ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["cut", "refused", "silent", "deaf"])
def test_a_connection_that_fails_takes_no_member_away(site, proxy, how):
    """Reset, refused, black hole in both directions or in one; told in the status, and over when it is over."""
    early = f"early:{site.webs[0].port}"
    site.join(early)
    until(lambda: site.serves(early), what="another member")
    fail = {
        "cut": proxy.cut,
        "refused": lambda: (proxy.refuse(), proxy.cut()),
        "silent": proxy.hold,
        "deaf": lambda: proxy.hold(Way.TO_CLIENT),
    }
    with site.peace():
        fail[how]()
        if how != "cut":  # which is over before anybody could tell
            until(
                lambda: site.worker()["state"] == "degraded",
                within=60,
                what=lambda: f"an outage to be told; {site.tail()}",
            )
            assert site.stack.status()["clusters"]["web"]["stale"]
        site.leave(early)
        proxy.accept()
        proxy.pass_on()
        until(lambda: not site.serves(early), within=60, what="what happened meanwhile")
        site.stack.wait_up("discovery/zk")
        site.wait_announced()
        site.wait_working()
    assert not site.stack.status()["clusters"]["web"]["stale"]


def test_a_slow_connection_is_no_outage(site, proxy, witness):
    before = generation(site)
    try:
        with site.peace():
            proxy.delay(0.3)
            site.wait_working()
        assert generation(site) == before
        assert witness.events() == []
    finally:
        proxy.pass_on()


def test_started_while_zookeeper_is_down_it_serves_whom_it_last_knew(site, proxy):
    """HAProxy is not there either, as after a crash of all that ran; the runtime directory is."""
    assert site.stack.stop() == 0
    proxy.refuse()
    proxy.cut()
    site.stop_haproxy()
    try:
        site.stack.start()
        until(lambda: site.answered() == {str(web.port) for web in site.webs}, within=60, what=site.stack.output())
        until(lambda: site.worker()["state"] == "degraded", within=60, what=site.tail())
        status = site.stack.status()["clusters"]["web"]
        assert status["stale"]
    finally:
        proxy.accept()
    site.wait_serving()
    site.wait_announced()
    site.wait_working()


# The session is gone --------------------------------------------------------------------------------------------------


def test_what_went_with_the_session_is_announced_anew(site, witness):
    """Somebody closes our session: every announcement is gone at once, and comes back without anybody asking."""
    left = handed_over(site)
    owner = site.client.exists(f"{site.folder}/{min(site.names)}").ephemeralOwner
    with site.peace():
        thief = site.realm.client(client_id=(left["session"], bytes.fromhex(left["password"])), timeout=30.0)
        assert thief.client_id[0] == left["session"]
        thief.stop()
        until(lambda: new_owner(site, owner), within=60, what=lambda: f"a new session; {site.tail()}")
    assert len(witness.events()) >= len(site.names)


def new_owner(site, owner):
    """Whether all announcements stand and belong to another session than before."""
    stats = [site.client.exists(f"{site.folder}/{name}") for name in site.names]
    return all(stat and stat.ephemeralOwner not in (0, owner) for stat in stats)


def test_a_standstill_longer_than_the_session_is_made_good(site):
    """The whole host sleeps, as a paused virtual machine: its announcements expire, and come back when it wakes."""
    pids = [site.stack.process.pid, *(worker["pid"] for worker in site.stack.status()["workers"])]
    owner = site.client.exists(f"{site.folder}/{min(site.names)}").ephemeralOwner
    with site.peace():
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        until(lambda: not site.announced(), within=60, what="the announcements to expire")
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)
        until(lambda: new_owner(site, owner), within=60, what=lambda: f"announcements; {site.tail()}")


# Secrets --------------------------------------------------------------------------------------------------------------


def test_the_password_of_the_session_is_nowhere_to_be_read(site):
    """After all of the above: in no log, no status, and no file that others may read."""
    os.kill(site.worker()["pid"], signal.SIGUSR1)  # the stacks go into the log
    until(lambda: "most recent call first" in site.stack.log("discovery/zk"), what="a dump")
    password = bytes.fromhex(handed_over(site)["password"])
    assert len(password) == 16
    words = [
        password.hex(),
        password.hex(" "),
        repr(password),
        str(list(password)),
        base64.b64encode(password).decode(),
    ]
    spellings = [password, *(word.encode() for word in words)]
    status = json.dumps(site.stack.ask("status")).encode()
    assert [spelling for spelling in spellings if spelling in status] == []
    private = {}
    for path in site.root.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            if any(spelling in content for spelling in spellings):
                private[path] = stat.S_IMODE(path.stat().st_mode)
    assert {path.name for path in private} == {"handover%2Fdiscovery%2Fzk"}
    assert set(private.values()) == {0o600}
    assert stat.S_IMODE((site.stack.runtime / "state").stat().st_mode) == 0o700
    assert not re.search(r"password", site.stack.log("discovery/zk"), re.IGNORECASE)
