"""What survives a reboot: the runtime directory is gone, HAProxy is gone, and the registry does not answer."""

import shutil

import pytest

from support.consumer import Consumer
from support.wait import until

NODES = ["n0", "n1", "n2"]


@pytest.fixture
def consumer(tmp_path, paths):
    made = Consumer(tmp_path, paths, settings={"state_dir": str(tmp_path / "disk")})
    for name in NODES:
        made.record(name)
    yield made
    assert made.stack.stop() in (0, None)


def kept(consumer):
    return consumer.stack.root / "disk" / "state" / "members%2Fweb"


def lose_the_registry(consumer):
    consumer.registry.rename(consumer.registry.with_name("away"))  # at once: no reading sees it half empty
    consumer.registry.write_text("not a directory")


def reboot(consumer):
    consumer.paths.stop()
    shutil.rmtree(consumer.stack.runtime)


def test_a_host_that_starts_while_its_registry_is_down_serves_what_it_last_knew(consumer):
    consumer.start().wait_servers(*NODES)
    lose_the_registry(consumer)
    assert consumer.stack.stop() == 0
    reboot(consumer)
    consumer.stack.start()
    consumer.wait_servers(*NODES)
    until(lambda: consumer.stack.state("discovery/directory") == "degraded", what="the registry to be missed")
    cluster = consumer.cluster()
    assert (cluster["stale"], len(cluster["nodes"])) == (True, 3)
    first = cluster["age"]
    assert first > 0
    consumer.stack.kill()  # and again, without an orderly end
    reboot(consumer)
    consumer.stack.start()
    assert consumer.cluster()["age"] > first, "an age goes on over restarts"
    code, text = consumer.ctl("status")
    assert (code, "cluster web is stale: its members are those of" in " ".join(text.split())) == (1, True)


def test_a_supervisor_that_is_killed_had_its_members_on_disk(consumer):
    consumer.start().wait_servers(*NODES)
    until(lambda: kept(consumer).exists() and b"n2" in kept(consumer).read_bytes(), what="the copy")
    consumer.record("n3")
    until(lambda: b"n3" in kept(consumer).read_bytes(), what="the copy of what came later")
    consumer.stack.kill()
    lose_the_registry(consumer)
    reboot(consumer)
    consumer.stack.start()
    consumer.wait_servers(*NODES, "n3")


def test_a_damaged_copy_is_set_aside_and_not_believed(consumer):
    consumer.start().wait_servers(*NODES)
    assert consumer.stack.stop() == 0
    data = kept(consumer).read_bytes()
    kept(consumer).write_bytes(data[:-4])
    reboot(consumer)
    lose_the_registry(consumer)
    consumer.stack.start()
    until(lambda: consumer.stack.state("discovery/directory") == "degraded", what="the registry to be missed")
    assert consumer.cluster()["nodes"] is None
    assert kept(consumer).with_name("members%2Fweb.damaged").read_bytes() == data[:-4]
    assert "the checksum does not match; set aside as members%2Fweb.damaged" in consumer.stack.output()


def test_a_disk_that_takes_nothing_keeps_nobody_waiting(consumer):
    """What cannot be written is told of; everything else goes on."""
    blocked = consumer.stack.root / "disk" / "state"
    blocked.mkdir(parents=True)
    (blocked / "members%2Fweb.new").mkdir()
    consumer.start().wait_servers(*NODES)
    told = "the state directory is not up to date ([Errno 21] Is a directory: "
    until(lambda: told in consumer.stack.output(), what="it to be told, and why")
    assert told in consumer.stack.status()["supervisor"]["unkept"]
    consumer.record("n3")
    consumer.wait_servers(*NODES, "n3")


def test_two_supervisors_do_not_share_a_state_directory(consumer, tmp_path):
    from support.stack import Stack

    consumer.start()
    other = Stack(tmp_path / "other", role="writer", settings={"state_dir": str(tmp_path / "disk")})
    other.start(wait=False)
    assert other.process.wait(30) == 2
    assert f"another supervisor uses {tmp_path / 'disk'}" in other.output()


def test_systemd_says_where(consumer, tmp_path):
    settings = {key: value for key, value in consumer.stack.settings.items() if key != "state_dir"}
    consumer.stack.write("lighthouse.yaml", settings)
    consumer.stack.start(env={"STATE_DIRECTORY": f"{tmp_path / 'var'}:{tmp_path / 'x'}"})
    consumer.stack.wait_up("discovery/directory")
    until((tmp_path / "var" / "writer" / "state" / "members%2Fweb").exists, what="the copy")
