"""The planner, held against a small model of HAProxy's rules for runtime commands."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighthouse.cluster import Cluster
from lighthouse.haproxy.change import Kind
from lighthouse.haproxy.config import HAProxyConfig
from lighthouse.haproxy.dynamic import recipe
from lighthouse.haproxy.ids import id_of
from lighthouse.haproxy.member import Member
from lighthouse.haproxy.options import HAProxySettings
from lighthouse.haproxy.planner import adopt, plan, reload_reason
from lighthouse.haproxy.running import Running, Server
from lighthouse.haproxy.stanzas.backend import BackendStanza
from lighthouse.node import Node

PATHS = {"config_file": "/etc/h.cfg", "socket_file": "/run/h.sock", "pid_file": "/run/h.pid"}
A, B = Node("a", "10.0.0.1", 80), Node("b", "10.0.0.2", 81)
A_ID = id_of("a:80")


def cluster(name, nodes, **options):
    return Cluster(name, nodes=nodes, options=options)


def document(*clusters, **settings):
    return HAProxyConfig(HAProxySettings.from_mapping(PATHS | settings)).desired(clusters, {}).document


class Model:
    """Runtime commands as HAProxy takes them: a new server is disabled, and only one in maintenance can be deleted."""

    def __init__(self, servers, busy=()):
        self.servers = {backend: dict(have) for backend, have in servers.items()}
        self.busy = set(busy)

    def take(self, command):
        match command.split():
            case ["add", "server", path, address, *arguments]:
                backend, name = path.split("/")
                assert name not in self.servers.setdefault(backend, {}), command
                ip, _, port = address.rpartition(":")
                check = 2 if "check" in arguments else 0
                self.servers[backend][name] = Server(ip.strip("[]"), int(port), admin=1, check=check)
            case ["set", "server", path, "addr", ip, "port", port]:
                self._change(path, ip=ip, port=int(port))
            case ["set", "server", path, "state", "ready"] | ["enable", "server", path]:
                self._change(path, admin=0)
            case ["set", "server", path, "state", "maint"]:
                self._change(path, admin=1)
            case ["enable", "health", path]:
                self._change(path, check=6)
            case ["del", "server", path]:
                backend, name = path.split("/")
                assert self.servers[backend][name].admin & 1, command
                if path not in self.busy:
                    del self.servers[backend][name]
            case _:
                raise AssertionError(command)

    def _change(self, path, **values):
        backend, name = path.split("/")
        old = self.servers[backend][name]
        fields = {key: getattr(old, key) for key in ("ip", "port", "operational", "admin", "weight", "check", "agent")}
        self.servers[backend][name] = Server(**fields | values)


MEMBERS = st.dictionaries(
    st.sampled_from("abcde"), st.tuples(st.sampled_from(["10.0.0.1", "fd00::1"]), st.integers(1, 3))
)
RUNNING = st.dictionaries(
    st.sampled_from("abcde"),
    st.builds(
        Server,
        st.sampled_from(["10.0.0.1", "fd00::1"]),
        st.integers(1, 3),
        admin=st.sampled_from([0, 1, 8, 9]),
        check=st.just(6),
    ),
)


def wanted_of(members, options="check"):
    shape = document(cluster("web", [], server_options=options), cluster("other", []))
    found = tuple(Member(name, ip, port) for name, (ip, port) in sorted(members.items()))
    return shape.exchanged({"web": shape.backends()["web"].filled(found)})


@given(MEMBERS, RUNNING, st.sets(st.sampled_from(["web/a", "web/b", "web/c"])))
def test_the_commands_lead_to_what_is_wanted(members, running, busy):
    wanted = wanted_of(members)
    model = Model({"web": running}, busy)
    for step in plan(wanted, Running("x", servers=model.servers)).steps:
        for command in step.commands:
            assert "\n" not in command
            assert ";" not in command
            model.take(command)
    serving = {
        name: (server.ip, server.port) for name, server in model.servers.get("web", {}).items() if not server.admin
    }
    assert serving == members
    left = set(model.servers.get("web", {})) - set(members)
    assert left == {name for name in running if name not in members and f"web/{name}" in busy}
    assert not plan(wanted, Running("x", servers=model.servers)).open


@given(MEMBERS, RUNNING)
def test_joins_come_before_leaves(members, running):
    steps = plan(wanted_of(members), Running("x", servers={"web": running})).steps
    kinds = [step.kind.value for step in steps]
    assert kinds == sorted(kinds)


@given(MEMBERS, RUNNING)
def test_unknown_members_are_left_alone(members, running):
    assert not plan(wanted_of(members), Running("x", servers={"web": running}), {"web"}).steps


def commands(wanted, **servers):
    return [command for step in plan(wanted, Running("x", servers=servers)).steps for command in step.commands]


def test_equal_needs_nothing():
    assert commands(document(cluster("web", [A])), web={"a:80": Server("10.0.0.1", 80)}) == []


def test_default_server_lines_are_expanded():
    wanted = document(
        cluster("web", [A], backend=["default-server inter 2s weight 3"], server_options="check weight 5"),
        defaults=["default-server inter 9s maxconn 7"],
    )
    assert commands(wanted) == [
        f"add server web/a:80 10.0.0.1:80 id {A_ID} inter 9s maxconn 7 inter 2s weight 3 check weight 5",
        "enable health web/a:80",
        "enable server web/a:80",
    ]


@pytest.mark.parametrize(
    ("options", "more"),
    [
        ("check ssl verify none", "check-ssl"),
        ("check ssl send-proxy-v2", "check-ssl check-send-proxy"),
        ("check send-proxy no-send-proxy send-proxy-v2-ssl", "check-send-proxy"),
        ("check ssl check-ssl send-proxy check-send-proxy", ""),
        ("check ssl send-proxy port 81", ""),
        ("check ssl addr 127.0.0.1", ""),
        ("check send-proxy no-send-proxy", ""),
        ("check ca-file ssl proxy-v2-options ssl", ""),
        ("ssl send-proxy", ""),
    ],
)
def test_a_check_goes_the_way_of_the_traffic(options, more):
    """As HAProxy has it for the servers of its file."""
    first, *_ = commands(document(cluster("web", [A], backend=[f"default-server {options} # port 9"])))
    assert first == f"add server web/a:80 10.0.0.1:80 id {A_ID} {options} {more}".strip()


def test_checks_and_agents_that_were_switched_off():
    server = Server("10.0.0.1", 80, check=2, agent=2)
    assert commands(document(cluster("web", [A])), web={"a:80": server}) == [
        "enable health web/a:80",
        "enable agent web/a:80",
    ]


@pytest.mark.parametrize(
    ("options", "server", "expected"),
    [
        ("", {}, ["set server web/a:80 health up"]),
        ("", {"operational": 3}, ["set server web/a:80 health up"]),
        ("", {"check": 6}, []),
        ("", {"agent": 6}, []),
        ("", {"admin": 1}, ["set server web/a:80 state ready"]),  # and it is up again
        ("", {"admin": 0x20}, []),
        ("track db/a", {}, []),
        ("init-state down", {}, []),
        ("ssl verify none", {"operational": 2, "ssl": False}, ["set server web/a:80 ssl on"]),
        ("ssl verify none no-ssl", {"operational": 2, "ssl": True}, ["set server web/a:80 ssl off"]),
        ("ssl verify none", {"operational": 2, "ssl": None}, []),
        ("ssl ca-file ${CA}", {"operational": 2, "ssl": False}, []),
        ("", {"operational": 2, "maxconn": 4}, ["set maxconn server web/a:80 0"]),
        ("maxconn ${MOST}", {"operational": 2, "maxconn": 4}, []),
        ("agent-check agent-port 9", {"operational": 2, "maxconn": 4, "agent": 6}, []),
    ],
)
def test_what_somebody_typed_that_no_check_undoes(options, server, expected):
    found = Server("10.0.0.1", 80, **{"operational": 0, **server})
    assert commands(document(cluster("web", [A], server_options=options)), web={"a:80": found}) == expected


@pytest.mark.parametrize(("said", "undone"), [({"admin": 1}, ["set server web/a:80 state ready"]), ({"weight": 7}, [])])
def test_an_agent_decides_about_maintenance_and_weight(said, undone):
    """One that somebody switched off cannot have put its server into maintenance; the weight it says again."""
    wanted = document(cluster("web", [A]))
    assert commands(wanted, web={"a:80": Server("10.0.0.1", 80, agent=6, **said)}) == []
    switched_off = Server("10.0.0.1", 80, agent=2, **said)
    assert commands(wanted, web={"a:80": switched_off}) == ["enable agent web/a:80", *undone]


@pytest.mark.parametrize("admin", [0, 1])
def test_a_leaving_server_first_loses_its_agent(admin):
    """Also one that its agent has put into maintenance: it would put it to work again."""
    assert commands(document(cluster("web", [])), web={"a:80": Server("10.0.0.1", 80, admin=admin, agent=6)}) == [
        "disable agent web/a:80",
        "set server web/a:80 state maint",
        "del server web/a:80",
    ]


def test_disabled_in_the_options_is_no_drift():
    wanted = document(cluster("web", [A], server_options="disabled"))
    assert commands(wanted, web={"a:80": Server("10.0.0.1", 80, admin=5)}) == []
    assert commands(wanted) == [f"add server web/a:80 10.0.0.1:80 id {A_ID} disabled"]


def test_the_operators_own_servers_stay():
    wanted = document(cluster("web", [], backend=["server own 1.1.1.1:1 backup", "server-template t 2 1.1.1.1:1"]))
    have = {"own": Server("1.1.1.1", 1, admin=1), "t1": Server("1.1.1.1", 1), "tx": Server("1.1.1.1", 1, admin=1)}
    assert commands(wanted, web=have) == ["del server web/tx"]


@pytest.mark.parametrize(
    ("lines", "options", "obstacle"),
    [
        ([], "", None),
        (["balance leastconn"], "", None),
        (["balance random(2)"], "", None),
        (["balance static-rr"], "", "static-rr"),
        (["balance source"], "", "source"),
        (["balance uri whole"], "", "uri"),
        (["balance hdr(Host)"], "", "hdr"),
        (["balance source", "hash-type consistent"], "", None),
        (["balance static-rr", "hash-type consistent"], "", "static-rr"),
        (["balance source", "balance first"], "", None),
        (["cookie S insert"], "", "cookie"),
        ([], "sni str(a;b)", "special"),
        (["default-server sni 'x'"], "", "special"),
        (["default-server check"], "inter 2s no-check", "`no-check`"),
        ([], "on-error stick verifyhost resolvers", None),
    ],
)
def test_which_backends_take_servers_at_run_time(lines, options, obstacle):
    found = recipe(BackendStanza(cluster("web", [], backend=lines, server_options=options)).section(), ()).obstacle
    assert (obstacle in found) if obstacle else found is None


def test_a_fixed_backend_blocks_joins_only():
    wanted = document(cluster("web", [A, B], backend=["balance source"]))
    result = plan(wanted, Running("x", servers={"web": {"a:80": Server("9.9.9.9", 80), "c:1": Server("9.9.9.9", 1)}}))
    assert [step.kind for step in result.steps] == [Kind.CHANGE, Kind.LEAVE, Kind.DELETE]
    assert "b:81 joins" in result.blocked["web"]


def test_inherited_balance_counts():
    wanted = document(cluster("web", [A]), defaults=["balance source"])
    assert plan(wanted, Running("x")).blocked


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        ([cluster("web", [B], port=80)], None),
        ([cluster("web", [A], port=81)], "lines of frontend web:in changed"),
        ([cluster("web", [A], port=80, server_options="check")], "lines of backend web changed"),
        ([cluster("web", [A], port=80), cluster("db", [])], "backend db is new"),
        ([], "frontend web:in is gone, backend web is gone"),
    ],
)
def test_reasons_of_a_reload(new, reason):
    assert reload_reason(document(*new), document(cluster("web", [A], port=80))) == reason


def test_reasons_outside_the_sections():
    wanted = document()
    assert "not ours" in reload_reason(wanted, None)
    assert "paths" in reload_reason(wanted, document(pid_file="/run/other.pid"))
    assert reload_reason(wanted, replace(wanted, sections=wanted.sections[::-1])) == "the order of the sections changed"
    assert "defaults" in reload_reason(wanted, document(defaults=["mode http"]))


def test_one_that_leaves_the_address_of_a_free_slot_is_none():
    """In place of it another joins, so that there are as many servers as members."""
    leaving = {"x:1": Server("127.0.0.1", 1, admin=1)}
    todo = plan(document(cluster("web", [A])), Running("x", servers={"web": leaving}))
    assert [step.kind for step in todo.steps] == [Kind.JOIN, Kind.DELETE]


def test_adopting_what_runs():
    on_disk = document(cluster("web", [A]))
    running = Running(
        "x",
        servers={
            "web": {
                "a:80": Server("10.0.0.9", 80, admin=1),  # in the file: someone disabled it
                "c:1": Server("10.0.0.3", 1),
                "gone:1": Server("10.0.0.4", 1, admin=1),  # not in the file: it is leaving
                "odd": Server("-", 0),
            }
        },
    )
    assert [item.name for item in adopt("web", running, on_disk)] == ["a:80", "c:1"]
    assert adopt("web", running, on_disk)[0].ip == "10.0.0.9"
    assert [item.name for item in adopt("web", None, on_disk)] == ["a:80"]
    assert adopt("web", None, None) == ()
    assert [item.name for item in adopt("web", Running("x"), on_disk)] == ["a:80"], "something else runs"
    assert adopt("web", Running(on_disk.skeleton), on_disk) == (), "it runs without any server"
