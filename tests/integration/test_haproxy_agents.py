"""What agents say about their servers is theirs to say: Lighthouse neither undoes it nor takes it for a change from outside."""

import contextlib
import socketserver
import threading

import pytest

from lighthouse.node import Node
from support.haproxy import backends, balancer, cluster, get, state
from support.ports import free_port
from support.wait import until

pytestmark = pytest.mark.versions


class _Said(socketserver.BaseRequestHandler):
    def handle(self):
        with contextlib.suppress(ConnectionError):
            self.request.sendall(f"{self.server.says}\n".encode())


class Agent(socketserver.ThreadingTCPServer):
    """Tells everybody who asks what it ``says``."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Said)
        self.says = "ready up 100%"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def __exit__(self, *exc):
        self.shutdown()
        super().__exit__(*exc)


def test_an_agent_has_its_way(paths):
    """On servers, in slots and in those whose weights are fixed: over states, weights, joins and leaves."""
    made, ports = balancer(paths), {"servers": free_port(), "slots": free_port(), "fixed": free_port()}
    lines = {"servers": [], "slots": ["cookie S insert"], "fixed": ["balance source"]}

    def sync(*members):
        made._tools.memory.forget()
        report = made.sync([cluster(name, members, port=ports[name], backend=lines[name], **options) for name in lines])
        assert (report["drift"]["healed"], report["degraded"], report["waiting"]) == (0, None, {})
        return report

    def are(what, *members):
        """Once all members are what the agent says, there is nothing to do."""
        names = {item.name: what for item in members}
        until(lambda: sync(*members)["servers"] == dict.fromkeys(lines, names), what=f"{what} for {names}")
        until(lambda: not sync(*members)["leaving"], what="the end of who leaves")
        assert sync(*members)["last"]["commands"] == 0

    with Agent() as agent, backends("a", "b", "c") as found:
        options = {"server_options": f"weight 10 agent-check agent-port {agent.server_address[1]} agent-inter 50ms"}
        options["server_metadata"] = ["weight"]
        a, b, c = (item.node for item in found)
        agent.says = "100%"
        sync(a)
        for name in ("slots", "fixed"):
            checked = {slot for slot, bits in state(paths, name, "srv_agent_state").items() if int(bits) & 4}
            assert checked == {"slot1"}, "else the agent would put free slots to work"
        heavy = Node("a", "127.0.0.1", a.port, {"weight": 20})
        for says, what in (("drain", "drain"), ("ready", "up"), ("maint", "maint"), ("ready up 50%", "up")):
            agent.says = says
            are(what, heavy)
        weights = {name: set(state(paths, name, "srv_uweight").values()) for name in ("servers", "slots")}
        assert all("5" in weights[name] for name in weights), weights
        agent.says = "maint"
        are("maint", a, b)
        agent.says = "ready up 100%"
        are("up", a, b)
        are("up", b)
        are("up", b, c)
        assert {get(port)[0] for port in ports.values()} == {200}
        assert paths.reloads() == 0
