"""Slots: the planner and the assignment, held against a small model of a backend that takes no server at run time."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from lighthouse.cluster import Cluster
from lighthouse.haproxy.arrange import arranged, grown, refilled
from lighthouse.haproxy.change import Kind
from lighthouse.haproxy.config import HAProxyConfig
from lighthouse.haproxy.document import parse
from lighthouse.haproxy.member import Member
from lighthouse.haproxy.options import HAProxySettings
from lighthouse.haproxy.planner import adopt, plan, reload_reason
from lighthouse.haproxy.running import Running, Server
from lighthouse.haproxy.runtime import ROUNDS
from lighthouse.haproxy.slots import FREE_ADDRESS, slot_names, slots_for
from lighthouse.haproxy.stanzas.lines import defines
from lighthouse.node import Node

PATHS = {"config_file": "/etc/h.cfg", "socket_file": "/run/h.sock", "pid_file": "/run/h.pid"}
CONFIG = HAProxyConfig(HAProxySettings.from_mapping(PATHS))
NOTHING = Running(None, version="2.6.12")


def desired(nodes, lines=("balance source",), **more):
    options = {"backend": list(lines), "server_metadata": ["weight"], **more}
    return CONFIG.desired([Cluster("web", nodes=nodes, options=options)], {}).document


def declared(document, base=None, running=NOTHING):
    return arranged(document, base, running, lambda section: None)


def web(document):
    return document.backends()["web"]


@pytest.mark.parametrize(
    ("members", "before", "slots"), [(0, 0, 4), (1, 0, 5), (5, 5, 5), (6, 5, 10), (100, 5, 150), (0, 9, 9)]
)
def test_how_many_slots(members, before, slots):
    assert slots_for(members, before) == slots


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("server slot2 1.1.1.1:1", ("slot1", "slot3", "slot4")),
        ("server-template slot4 1 1.1.1.1:1", ("slot1", "slot2", "slot3")),
        ("server-template slot 3 1.1.1.1:1", ("slot_1", "slot_2", "slot_3")),
        ('server-template slot "$COUNT" 1.1.1.1:1', ("slot_1", "slot_2", "slot_3")),
    ],
)
def test_names_of_the_operators_own_servers_are_left_out(line, names):
    assert slot_names([line], 3) == names


@pytest.mark.parametrize(
    ("count", "own", "others"),
    [
        ("3", ("w1", "w3"), ("w0", "w4", "wx", "1", "w")),
        ("2-5", ("w2", "w5"), ("w1", "w6")),
        ('"$COUNT"', ("w1", "w99"), ("w", "wx", "ww1")),
    ],
)
def test_a_template_defines_as_many_servers_as_it_says(count, own, others):
    line = f"server-template w {count} 1.1.1.1:1"
    assert [name for name in (*own, *others) if defines(line, name)] == list(own)


NODES = st.dictionaries(
    st.sampled_from("abcdefgh"),
    st.tuples(st.sampled_from(["10.0.0.1", "10.0.0.2", "fd00::1"]), st.sampled_from([None, 0, 1, 9])),
)


def nodes_of(found):
    return [Node(name, ip, 80, {} if weight is None else {"weight": weight}) for name, (ip, weight) in found.items()]


@given(
    NODES,
    st.sampled_from([("balance source",), ("cookie S insert",)]),
    st.sampled_from(["", "check weight 3", "x # y", "'q'"]),
)
def test_what_is_written_can_be_read_back(nodes, lines, template):
    document = declared(desired(nodes_of(nodes), lines, server_options=template))
    again = parse(document.text())
    assert again == document
    assert again.text() == document.text()
    assert len({member.slot for member in web(document).members}) == len(nodes)


@given(NODES, NODES)
def test_who_stays_keeps_the_slot(first, second):
    before = declared(desired(nodes_of(first)))
    after = declared(desired(nodes_of(second)), before)
    old = {member.name: member.slot for member in web(before).members}
    new = {member.name: member.slot for member in web(after).members}
    assert {name: new[name] for name in old.keys() & new.keys()} == {
        name: old[name] for name in old.keys() & new.keys()
    }
    assert set(new) == {f"{name}:80" for name in second}
    if len(second) <= len(web(before).slots):
        assert after.skeleton == before.skeleton
        assert refilled(before, after, NOTHING) == after
    else:
        assert "slots for its members" in reload_reason(after, before)


def test_the_assignment_does_not_depend_on_the_order():
    nodes = nodes_of(dict.fromkeys("abcd", ("10.0.0.1", None)))
    assert declared(desired(nodes)) == declared(desired(nodes[::-1]))


def test_without_the_file_the_running_addresses_tell():
    document = declared(desired([]))
    servers = {"slot1": Server("10.0.0.9", 80), "slot2": Server("10.0.0.1", 80)}
    placed = declared(desired([Node("a", "10.0.0.1", 80)]), document, Running("x", servers={"web": servers}))
    assert [member.slot for member in web(placed).members] == ["slot2"]


def test_a_slot_whose_connections_go_on_is_taken_last():
    document = declared(desired(nodes_of(dict.fromkeys("a", ("10.0.0.1", None)))))
    servers = {
        "slot1": Server("10.0.0.7", 80, admin=1, sessions=3),
        "slot2": Server("10.0.0.8", 80, admin=1, sessions=0, since=5),
        "slot3": Server("10.0.0.8", 80, admin=1, sessions=0, since=50),
        "slot4": Server(*FREE_ADDRESS, admin=1),
    }
    running = Running("x", servers={"web": servers})
    base = refilled(document, desired([]), running)
    for count, expected in ((1, ["slot4"]), (2, ["slot3", "slot4"]), (3, ["slot2", "slot3", "slot4"])):
        nodes = [Node(f"n{number}", "10.0.1.1", 80 + number) for number in range(count)]
        members = web(declared(desired(nodes), base, running)).members
        assert {member.slot for member in members} - {"slot5"} <= set(expected)


@pytest.mark.parametrize(
    ("metadata", "numbers"),
    [({}, "24513"), ({"weight": 7}, "12345"), ({"weight": 0}, "12453"), ({"backup": True}, "31245")],
    ids=["plain", "weight", "drained", "backup"],
)
def test_which_slots_members_are_given_first(metadata, numbers):
    """Those declared with their weight and as they are, for neither can change; of these the ones that nobody remembers."""
    options = {"server_metadata": ["weight", "backup"]}
    document = declared(desired(nodes_of({"a": ("10.0.0.1", None)}), **options))
    free = Server(*FREE_ADDRESS, admin=1, sessions=0, backup=False)
    servers = {
        "slot1": replace(free, initial=7),
        "slot2": free,
        "slot3": replace(free, backup=True),
        "slot4": replace(free, ip="10.0.0.7", port=80, since=50),
        "slot5": replace(free, ip="10.0.0.8", port=80, since=5),
    }
    running = Running("x", servers={"web": servers})
    base = refilled(document, desired([], **options), running)
    new = [Node(f"n{number}", "10.0.1.1", 80, metadata) for number in range(5)]
    members = web(refilled(base, desired(new, **options), running)).members
    given = {member.name: member.slot for member in members}
    assert "".join(given[node.name].removeprefix("slot") for node in new) == numbers


def test_slots_stay_while_the_lines_do():
    """A HAProxy that was upgraded, or a refusal that was learned before a restart: nothing is reloaded for it."""
    old = arranged(desired([], ()), None, NOTHING, lambda section: "learned")
    assert web(old).slots
    assert declared(desired([], ()), old).skeleton == old.skeleton
    assert not web(declared(desired([], ("balance first",)), old)).slots
    assert web(declared(desired([], ()), None, Running(None, version="2.5.9"))).slots


def test_what_stays_under_its_own_lines_grows_too():
    three, nine = (nodes_of(dict.fromkeys(names, ("10.0.0.1", None))) for names in ("abc", "abcdefghi"))

    def more(nodes, lines):
        wanted = declared(desired(nodes, lines), before)
        return grown(refilled(before, wanted, NOTHING), wanted, NOTHING, lambda section: None)

    before = declared(desired(three))
    assert more(three, ("balance source", "nonsense")).skeleton == before.skeleton, "there is room for all"
    found = web(more(nine, ("balance source", "nonsense", "server b:80 9.9.9.9:9")))
    assert (len(found.slots), found.lines) == (12, ("balance source",))
    assert {member.name for member in found.members} == {f"{name}:80" for name in "acdefghi"}
    kept = {member.name: member.slot for member in web(before).members if member.name != "b:80"}
    assert kept.items() <= {member.name: member.slot for member in found.members}.items()


def test_adopting_slots():
    listed = declared(desired(nodes_of(dict.fromkeys("abc", ("10.0.0.1", None)))))
    servers = {
        "slot1": Server("10.0.0.1", 80, admin=1),  # in the file: disabled by hand
        "slot2": Server("10.0.0.5", 80, admin=1),  # it was leaving
        "slot3": Server("10.0.0.6", 81),  # given away just before a crash
        "slot4": Server(*FREE_ADDRESS, admin=0),
        "slot5": Server(*FREE_ADDRESS, admin=1),
    }
    found = adopt("web", Running("x", servers={"web": servers}), listed)
    assert [(member.name, member.address) for member in found] == [
        ("a:80", "10.0.0.1:80"),
        ("10.0.0.6:81", "10.0.0.6:81"),
    ]
    assert [member.name for member in adopt("web", None, listed)] == ["a:80", "b:80", "c:80"]


class World(RuleBasedStateMachine):
    """A HAProxy with a fixed map of servers, someone who types at its socket, and Lighthouse."""

    lines = ("balance source",)
    dynamic_weights = False

    def __init__(self):
        super().__init__()
        self.nodes = {}
        self.sessions = {}
        self.reloads = 0
        self.load(declared(desired([], self.lines)))

    def load(self, document):
        self.document = document
        section = web(document)
        placed = {member.slot: member for member in section.members}
        self.servers = {}
        for slot in section.slots:
            member = placed.get(slot)
            weight = member.weight if member and member.weight > 0 else 1
            serves = member is not None and member.weight != 0
            ip, port = (member.ip, member.port) if member else FREE_ADDRESS
            self.servers[slot] = {
                "ip": ip,
                "port": port,
                "admin": 0 if serves else 5,
                "weight": weight,
                "initial": weight,
            }
        self.sessions = {}

    def running(self):
        servers = {name: Server(**values, sessions=self.sessions.get(name, 0)) for name, values in self.servers.items()}
        return Running("x", version="2.6.12", servers={"web": servers})

    def take(self, command):
        match command.replace("web/", "").split():
            case ["set", "server", slot, "addr", ip, "port", port]:
                self.servers[slot] |= {"ip": ip, "port": int(port)}
            case ["set", "server", slot, "weight", weight]:
                initial = self.servers[slot]["initial"]
                assert self.dynamic_weights or int(weight) in (0, initial), command
                self.servers[slot]["weight"] = int(weight)
            case ["set", "server", slot, "state", "ready"]:
                self.servers[slot]["admin"] &= 4
            case ["set", "server", slot, "state", "maint"]:
                self.servers[slot]["admin"] |= 1
            case ["shutdown", "sessions", "server", slot]:
                self.sessions.pop(slot, None)
            case _:
                raise AssertionError(command)

    @rule(
        name=st.sampled_from("abcdefghij"),
        ip=st.sampled_from(["10.0.0.1", "10.0.0.2"]),
        weight=st.sampled_from([None, 0, 1, 9]),
    )
    def join(self, name, ip, weight):
        self.nodes[name] = (ip, weight)
        self.sync()

    @rule(name=st.sampled_from("abcdefghij"))
    def leave(self, name):
        self.nodes.pop(name, None)
        self.sync()

    @rule(number=st.integers(0, 3), what=st.sampled_from(["maint", "ready", "addr"]))
    def somebody_types(self, number, what):
        slot = sorted(self.servers)[number]
        self.take(f"set server web/{slot} " + ("addr 9.9.9.9 port 9" if what == "addr" else f"state {what}"))

    @rule(number=st.integers(0, 3))
    def connections_begin(self, number):
        slot = sorted(self.servers)[number]
        if not self.servers[slot]["admin"] & 1:
            self.sessions[slot] = 2

    @rule()
    def connections_end(self):
        self.sessions.clear()

    @rule()
    def somebody_reloads(self):
        self.load(self.document)
        self.bring(self.document)
        assert not plan(self.document, self.running()).waiting

    @rule(expired=st.booleans())
    def sync_again(self, expired):
        self.sync({("web", slot) for slot in self.servers} if expired else ())

    def sync(self, expired=()):
        wanted = declared(desired(nodes_of(self.nodes), self.lines), self.document, self.running())
        if reason := reload_reason(wanted, self.document):
            assert len(self.nodes) > len(web(self.document).slots), reason
            self.load(wanted)
            self.reloads += 1
        self.bring(wanted, expired)

    def bring(self, wanted, expired=()):
        for _ in range(ROUNDS):
            todo = plan(wanted, self.running(), (), expired)
            assert not todo.blocked
            for step in todo.steps:
                for command in step.commands:
                    self.take(command)
        self.document = wanted
        assert not plan(wanted, self.running()).open

    @invariant()
    def reloads_are_few(self):
        assert self.reloads <= 2

    @invariant()
    def the_file_can_be_read_back(self):
        assert parse(self.document.text()) == self.document

    def teardown(self):
        self.sync()
        members = {member.slot: member for member in web(self.document).members}
        assert {member.name for member in members.values()} == {f"{name}:80" for name in self.nodes}
        for slot, server in self.servers.items():
            member = members.get(slot)
            assert bool(server["admin"] & 1) == (member is None)
            if member:
                assert (server["ip"], server["port"]) == (member.ip, member.port)
                weight = self.nodes[member.name[0]][1]
                late = plan(self.document, self.running()).waiting.get("web", {})
                if member.name in late:
                    assert server["weight"] == server["initial"] != weight
                else:
                    assert server["weight"] == (1 if weight is None else weight)
            elif slot not in self.sessions:
                assert (server["ip"], server["port"]) == FREE_ADDRESS


TestWorld = World.TestCase
TestWorld.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_busy_slots_wait_then_are_cut():
    document = declared(desired([]))
    servers = {slot: Server(*FREE_ADDRESS, admin=5) for slot in web(document).slots}
    servers["slot2"] = Server("10.0.0.1", 80, admin=1, sessions=2)
    running = Running("x", servers={"web": servers})
    assert plan(document, running).steps == ()
    unknown = Running("x", servers={"web": servers | {"slot2": replace(servers["slot2"], sessions=None)}})
    assert plan(document, unknown).steps == (), "it may have some"
    (step,) = plan(document, running, (), {("web", "slot2")}).steps
    assert (step.kind, step.commands) == (Kind.CUT, ("shutdown sessions server web/slot2",))


def test_a_fixed_weight_waits_and_is_said():
    node = Node("a", "10.0.0.1", 80, {"weight": 9})
    document = declared(desired([node]))
    servers = {slot: Server(*FREE_ADDRESS, admin=5) for slot in web(document).slots} | {"slot1": Server("10.0.0.1", 80)}
    found = plan(document, Running("x", servers={"web": servers}))
    assert not found.blocked
    assert not found.steps
    assert found.waiting["web"]["a:80"].startswith("weight 9 is wanted and 1 runs until the next reload")


def test_one_that_was_drained_serves_again_with_the_weight_of_its_slot():
    document = declared(desired([Node("a", "10.0.0.1", 80, {"weight": 9})]))
    drained = Server("10.0.0.1", 80, weight=0, initial=4)
    servers = {slot: Server(*FREE_ADDRESS, admin=5) for slot in web(document).slots} | {"slot1": drained}
    (step,) = plan(document, Running("x", servers={"web": servers})).steps
    assert step.commands == ("set server web/slot1 weight 4",)


def test_a_backup_waits_and_is_said():
    node = Node("a", "10.0.0.1", 80, {"backup": True})
    for lines, remedy in ((("balance source",), "server_options"), ((), "leave and join")):
        document = declared(desired([node], lines, server_metadata=["backup"]))
        servers = {slot: Server(*FREE_ADDRESS, admin=5, backup=False) for slot in web(document).slots}
        (member,) = web(document).members
        servers[member.server] = Server("10.0.0.1", 80, backup=False)
        found = plan(document, Running("x", servers={"web": servers}))
        assert (found.blocked, found.steps) == ({}, ())
        assert "backup true is wanted and false runs" in found.waiting["web"]["a:80"]
        assert remedy in found.waiting["web"]["a:80"]


def test_an_agent_decides_about_drains_and_weights():
    """A slot that is declared in maintenance could not be told from one that its agent put there."""
    document = declared(desired([Node("a", "10.0.0.1", 80, {"weight": 0})], server_options="agent-check agent-port 1"))
    assert "disabled" not in document.text().partition("slot1")[2].partition("\n")[0]
    document = declared(desired([Node("a", "10.0.0.1", 80, {"weight": 9})], server_options="agent-check agent-port 1"))
    servers = {slot: Server(*FREE_ADDRESS, admin=5) for slot in web(document).slots}
    servers["slot1"] = Server("10.0.0.1", 80, agent=6)
    found = plan(document, Running("x", servers={"web": servers}))
    assert (found.steps, found.waiting) == ((), {}), "no reload is awaited, because none gives it that weight for long"


def test_the_agent_of_a_free_slot_rests():
    """It is at work after each start and reload, and would put the slot to work, at an address where nobody is."""
    document = declared(desired([], server_options="agent-check agent-port 1"))
    servers = {slot: Server(*FREE_ADDRESS, admin=5, agent=2) for slot in web(document).slots}
    assert plan(document, Running("x", servers={"web": servers})).steps == ()
    servers["slot2"] = Server(*FREE_ADDRESS, admin=5, agent=6)
    (step,) = plan(document, Running("x", servers={"web": servers})).steps
    assert step.commands == ("disable agent web/slot2", "set server web/slot2 state maint")


@pytest.mark.parametrize("agent", [0, 2], ids=["plain", "agent"])
def test_a_slot_serves_once_its_address_is_seen(agent):
    """What is ready while its address is on the way gets requests at the old one, since HAProxy 3.0."""
    document = declared(desired([Node("a", "10.0.0.1", 80)]))
    servers = {slot: Server(*FREE_ADDRESS, admin=5, agent=agent) for slot in web(document).slots}

    def commands():
        return [
            command
            for step in plan(document, Running("x", servers={"web": servers})).steps
            for command in step.commands
        ]

    address, ready = "set server web/slot1 addr 10.0.0.1 port 80", "set server web/slot1 state ready"
    if agent:  # which may have put it where it is, so nothing tells later that it has to be made ready
        assert commands() == [address, "enable agent web/slot1", ready]
        return
    assert commands() == [address]
    servers["slot1"] = Server("10.0.0.1", 80, admin=5)
    assert commands() == [ready]


def test_members_in_slots_name_them():
    member = Member("a:80", "10.0.0.1", 80, weight=0, slot="slot3")
    assert member.server == "slot3"
    document = declared(desired([Node("a", "10.0.0.1", 80, {"weight": 0})]))
    assert "\tserver slot1 10.0.0.1:80 disabled # a:80 weight 0\n" in document.text()
    assert "\tserver slot2 127.0.0.1:1 disabled\n" in document.text()
