"""`lighthouse ctl why` through a registry, a supervisor and a real HAProxy."""

import json

import pytest

from lighthouse.haproxy.ids import id_of
from support.consumer import Consumer
from support.ports import free_port
from support.wait import until

NODES = ["n0", "n1", "n2", "n3"]


@pytest.fixture(scope="module")
def consumer(tmp_path_factory):
    from support.haproxy import haproxy

    root = tmp_path_factory.mktemp("why")
    with haproxy(root) as paths:
        made = Consumer(root, paths, cluster={"haproxy": {"port": free_port(), "server_metadata": ["weight"]}})
        for name in NODES:
            made.record(name)
        made.start().wait_servers(*NODES)
        yield made
        assert made.stack.stop() == 0


def why(consumer, *arguments):
    """The exit code, and the one node that is told of."""
    code, text = consumer.ctl("why", "web", *arguments, "--json")
    [node] = json.loads(text)["nodes"]
    return code, node


def step(node, name):
    return next(item for item in node["steps"] if item["step"] == name)


def test_the_way_of_a_node_its_stations_and_its_end(consumer):
    code, node = why(consumer, "n0:80")
    assert (code, node["verdict"]) == (0, "in rotation")
    assert [item["step"] for item in node["steps"]] == [
        *("registry", "guard", "supervisor", "balancer haproxy", "server haproxy", "state haproxy")
    ]
    assert step(node, "server haproxy")["text"].endswith(f"its line: server n0:80 127.0.0.1:80 id {id_of('n0:80')}")
    assert step(node, "state haproxy")["text"] == "up, weight 1, sessions 0"
    times = [step(node, name)["at"] for name in ("registry", "supervisor", "balancer haproxy")]
    assert all(item["at"] for item in node["steps"])
    assert times[0] <= times[1] + 0.01 <= times[2] + 0.02, "they are rounded"

    code, text = consumer.ctl("why", "web")
    assert (code, text.splitlines()[0]) == (0, "web")
    assert "n3:80: in rotation" in text.splitlines()

    consumer.record("n1", weight=0)
    until(lambda: why(consumer, "n1")[0] == 1, what="the weight to reach HAProxy")
    assert why(consumer, "n1")[1]["verdict"] == "not in rotation; state haproxy: drain, weight 0, sessions 0"

    hostile = "{" + '"a": {' * 20 + "}" * 21
    consumer.raw("evil:80", json.dumps({"host": "evil", "ip": "127.0.0.9", "port": 80, "metadata": hostile}))
    until(lambda: consumer.cluster()["refused"], what="the record to be refused")
    code, node = why(consumer, "evil:80")
    assert (code, [item["step"] for item in node["steps"]]) == (1, ["registry"])
    assert "its record is refused: metadata" in node["verdict"]
    code, text = consumer.ctl("why", "web")
    assert (code, "evil:80: not in rotation; registry: its record is refused" in text) == (1, True)

    code, node = why(consumer, "nobody:80")
    assert (code, node["verdict"]) == (1, "not in rotation; registry: discovery/directory has no record of it")

    consumer.remove("n3")
    until(
        lambda: why(consumer, "n3:80")[1]["verdict"].endswith("its record has left discovery/directory"),
        what="it to leave",
    )

    consumer.keep_only("n0")
    until(lambda: consumer.held() == 2, what="the hold")
    code, node = why(consumer, "n2")
    assert (code, step(node, "guard")["mark"]) == (0, "note")
    assert "lighthouse ctl accept web" in step(node, "guard")["text"]

    consumer.stack.ask("stop", worker="discovery/directory")
    until(lambda: consumer.stack.state("discovery/directory") == "stopped", what="the discovery to stop")
    code, text = consumer.ctl("why", "web", "n0")
    assert (code, "is away or failing now" in text) == (0, True)
    assert "discovery/directory is stopped" in consumer.ctl("why", "web")[1]
    consumer.stack.ask("stop", worker="balancer/haproxy")
    until(lambda: consumer.stack.state("balancer/haproxy") == "stopped", what="the balancer to stop")
    code, text = consumer.ctl("why", "web", "n0")
    assert (code, "balancer/haproxy is stopped; the load balancer stays as it is" in text) == (0, True)
    assert "up, as last reported" in text
    assert consumer.servers(), "it serves"

    consumer.stack.write(
        "balancers/haproxy.yaml", {**consumer.paths.config, "config_file": "/nonexistent/dir/haproxy.cfg"}
    )
    assert consumer.ctl("reload")[0] == 0
    consumer.paths.stop()
    consumer.stack.ask("start", worker="balancer/haproxy")
    until(lambda: consumer.status()["balancers"]["haproxy"].get("failed"), what="the failure to be told")
    status = consumer.status()
    assert {item["state"] for item in status["clusters"]["web"]["nodes"]} == {"pending"}
    assert "/nonexistent/dir" in status["problems"][0]
    assert "serves nobody" in status["problems"][0]
    code, text = consumer.ctl("why", "web", "n0")
    assert (code, "n0:80: not in rotation" in text, "the load balancer does not run" in text) == (1, True, True)
    consumer.stack.write("balancers/haproxy.yaml", consumer.paths.config)
    consumer.wait_servers("n0", "n1", "n2")

    code, text = consumer.ctl("why", "wep")
    assert (code, text) == (2, "lighthouse ctl: there is no cluster 'wep'; known are web\n")
