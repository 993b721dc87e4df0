"""The mass-loss guard through real processes: a registry, its discovery worker, the supervisor and a HAProxy."""

import pytest

from support.consumer import Consumer
from support.wait import until

TEN = [f"n{number}" for number in range(10)]


@pytest.fixture
def make(tmp_path, paths):
    made = []

    def start(members=TEN, **options):
        consumer = Consumer(tmp_path, paths, **options)
        made.append(consumer)
        for name in members:
            consumer.record(name)
        consumer.start().wait_servers(*members)
        return consumer

    yield start
    for consumer in made:
        assert consumer.stack.stop() == 0


def test_a_mass_loss_is_held_until_a_person_accepts_it(make):
    consumer = make()
    assert consumer.ctl("accept", "web") == (0, "web: no members are held\n")
    consumer.keep_only(*TEN[8:])
    until(lambda: consumer.held() == 8, what="the loss to be held")
    cluster = consumer.cluster()
    assert {node["name"] for node in cluster["nodes"] if node["held"]} == {f"{name}:80" for name in TEN[:8]}
    assert cluster["held"]["until"] - cluster["held"]["since"] == pytest.approx(300.0)
    code, text = consumer.ctl("status")
    assert code == 1
    assert "8 of 10 members vanished from the registry at once and are held" in " ".join(text.split())
    lines = [
        line for line in consumer.stack.log("discovery/directory").splitlines() if "vanished from the registry" in line
    ]
    assert {line.split()[1] for line in lines} == {"E"}

    consumer.record("new")  # one that joins is told at once
    consumer.wait_servers("new", *TEN)

    pid = consumer.stack.worker("discovery/directory")["pid"]
    consumer.stack.ask("restart", worker="discovery/directory")
    until(lambda: consumer.stack.worker("discovery/directory")["pid"] not in (pid, None), what="another generation")
    consumer.stack.wait_up("discovery/directory")
    assert consumer.servers() == {"new", *TEN}
    assert consumer.held() == 8

    assert consumer.ctl("accept", "web") == (0, "web: 8 members are let go\n")
    consumer.wait_servers("new", *TEN[8:])
    assert consumer.held() == 0
    assert consumer.paths.reloads() == 0

    consumer.keep_only()  # what is lost later was not accepted
    until(lambda: consumer.held() == 3, what="the second loss to be held")
    code, text = consumer.ctl("accept", "wep")
    assert (code, "known are web" in text) == (2, True)

    consumer.stack.ask("stop", worker="discovery/directory")  # what nobody is there to apply outlives the supervisor
    until(lambda: consumer.stack.state("discovery/directory") == "stopped", what="the discovery to be away")
    consumer.stack.ask("accept", cluster="web")
    consumer.stack.kill()
    consumer.stack.start()
    consumer.wait_servers()


def test_a_wiped_registry_is_believed_once_it_has_said_so_for_long_enough(make):
    consumer = make(members=TEN[:4], settings={"mass_loss": {"hold": 2.0}})
    consumer.wipe()
    until(lambda: consumer.held() == 4, what="the loss to be held")
    assert consumer.servers() == set(TEN[:4])
    until(lambda: consumer.cluster()["nodes"] == [], what="the loss to be confirmed by time")
    consumer.wait_servers()


def test_a_registry_that_is_gone_altogether_confirms_nothing(make):
    consumer = make(members=TEN[:4], settings={"mass_loss": {"hold": 0.5}})
    consumer.registry.rename(consumer.registry.with_name("away"))
    until(lambda: consumer.stack.state("discovery/directory") == "degraded", what="the registry to be missed")
    assert consumer.servers() == set(TEN[:4])
    assert consumer.held() == 0


def test_a_hold_ends_when_all_are_back(make):
    consumer = make()
    consumer.keep_only("n0")
    until(lambda: consumer.held() == 9, what="the loss to be held")
    for name in TEN[1:]:
        consumer.record(name)
    until(lambda: consumer.held() == 0, what="the end of the hold")
    assert consumer.servers() == set(TEN)


def test_one_of_three_goes_at_once_and_so_does_everybody_of_an_unguarded_cluster(make):
    consumer = make(members=TEN[:3])
    consumer.remove("n0")
    consumer.wait_servers("n1", "n2")
    assert consumer.held() == 0
    consumer.stack.write("clusters/web.yaml", {**consumer.cluster_file, "guard": "off"})
    assert consumer.ctl("reload")[0] == 0
    consumer.remove("n1", "n2")
    consumer.wait_servers()


def test_whom_another_registry_does_not_know_is_held_when_a_cluster_moves_there(make):
    consumer = make(members=TEN[:4])
    other = consumer.registry.with_name("other")
    (other / "web").mkdir(parents=True)
    consumer.stack.write("discovery/other.yaml", {**consumer.discovery, "plugin": "directory", "path": str(other)})
    assert consumer.ctl("reload")[0] == 0
    consumer.stack.wait_up("discovery/other")
    consumer.stack.write("clusters/web.yaml", {**consumer.cluster_file, "discovery": "other"})
    assert consumer.ctl("reload")[0] == 0
    until(lambda: consumer.held() == 4, what="the loss to be held")
    assert consumer.servers() == set(TEN[:4])


def test_who_says_that_it_is_leaving_is_let_go_at_once(make):
    consumer = make()
    for name in TEN[1:]:
        consumer.record(name, leaving=True)
    consumer.wait_servers("n0")
    consumer.keep_only("n0")
    consumer.record("new")
    consumer.wait_servers("n0", "new")
    assert consumer.held() == 0
    assert consumer.paths.reloads() == 0
