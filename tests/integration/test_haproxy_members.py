"""Every change of members, on every kind of backend, on a real HAProxy: no reload, no failed request, file equal to runtime."""

import random
import socket
import threading
from contextlib import ExitStack

import pytest

from lighthouse.haproxy.document import parse
from lighthouse.haproxy.member import UNSET
from lighthouse.node import Node
from support.haproxy import Backend, Load, backends, balancer, cluster, get, of_stat, rows_of_stat, state
from support.pki import Authority
from support.ports import free_port
from support.wait import until


def in_file(paths, backend):
    """``{server name: address}`` of the members in the file."""
    return {member.server: member.address for member in parse(paths.file.read_text()).backends()[backend].members}


ALGORITHMS = {
    "roundrobin": ["balance roundrobin"],
    "leastconn": ["balance leastconn"],
    "random": ["balance random"],
    "first": ["balance first"],
    "static-rr": ["balance static-rr"],
    "source": ["balance source"],
    "uri": ["balance uri"],
    "hdr": ["balance hdr(Host)"],
    "url_param": ["balance url_param id"],
    "consistent": ["balance source", "hash-type consistent"],
}


@pytest.mark.versions
@pytest.mark.parametrize("cookie", [False, True], ids=["plain", "cookie"])
@pytest.mark.parametrize("balance", ALGORITHMS)
def test_the_matrix(paths, balance, cookie):
    """Join, leave, another address, weights, backups: each at run time, or it waits; never a reload, never a failed request."""
    made, port = balancer(paths), free_port()
    options = {
        "port": port,
        "backend": [*ALGORITHMS[balance], *(["cookie S insert"] if cookie else [])],
        "server_metadata": ["weight", "backup"],
    }

    def sync(*members):
        report = made.sync([cluster("web", members, **options)])
        assert report["degraded"] is None
        assert report["last"]["reload"] is None
        assert report["servers"]["web"] == {
            (item.node if isinstance(item, Backend) else item).name: "drain" if drained(item) else "up"
            for item in members
        }
        assert in_file(paths, "web") == paths.servers("web")
        return report

    def drained(item):
        return isinstance(item, Node) and item.metadata.get("weight") == 0

    with backends("a", "b", "c", "d") as (a, b, c, d):
        sync(a, b)
        with Load(port, rate=100) as load:
            load.wait_for(5)
            sync(a, b, c)
            load.wait_for(5)
            sync(b, c)
            load.wait_for(5)
            moved = Node("b", "127.0.0.1", d.port)
            sync(moved, c)
            until(lambda: load.ok["d"] or load.ok["c"], what="requests after the move")
            sync(Node("b", "127.0.0.1", d.port, {"weight": 0}), c)
            load.wait_for(5)
            assert "0" in state(paths, "web", "srv_uweight").values()
            for weight, backup in ((7, False), (7, True), (3, True)):
                node = Node("b", "127.0.0.1", d.port, {"weight": weight, "backup": backup})
                late = sync(node, c)["waiting"].get("web", {}).get(node.name, "")
                assert ("backup true is wanted" in late) == backup
                at_once = str(weight) in state(paths, "web", "srv_uweight").values()
                assert at_once != (f"weight {weight} is wanted" in late)
                load.wait_for(3)
            waiting = sync(moved, c, Node("e", "127.0.0.1", a.port, {"backup": True}))["waiting"]
            assert bool(waiting) == ("slot1" in paths.servers("web")), "a backup that joins waits in a slot only"
            sync(moved, c)
            sync(a, b, c, d)
            sync(d)
            until(lambda: load.ok["d"], what="requests at the last one")
        assert load.failed == []
        assert paths.reloads() == 0


@pytest.mark.versions
def test_who_joins_is_checked_as_the_file_says(paths, tmp_path):
    """By TLS and with a PROXY header where the traffic goes so; nobody says it of the check."""
    made, context = balancer(paths), Authority(tmp_path).server("server")
    secure, check = "ssl verify none check inter 100ms", ["option httpchk GET /"]
    with ExitStack() as stack:

        def two(**kind):
            return [stack.enter_context(Backend(name, **kind)) for name in "ab"]

        kinds = {
            "tls": (two(context=context), {"backend": check, "server_options": secure}, "L7OK"),
            "default": (two(context=context), {"backend": [f"default-server {secure} # port 9"]}, "L6OK"),
            "proxy": (two(proxied=True), {"backend": check, "server_options": "check inter 100ms send-proxy"}, "L7OK"),
            "plain": (two(), {"server_options": secure}, "L6RSP"),
        }
        for count in (1, 2):
            made.sync([cluster(name, members[:count], **options) for name, (members, options, _) in kinds.items()])
        for name, (members, _, expected) in kinds.items():
            wanted = {member.node.name: expected for member in members}
            until(lambda n=name, w=wanted: of_stat(paths, n, "check_status") == w, what=f"the checks of {name}")
        assert paths.reloads() == 0


@pytest.mark.parametrize(
    ("lines", "usual"),
    [
        ([], "20"),
        (["cookie S insert"], "20"),
        ([], "'2'\"0\""),
        ([], '"${WEIGHT}"'),
        (["default-server weight 3"], "\\20"),
    ],
)
def test_any_weight_where_the_algorithm_allows_it(paths, lines, usual):
    """However the usual one is written: the file has it, and it stays."""
    made, node = balancer(paths, **{"global": ["setenv WEIGHT 20"]}), Node("a", "127.0.0.1", 9)
    options = {"backend": lines, "server_metadata": ["weight"], "server_options": f"weight {usual} maxconn {usual}"}
    for weight in (None, 7, 256, 0, 20, 1, None):
        metadata = {} if weight is None else {"weight": weight}
        report = made.sync([cluster("web", [Node("a", "127.0.0.1", 9, metadata)], **options)])
        assert report["degraded"] is None
        (member,) = parse(paths.file.read_text()).backends()["web"].members
        assert state(paths, "web", "srv_uweight")[member.server] == str(20 if weight is None else weight)
        assert of_stat(paths, "web", "slim")[member.server] == "20"
    assert paths.reloads() == 0
    assert made.sync([cluster("web", [node], **options)])["last"]["commands"] == 0


FILE_ONLY = {
    "enabled": "", "init-addr": "last,libc", "log-proto": "legacy", "max-reuse": "5", "no-agent-check": "", "no-check": "",
    "no-check-send-proxy": "", "no-check-ssl": "", "no-send-proxy-v2-ssl": "", "no-send-proxy-v2-ssl-cn": "", "no-ssl": "",
    "non-stick": "", "redir": "/x", "resolve-net": "127.0.0.0/8", "resolve-opts": "allow-dup-ip", "resolve-prefer": "ipv4",
    "socks4": "127.0.0.1:9", "ssl-reuse": "", "stick": "", "tcp-ut": "1s",
}  # fmt: skip


@pytest.mark.versions
def test_options_that_haproxy_takes_in_its_file_only_make_no_reload(paths):
    """There are slots from the start: nobody has to learn it from a refusal."""
    made = balancer(paths)
    for count in (1, 2):
        clusters = [
            cluster(word, nodes(*range(count)), server_options=f"{word} {value}") for word, value in FILE_ONLY.items()
        ]
        report = made.sync(clusters)
        assert report["degraded"] is None
    assert {len(report["servers"][word]) for word in FILE_ONLY} == {2}
    assert paths.reloads() == 0


def test_what_haproxy_takes_at_a_reload_only_waits_for_one(paths):
    """A node's metadata makes no reload; whatever else makes one brings it into force."""
    made = balancer(paths)

    def sync(*lines, **metadata):
        options = {"backend": ["balance source", *lines], "server_metadata": ["weight", "backup"]}
        nodes = [Node("a", "127.0.0.1", 9, metadata), Node("b", "127.0.0.1", 9)]
        return made.sync([cluster("web", nodes, **options)])

    sync()
    for _ in range(2):
        report = sync(weight=7, backup=True)
        assert report["last"] == {"commands": 0, "start": None, "reload": None}
        assert report["degraded"] is None
        assert "weight 7 is wanted and 1 runs" in report["waiting"]["web"]["a:9"]
        assert "backup true is wanted and false runs" in report["waiting"]["web"]["a:9"]
    assert paths.reloads() == 0
    report = sync("timeout queue 3s", weight=7, backup=True)
    assert report["last"]["reload"] == "lines of backend web changed"
    assert report["waiting"] == {}
    assert state(paths, "web", "srv_uweight")["slot1"] == "7"
    assert of_stat(paths, "web", "bck")["slot1"] == "1"
    assert "weight 1 is wanted and 7 runs" in sync("timeout queue 3s", backup=True)["waiting"]["web"]["a:9"]
    assert paths.reloads() == 1


@pytest.mark.parametrize("balance", ["roundrobin", "static-rr", "source"])
def test_a_drained_member_gets_nothing_after_a_reload(paths, balance):
    """Whoever reloads: HAProxy itself has it in maintenance until Lighthouse has set its weight."""
    made, port = balancer(paths), free_port()
    options = {"port": port, "backend": [f"balance {balance}", "cookie S insert"], "server_metadata": ["weight"]}
    with backends("a", "b") as (a, b):
        clusters = [cluster("web", [a, Node("b", "127.0.0.1", b.port, {"weight": 0})], **options)]
        made.sync(clusters)
        with Load(port) as load:
            for number in range(3):
                paths.master("reload")
                load.wait_for(10)
                report = until(lambda n=number: (r := made.sync(clusters))["drift"]["healed"] > n and r, what="healing")
                until(lambda: len(paths.pids()) == 2, what="the old worker to end")
                assert set(report["servers"]["web"].values()) == {"up", "drain"}
        assert load.failed == []
        assert b.requests == 0
        report = made.sync([cluster("web", [a, b], **options)])
        assert set(report["servers"]["web"].values()) == {"up"}


@pytest.mark.parametrize("lines", [[], ["balance source"]], ids=["servers", "slots"])
def test_limits_from_the_metadata(paths, lines):
    made = balancer(paths)
    options = {"backend": lines, "server_metadata": ["maxconn"]}
    made.sync([cluster("web", [], **options)])
    for limit in (5, 9, None, 3):
        metadata = {} if limit is None else {"maxconn": limit}
        report = made.sync([cluster("web", [Node("a", "127.0.0.1", 9, metadata)], **options)])
        assert report["degraded"] is None
        (member,) = parse(paths.file.read_text()).backends()["web"].members
        assert of_stat(paths, "web", "slim")[member.server] == str(limit or "")
    report = made.sync([cluster("web", [Node("a", "127.0.0.1", 9, metadata)], backend=lines)])
    assert (report["degraded"], of_stat(paths, "web", "slim")[member.server]) == (None, ""), "nobody may any more"
    assert paths.reloads() == 0


def test_a_backup_serves_when_all_others_are_gone(paths):
    made, port = balancer(paths), free_port()
    options = {"port": port, "backend": ["balance roundrobin"], "server_metadata": ["backup"]}
    with backends("a", "b") as (a, b):
        spare = Node("b", "127.0.0.1", b.port, {"backup": True})
        made.sync([cluster("web", [a], **options)])
        made.sync([cluster("web", [a, spare], **options)])
        assert paths.reloads() == 0
        assert {get(port) for _ in range(6)} == {(200, "a")}
        made.sync([cluster("web", [spare], **options)])
        assert get(port) == (200, "b")
        report = made.sync([cluster("web", [b], **options)])
        assert report["last"]["reload"] is None
        assert "let the node leave and join again" in report["waiting"]["web"][b.node.name]
        until(lambda: made.sync([cluster("web", [a], **options)])["last"]["commands"] == 0, what="the end of b")
        assert made.sync([cluster("web", [a, b], **options)])["waiting"] == {}
        assert {get(port) for _ in range(6)} == {(200, "a"), (200, "b")}
        assert paths.reloads() == 0


def test_a_member_whose_name_a_line_of_the_operator_has(paths):
    made, (there, here) = balancer(paths), (Node("o", "127.0.0.1", 9), Node("p", "127.0.0.1", 9))
    web = [f"server {there.name} 127.0.0.1:10", f"server {here.name} 127.0.0.1:9"]
    for nodes in ([], [there, here]):
        report = made.sync([cluster("web", nodes, backend=web)])
    assert report["servers"] == {"web": {there.name: "shadowed", here.name: "up"}}
    assert report["refused"].keys() == {"web"}
    [(name, reason)] = report["refused"]["web"].items()
    assert (name, "HAProxy connects to 127.0.0.1:10 for it: remove that line" in reason) == (there.name, True)
    assert report["degraded"] is None
    facts = made.explain("web")[there.name]
    assert (facts["own"], facts["member"], facts["address"]) == (True, False, "127.0.0.1:10")
    report = made.sync([cluster("web", [here], backend=web)])
    assert (report["servers"], report["refused"]) == ({"web": {here.name: "up"}}, {})


def test_metadata_that_is_refused(paths):
    made = balancer(paths)
    wrong = [
        *({"weight": value} for value in (-1, 257, 1.5, "7", True, [], "1\nserver x 1.1.1.1:1")),
        *({"maxconn": value} for value in (0, -1, 2**31, "1", True)),
        *({"backup": value} for value in (1, "true", "yes", [])),
    ]
    nodes = [Node(f"n{number}", "127.0.0.1", 9, metadata) for number, metadata in enumerate(wrong)]
    options = {"server_metadata": ["weight", "maxconn", "backup"]}
    report = made.sync([cluster("web", [*nodes, Node("good", "127.0.0.1", 9)], **options), cluster("off", nodes)])
    assert set(report["refused"]) == {"web"}
    assert set(report["refused"]["web"]) == {node.name for node in nodes}
    assert "must be a whole number from 0 to 256" in report["refused"]["web"]["n0:9"]
    assert set(report["servers"]["web"].values()) == {"up"}
    for member in parse(paths.file.read_text()).backends()["web"].members:
        assert member.keywords == ""


@pytest.mark.parametrize("lines", [[], ["balance source"]], ids=["servers", "slots"])
def test_a_backend_whose_members_are_unknown_and_that_runs_without_any(paths, lines):
    """Its file may still have those of before, if Lighthouse was killed just then; default nodes join at once."""
    port, options = free_port(), {"backend": lines}
    with backends("a") as (a,):
        made = balancer(paths)
        made.sync([cluster("web", nodes(1, 2), port=port, **options)])
        before = paths.file.read_text()
        made.sync([cluster("web", [], port=port, **options)])
        paths.file.write_text(before)
        unknown = cluster("web", None, port=port, **options)
        made = balancer(paths)
        assert made.sync([unknown])["degraded"] is None
        assert paths.servers("web") == in_file(paths, "web") == {}
        unknown.default_nodes = (a.node,)
        for _ in range(2):
            report = made.sync([unknown])
            assert (report["servers"], report["last"]["reload"]) == ({"web": {a.node.name: "up"}}, None)
            assert len(paths.servers("web")) == 1
            assert paths.servers("web") == in_file(paths, "web")
        assert get(port) == (200, "a")


# -- slots ---------------------------------------------------------------------------------------------------------------------

SLOTTED = {"backend": ["balance source"]}


def slots(paths, backend="web"):
    return parse(paths.file.read_text()).backends()[backend].slots


def nodes(*numbers):
    return [Node(f"n{number}", "127.0.0.1", 9000 + number) for number in numbers]


def test_slots_beside_servers_of_the_operator_that_are_called_so(paths):
    made, own = balancer(paths), "server-template slot {} 127.0.0.1:9"
    for count in ("2", '"${COUNT-2}"'):
        lines = ["balance source", own.format(count)]
        report = made.sync([cluster("web", nodes(1, 2), backend=lines)])
        assert report["degraded"] is None
        assert slots(paths)[0] == "slot_1"
        assert in_file(paths, "web").items() < paths.servers("web").items()
    report = balancer(paths).sync([cluster("web", nodes(1, 2, 3), backend=lines)])
    assert (report["last"]["reload"], set(report["servers"]["web"].values())) == (None, {"up"})


def test_slots_grow_at_a_reload_when_they_run_out(paths):
    made = balancer(paths)
    made.sync([cluster("web", nodes(1), **SLOTTED)])
    assert len(slots(paths)) == 5
    made.sync([cluster("web", nodes(*range(5)), **SLOTTED)])
    assert paths.reloads() == 0
    report = made.sync([cluster("web", nodes(*range(6)), **SLOTTED)])
    assert "backend web needs 10 slots" in report["last"]["reload"]
    report = made.sync([cluster("web", nodes(*range(100)), **SLOTTED)])
    assert len(slots(paths)) == 150
    assert paths.reloads() == 2
    assert len(paths.servers("web")) == 100
    made.sync([cluster("web", nodes(1), **SLOTTED)])
    assert len(slots(paths)) == 150, "they stay, since to take them away would be a reload"
    assert paths.reloads() == 2


def test_a_change_of_all_members_needs_no_more_slots_though_connections_go_on(paths):
    made, port = balancer(paths), free_port()
    options = {"port": port, **SLOTTED}
    with Download(port) as download:
        made.sync([cluster("web", [download.node], **options)])
        download.begin()
        for first in (1, 6, 11):
            report = made.sync([cluster("web", nodes(*range(first, first + 5)), **options)])
            assert set(report["servers"]["web"].values()) == {"up"}
            assert in_file(paths, "web") == paths.servers("web")
        assert (len(slots(paths)), paths.reloads()) == (5, 0)
        download.finish()
        assert download.answer.endswith(b"halfrest")


def test_a_member_keeps_its_slot(paths):
    """Over joins, leaves, other addresses, restarts of this process and of HAProxy."""
    made = balancer(paths)

    def where():
        return {member.name: member.slot for member in parse(paths.file.read_text()).backends()["web"].members}

    made.sync([cluster("web", nodes(1, 2, 3), **SLOTTED)])
    before = where()
    made.sync([cluster("web", nodes(0, 2, 3), **SLOTTED)])
    for clusters in ([cluster("web", nodes(0, 2, 3), **SLOTTED)], [cluster("web", None, **SLOTTED)]):
        text = paths.file.read_text()
        assert where()["n2:9002"] == before["n2:9002"]
        report = balancer(paths).sync(clusters)
        assert report["last"] == {"commands": 0, "start": None, "reload": None}
        assert paths.file.read_text() == text
        paths.stop()
        report = balancer(paths).sync(clusters)
        assert paths.file.read_text() == text
        assert set(report["servers"]["web"].values()) == {"up"}
    paths.file.unlink()
    report = balancer(paths).sync([cluster("web", nodes(0, 2, 3), **SLOTTED)])
    assert report["last"] == {"commands": 0, "start": None, "reload": None}, "who is where is seen without the file"
    assert paths.file.read_text() == text


def test_a_cookie_leads_to_the_same_member(paths):
    made, port = balancer(paths), free_port()
    options = {"port": port, "backend": ["cookie S insert"]}
    with backends("a", "b", "c") as (a, b, c):
        made.sync([cluster("web", [a, b], **options)])
        slot = next(
            item.slot for item in parse(paths.file.read_text()).backends()["web"].members if item.name == b.node.name
        )

        def ask():
            with socket.create_connection(("127.0.0.1", port), 10) as connection:
                connection.sendall(f"GET / HTTP/1.0\r\nCookie: S={slot}\r\n\r\n".encode())
                return b"".join(iter(lambda: connection.recv(65536), b""))[-1:]

        assert {ask() for _ in range(5)} == {b"b"}
        made.sync([cluster("web", [b, c], **options)])
        assert {ask() for _ in range(5)} == {b"b"}
        made.sync([cluster("web", [c], **options)])
        assert ask() == b"c"
        assert paths.reloads() == 0


@pytest.mark.parametrize(("lines", "count"), [([], 3), (["balance leastconn"], 1), (["cookie S insert"], 3)])
def test_what_a_dead_member_refuses_goes_to_another_one(paths, lines, count):
    """Until its checks have found it, or while it is held, a member that died with its port costs no request."""
    made, port = balancer(paths), free_port()
    dead = [Node(f"dead{number}", "127.0.0.1", free_port()) for number in range(count)]
    with backends("a") as (a,):
        made.sync([cluster("web", [*dead, a], port=port, backend=["balance roundrobin", *lines])])
        assert {get(port) for _ in range(12)} == {(200, "a")}


def test_a_slot_that_was_deleted_by_hand_comes_back(paths):
    made = balancer(paths)
    made.sync([cluster("web", nodes(1), **SLOTTED)])
    paths.ask("disable server web/slot1;del server web/slot1")
    report = made.sync([cluster("web", nodes(1), **SLOTTED)])
    assert "slot1 was deleted" in report["last"]["reload"]
    assert paths.servers("web") == in_file(paths, "web")
    assert report["drift"]["healed"] == 1


def test_an_old_haproxy_gets_slots_everywhere(paths, monkeypatch):
    monkeypatch.setattr("lighthouse.haproxy.sockets.parse_version", lambda text: "2.4.22")
    monkeypatch.setattr("lighthouse.haproxy.process.parse_version", lambda text: "2.4.22")
    made = balancer(paths)
    made.sync([cluster("web", nodes(1))])
    report = made.sync([cluster("web", nodes(1, 2))])
    assert len(slots(paths)) == 5
    assert paths.reloads() == 0
    assert "takes no new servers at run time" in report["haproxy"]["limits"][0]
    assert set(report["servers"]["web"].values()) == {"up"}
    monkeypatch.undo()
    report = balancer(paths).sync([cluster("web", nodes(1, 2, 3))])
    assert report["last"]["reload"] is None, "an upgrade takes no slots away"
    assert report["haproxy"]["limits"] == []


PLAIN = {"weight": UNSET, "maxconn": UNSET, "backup": False}  # what the file has of a node that sets none of these


def test_a_thousand_changes_in_a_row(paths):
    """After each, the file and what runs agree, and a fresh process finds nothing to do."""
    dice = random.Random(20260201)
    made = balancer(paths)
    kinds = {
        "dynamic": {},
        "fixed": {"backend": ["balance uri"]},
        "sticky": {"backend": ["cookie S insert"], "server_options": "weight 3"},
    }
    options = {name: more | {"server_metadata": ["weight"]} for name, more in kinds.items()}

    def some(items):
        return {key: value for key, value in items.items() if dice.random() < 0.5}

    def member(number, name):
        weight = dice.choice([0, 9]) if name != "fixed" else 0
        wishes = {"weight": weight, "maxconn": number + 1, "backup": True}
        metadata = some(wishes) if dice.random() < 0.3 else {}
        return Node(f"n{number}", f"127.0.0.{dice.randint(1, 2)}", 9000 + number, metadata)

    def members(name):
        return [member(number, name) for number in dice.sample(range(12), dice.randint(0, 12))]

    now = {name: [member(number, name) for number in range(12)] for name in options}
    made.sync([cluster(name, now[name], **options[name]) for name in options])
    for number in range(1000):
        name = dice.choice(list(options))
        now[name] = members(name)
        if number % 50 == 49:
            made = balancer(paths)
        if number % 20 == 19:
            options[name] |= {"server_metadata": list(some(PLAIN))}
        if number % 97 == 96:
            name = dice.choice(list(options))
            for server in list(paths.servers(name))[:2]:
                paths.ask(f"disable server {name}/{server}")
        clusters = [cluster(key, now[key], **options[key]) for key in options]
        report = made.sync(clusters)
        if number % 97 == 96:  # what somebody typed at other backends is found when everything is compared
            report = made.sync(clusters)
        assert report["degraded"] is None, number
        for key in options:
            assert in_file(paths, key) == paths.servers(key), number
            assert set(report["servers"][key]) == {node.name for node in now[key]}
            weights = state(paths, key, "srv_uweight")
            usual = 3 if key == "sticky" else 1
            by_name = {item.name: item for item in parse(paths.file.read_text()).backends()[key].members}
            late, permissions = report["waiting"].get(key, {}), options[key]["server_metadata"]
            details = rows_of_stat(paths, key, "slim", "bck") if key == name or number % 10 == 0 else {}
            for node in now[key]:
                item = by_name[node.name]
                allowed = PLAIN | {what: node.metadata.get(what, PLAIN[what]) for what in permissions}
                assert (item.weight, item.maxconn, item.backup) == tuple(allowed.values()), number
                assert weights[item.server] == str(usual if item.weight == UNSET else item.weight), number
                if item.server in details:
                    limit, spare = details[item.server]
                    assert limit == ("" if item.maxconn == UNSET else str(item.maxconn)), number
                    assert (spare == "01"[item.backup]) != (node.name in late), number
        if number % 100 == 0:
            assert balancer(paths).sync(clusters)["last"] == {"commands": 0, "start": None, "reload": None}
    assert paths.reloads() == 0


# -- leaving -------------------------------------------------------------------------------------------------------------------


class Download:
    """A server whose answer has a part that it holds back until told, and the client that reads it."""

    def __init__(self, port):
        self.answer = b""
        self.ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._port = port

    @property
    def node(self):
        return Node("slow", "127.0.0.1", self._listener.getsockname()[1])

    def begin(self):
        self._client = socket.create_connection(("127.0.0.1", self._port), 30)
        self._client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        self._server, _ = self._listener.accept()
        self._server.settimeout(30)
        self._server.recv(4096)
        self._server.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
        while not self.answer.endswith(b"half"):
            self.answer += self._client.recv(4096)

    def finish(self):
        self._server.sendall(b"rest")
        self.read()

    def read(self):
        try:
            while chunk := self._client.recv(4096):
                self.answer += chunk
        except ConnectionError:
            pass  # cut off

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for item in ("_client", "_server", "_listener"):
            if hasattr(self, item):
                getattr(self, item).close()


@pytest.mark.parametrize("lines", [[], ["balance source"]], ids=["servers", "slots"])
def test_a_long_download_through_a_leaving_node_completes(paths, lines):
    made, port = balancer(paths), free_port()
    options = {"port": port, "backend": lines}
    with backends("b") as (b,), Download(port) as download:
        made.sync([cluster("web", [download.node], **options)])
        download.begin()
        report = made.sync([cluster("web", [b], **options)])
        left, server = download.node, "slot1" if lines else download.node.name
        at = f"127.0.0.1:{left.port}"
        assert report["leaving"] == {"web": [{"server": server, "node": left.name, "address": at}]}
        facts = made.explain("web")[left.name]
        assert (facts["server"], facts["address"], facts["member"], facts["sessions"]) == (server, at, False, 1)
        assert 0 < report["again"] <= 1
        assert in_file(paths, "web") == paths.servers("web")
        assert get(port) == (200, "b")
        for _ in range(3):
            assert made.sync([cluster("web", [b], **options)])["leaving"] == report["leaving"]
        download.finish()
        assert download.answer.endswith(b"halfrest")
        until(lambda: not made.sync([cluster("web", [b], **options)])["leaving"], what="the last server to leave")
        report = made.sync([cluster("web", [b], **options)])
        assert report["again"] is None
        assert report["degraded"] is None
        assert paths.reloads() == 0


@pytest.mark.parametrize("fresh", [False, True], ids=["same", "restarted"])
@pytest.mark.parametrize("lines", [[], ["balance source"]], ids=["servers", "slots"])
def test_after_the_drain_timeout_it_is_cut(paths, lines, fresh):
    made, port = balancer(paths, drain_timeout=1.5), free_port()
    options = {"port": port, "backend": lines}
    with backends("b") as (b,), Download(port) as download:
        made.sync([cluster("web", [download.node], **options)])
        download.begin()
        made.sync([cluster("web", [b], **options)])

        def gone():
            report = (balancer(paths, drain_timeout=1.5) if fresh else made).sync([cluster("web", [b], **options)])
            assert report["degraded"] is None
            return not report["leaving"]

        until(gone, what="the end of the leaving server", every=0.1)
        download.read()
        assert download.answer.endswith(b"half")
        assert paths.reloads() == 0


def test_one_that_comes_back_while_it_is_leaving(paths):
    made, port = balancer(paths), free_port()
    for lines in ([], ["balance source"]):
        options = {"port": port, "backend": lines}
        with backends("b") as (b,), Download(port) as download:
            made.sync([cluster("web", [download.node, b], **options)])
            download._port = port
            made.sync([cluster("web", [download.node], **options)])
            download.begin()
            made.sync([cluster("web", [b], **options)])
            report = made.sync([cluster("web", [download.node, b], **options)])
            assert set(report["servers"]["web"].values()) == {"up"}
            assert report["leaving"] == {}
            assert in_file(paths, "web") == paths.servers("web")
            download.finish()
            assert download.answer.endswith(b"halfrest")
