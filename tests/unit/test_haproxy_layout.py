"""The stanzas by the names of lighthouse 1.0, what the options of listeners refuse, and what clashes."""

import socket
import threading

import pytest

from lighthouse.advertise import usable
from lighthouse.cluster import Cluster
from lighthouse.errors import ConfigError, LighthouseError
from lighthouse.haproxy import addresses, binds, host_name, layout, resolver
from lighthouse.haproxy.balancer import HAProxy
from lighthouse.haproxy.binds import places_of
from lighthouse.haproxy.claims import Wish, settle, spots_of
from lighthouse.haproxy.config import HAProxyConfig
from lighthouse.haproxy.document import Document, parse
from lighthouse.haproxy.host_name import RETRY, HostName
from lighthouse.haproxy.ids import id_of
from lighthouse.haproxy.listeners import Upstream
from lighthouse.haproxy.options import ClusterOptions, HAProxySettings
from lighthouse.haproxy.stanzas.backend import BackendStanza
from lighthouse.haproxy.stanzas.frontend import FrontendStanza
from lighthouse.haproxy.stanzas.meta import MetaFrontendStanza
from lighthouse.haproxy.stanzas.peers import PeersStanza
from lighthouse.haproxy.stanzas.proxy import ProxyStanza
from lighthouse.haproxy.stanzas.section import Section
from lighthouse.haproxy.stanzas.stanza import Stanza
from lighthouse.haproxy.stanzas.stats import StatsStanza
from lighthouse.node import Node
from lighthouse.peer import Peer
from support.wait import until

PATHS = {"config_file": "/etc/h.cfg", "socket_file": "/run/h.sock", "pid_file": "/run/h.pid"}
A, B = Node("a", "10.0.0.1", 80), Node("b", "10.0.0.2", 81)


def settings(**more):
    return HAProxySettings.from_mapping(PATHS | more)


def cluster(name, nodes=(), meta=None, **options):
    nodes = nodes if nodes is None else list(nodes)
    return Cluster(name, nodes=nodes, options=options, meta_cluster=meta)


def desired(*clusters, previous=None, **more):
    return HAProxyConfig(settings(local_peer="me", **more)).desired(clusters, {}, previous)


def lines(found, header):
    section = found.document.section(header)
    return None if section is None else list(section.lines)


# the stanzas ----------------------------------------------------------------------------------------------------------


def test_a_stanza_is_header_and_lines():
    stanza = Stanza("backend", "web", ["balance first"])
    assert (stanza.header, stanza.lines, str(stanza)) == (
        "backend web",
        ["balance first"],
        "backend web\n\tbalance first",
    )
    with pytest.raises(ConfigError, match="control character"):
        str(Stanza("backend", "web", ["a\nb"]))


def test_frontend_and_backend():
    web = cluster("web", [B, A], port=80, frontend=["mode http"], backend=["balance leastconn"], server_options="check")
    assert str(FrontendStanza(web, "10.0.0.9")) == (
        "frontend web:in\n\tmode http\n\tbind 10.0.0.9:80\n\tdefault_backend web"
    )
    assert str(BackendStanza(web)).split("\n\t") == [
        *("backend web", "balance leastconn", "# members: check"),
        *(f"server a:80 10.0.0.1:80 id {id_of('a:80')} check", f"server b:81 10.0.0.2:81 id {id_of('b:81')} check"),
    ]


def test_meta_cluster():
    members = [cluster("z", acl="path_beg /z"), cluster("none"), cluster("a", acl=" path_beg /a ")]
    assert str(MetaFrontendStanza("api", 8080, ["mode http"], members, "localhost")).split("\n\t") == [
        *("frontend api:in", "bind 127.0.0.1:8080", "mode http"),
        *("acl is_a path_beg /a", "use_backend a if is_a", "acl is_z path_beg /z", "use_backend z if is_z"),
    ]


def test_proxy():
    upstreams = [Upstream("partner.example", 88, 400), Upstream("fd00::1", 89)]
    assert str(ProxyStanza("partner", 7777, upstreams, ["mode http"], "::1")).split("\n\t") == [
        *("listen partner", "bind [::1]:7777", "mode http"),
        "server partner.example:88 partner.example:88 maxconn 400",
        "server fd00::1:89 [fd00::1]:89",
    ]
    lines = ProxyStanza("partner", 7777, upstreams, addresses={"partner.example:88": "fd00::5"}).lines
    assert lines[1:] == [
        "server partner.example:88 partner.example:88 maxconn 400 init-addr fd00::5",
        "server fd00::1:89 [fd00::1]:89",
    ]


def test_stats():
    assert str(StatsStanza(9009)).split("\n\t")[1:] == ["bind *:9009", "mode http", "stats enable", "stats uri /"]
    assert str(StatsStanza(9009, "/x", "::", [("client", 7)])).split("\n\t")[1:] == [
        *("bind [::]:9009", "mode http", "stats enable", "stats uri /x", "timeout client 7ms")
    ]


def test_peers():
    nodes = [
        Node("a", "10.0.0.1", 80, peer=Peer("lb-a", "10.0.1.1", 1026)),
        Node("a", "10.0.0.1", 81, peer=Peer("lb-a", "10.0.1.1", 1025)),
        Node("b", "fd00::2", 80),
        Node("me", "10.0.0.9", 80),
        Node("me", "10.0.0.9", 81, peer=Peer("me", "10.0.0.1", 5)),
        Node("evil", "10.0.0.7", 80, peer=Peer("x\nserver y", "10.0.0.7")),
        Node("evil", "10.0.0.7", 81, peer=Peer("x", "10.0.0.7 extra")),
    ]
    assert str(PeersStanza(cluster("web", nodes), "me", address="10.0.0.8")).split("\n\t") == [
        *("peers web", "peer b [fd00::2]:1024", "peer lb-a 10.0.1.1:1025", "peer me 10.0.0.8:1024"),
    ]
    assert str(PeersStanza(cluster("web", [A]), "me", 99)).split("\n\t")[1:] == [
        "peer a 10.0.0.1:99",
        "peer me 127.0.0.1:99",
    ]


# the whole ------------------------------------------------------------------------------------------------------------


def test_all_of_it_can_be_read_back_and_depends_on_no_order():
    more = {
        "stats": {"port": 9009},
        "proxies": {"p": {"port": 1, "upstreams": [{"host": "::1", "port": 2}]}},
        "meta_clusters": {"api": {"port": 3}},
        "meta_cluster_ports": {"old": 4},
    }
    clusters = [cluster("web", [A, B], "api", port=5, acl="path_beg /w", peers=True), cluster("db", [B], "old")]
    one = desired(*clusters, **more)
    other = desired(*reversed(clusters), **dict(reversed(more.items())))
    assert one.document.text() == other.document.text()
    assert parse(one.document.text()) == one.document
    assert [section.header for section in one.document.sections] == [
        *("global", "defaults", "frontend api:in", "frontend old:in", "frontend web:in", "backend db", "backend web"),
        *("peers web", "listen p", "listen stats"),
    ]
    assert one.notes == ("cluster db: without `acl` it gets nothing from meta cluster old",)


def test_a_meta_cluster_that_is_not_there():
    found = desired(cluster("web", [A], "nope", port=80, acl="path_beg /w"))
    assert lines(found, "frontend web:in")
    assert "no meta cluster nope" in found.notes[0]


def test_lines_that_come_to_nothing_are_said():
    one, other = cluster("one", [A], frontend=["maxconn 5"]), cluster("other", [A], acl="path_beg /w")
    notes = desired(one, other).notes
    assert "cluster one: its `frontend` lines do nothing without a `port`" in notes[0]
    assert "cluster other: its `acl` does nothing, because it names no `meta_cluster`" in notes[1]
    assert desired(cluster("web", [A], port=80, frontend=["maxconn 5"])).notes == ()


def test_get_meta_clusters():
    config = HAProxyConfig(settings(meta_cluster_ports={"api": 1, "empty": 2}))
    b, a, c = cluster("b", meta="api"), cluster("a", meta="api"), cluster("c", meta="nope")
    assert config.get_meta_clusters([b, a, c]) == {"api": [a, b], "empty": []}


def test_peers_only_on_request_so_that_members_need_no_reload():
    before, after = desired(cluster("web", [A])), desired(cluster("web", [A, B]))
    assert "peer" not in before.document.text()
    assert before.document.skeleton == after.document.skeleton
    before, after = desired(cluster("web", [A], peers=True)), desired(cluster("web", [A, B], peers=True))
    assert "localpeer me" in lines(before, "global")
    assert before.document.skeleton != after.document.skeleton


def test_peers_of_an_unknown_cluster_stay():
    known = desired(cluster("web", [A], peers=True)).document
    found = desired(cluster("web", None, peers=True), previous=known)
    assert lines(found, "peers web") == ["peer a 10.0.0.1:1024", "peer me 127.0.0.1:1024"]
    assert lines(desired(cluster("web", None, peers=True)), "peers web") == ["peer me 127.0.0.1:1024"]


def test_the_operators_own_localpeer_counts():
    found = desired(cluster("web", [A], peers=True), **{"global": ["localpeer mine"]})
    assert lines(found, "global").count("localpeer mine") == 1
    assert "localpeer me" not in lines(found, "global")
    assert "peer mine 127.0.0.1:1024" in lines(found, "peers web")


def test_a_resolver_that_fails_does_not_rename_the_local_peer(monkeypatch):
    """Another name would be a reload, and one more when the resolver is back."""
    config, clusters = HAProxyConfig(settings()), [cluster("web", [A], peers=True)]
    monkeypatch.setattr(layout, "HOST_NAME", HostName(lambda: "me.example.net"))
    known = config.desired(clusters, {})
    assert "localpeer me.example.net" in lines(known, "global")
    monkeypatch.setattr(layout, "HOST_NAME", HostName(failing))
    later = HAProxyConfig(settings()).desired(clusters, {}, known.document)
    assert (later.document.text(), later.notes, later.remarks) == (known.document.text(), (), ())
    fresh = HAProxyConfig(settings()).desired(clusters, {})
    assert f"localpeer {socket.gethostname()}" in lines(fresh, "global")
    assert "give it with `local_peer`" in fresh.remarks[0]
    assert fresh.notes == (), "nothing of the configuration is left out"


def test_where_this_host_listens_to_its_peers_is_its_own_business(monkeypatch):
    clusters = [cluster("web", [A, Node("me", "10.9.9.9", 80, peer=Peer("me", "203.0.113.9", 7))], peers=True)]

    def told(address, previous=None, **more):
        monkeypatch.setattr(layout, "HOST_ADDRESS", HostName(address))
        found = HAProxyConfig(settings(local_peer="me", **more)).desired(clusters, {}, previous)
        return lines(found, "peers web")[-1], (len(found.notes), len(found.remarks)), found.document

    *known, document = told(lambda: "10.0.0.8")
    assert known == ["peer me 10.0.0.8:1024", (0, 0)]
    assert list(told(failing, document)[:2]) == known, "a resolver that fails moves nothing"
    assert told(failing)[:2] == ("peer me 127.0.0.1:1024", (0, 1))
    assert told(lambda: "127.0.0.1")[:2] == ("peer me 127.0.0.1:1024", (1, 0))
    assert told(failing, local_peer_address="[fd00::8]")[:2] == ("peer me [fd00::8]:1024", (0, 0))
    monkeypatch.setattr(host_name, "own_name", lambda: "me.example.net")
    found = [(2, 1, 6, "", (ip, 0)) for ip in ("127.0.1.1", "fd00::8", "10.0.0.8")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    assert host_name.own_address() == "10.0.0.8"
    del found[1:]
    assert host_name.own_address() == "127.0.0.1"


def test_the_name_of_the_host_is_found_once_and_a_silent_resolver_delays_once_in_a_while(monkeypatch):
    now, answers, asked = [100.0], [None, "me.example.net", "other"], []

    def ask():
        asked.append(now[0])
        return answers.pop(0) or failing()

    name = HostName(ask, lambda: now[0])
    assert [name.known(), name.known()] == [None, None]
    now[0] += RETRY
    assert [name.known(), name.known()] == ["me.example.net"] * 2
    now[0] += RETRY
    assert (name.known(), asked) == ("me.example.net", [100.0, 100.0 + RETRY])
    answers[:] = ["127.0.0.1", None, "10.0.0.8", "10.0.0.9"]
    address, told = HostName(ask, lambda: now[0], usable), []
    for _ in range(4):
        told += [address.known(), address.known()]
        now[0] += RETRY
    assert told == [*["127.0.0.1"] * 4, *["10.0.0.8"] * 4], "a loopback address is not the last word"
    assert answers == ["10.0.0.9"]
    silent, answered = threading.Event(), []
    monkeypatch.setattr(resolver, "PATIENCE", 0.01)
    slow = HostName(lambda: answered.append(silent.wait()) or "late.example.net", lambda: now[0])
    assert slow.known() is None
    now[0] += RETRY
    assert slow.known() is None, "it is asked only once at a time"
    silent.set()
    until(lambda: slow.known() == "late.example.net", what="the answer")
    assert answered == [True]


def failing():
    raise LighthouseError("the resolver fails")


def test_two_clusters_cannot_share_the_port_of_peers():
    found = desired(cluster("a", [A], peers=True), cluster("b", [A], peers=True), cluster("c", [A], peers=1025))
    assert lines(found, "peers a")
    assert lines(found, "peers b") == ["disabled"], "lines may name it all the same"
    assert lines(found, "peers c")
    assert "cluster b: port 1024 of its peers belongs to the peers of cluster a" in found.notes[0]


@pytest.mark.parametrize(
    ("more", "name", "left_out"),
    [
        ({"stats": {"port": 1}}, "stats", "listen stats"),
        ({"proxies": {"x": {"port": 1, "upstreams": [{"host": "h", "port": 2}]}}}, "x", "listen x"),
        ({"meta_clusters": {"x": {"port": 1}}}, "x", None),
    ],
)
def test_a_cluster_keeps_its_name(more, name, left_out):
    found = desired(cluster(name, [A], port=80), **more)
    assert lines(found, f"frontend {name}:in")[-1] == f"default_backend {name}"
    assert left_out is None or found.document.section(left_out) is None
    assert "a cluster has its name" in found.notes[0]


@pytest.mark.parametrize(
    ("more", "owner"),
    [
        ({"stats": {"port": 80}}, "the stats page"),
        ({"proxies": {"x": {"port": 80, "upstreams": [{"host": "h", "port": 2}]}}}, "proxy x"),
        ({"meta_clusters": {"x": {"port": 80}}}, "meta cluster x"),
    ],
)
def test_a_cluster_gives_way_at_a_port(more, owner):
    found = desired(cluster("web", [A], port=80), **more)
    assert lines(found, "frontend web:in") is None
    assert found.notes == (f"cluster web: port 80 belongs to {owner}; choose another",)


@pytest.mark.parametrize(
    ("old", "new", "clashes"),
    [
        ({"web": 1}, {"aaa": 1, "web": 1}, {"aaa": "port 1 belongs to cluster web, which listens there already; choose another"}),
        ({"web": 1}, {"aaa": 1}, {}),
        ({"web": 1, "old": 2}, {"web": 2, "old": 1}, {}),
        (
            {"web": 1, "old": 2},
            {"aaa": 1, "web": 2, "old": 2},
            {
                "aaa": "port 1 belongs to cluster web; choose another",
                "web": "port 2 belongs to cluster old, which listens there already; choose another, "
                "until then it stays where it listens",
            },
        ),
        ({"web": 1, "old": 2}, {"web": 2, "old": 1, "aaa": 2}, {"aaa": "port 2 belongs to cluster web; choose another"}),
        ({}, {"aaa": 1, "web": 1}, {"web": "port 1 belongs to cluster aaa; choose another"}),
        (
            {"a": 4, "b": 2, "c": 3, "z": 1},
            {"a": 1, "b": 3, "c": 3, "z": 2},
            {
                "a": "port 1 belongs to cluster z; choose another, until then it stays where it listens",
                "b": "port 3 belongs to cluster c, which listens there already; choose another, "
                "until then it stays where it listens",
                "z": "port 2 belongs to cluster b; choose another, until then it stays where it listens",
            },
        ),
        (
            {"a": 1, "b": 4, "z": 2},
            {"a": 2, "b": 3, "z": 3},
            {
                "a": "port 2 belongs to cluster z; choose another, until then it stays where it listens",
                "z": "port 3 belongs to cluster b; choose another, until then it stays where it listens",
            },
        ),
        (
            {"a": 1, "b": 2, "c": 3},
            {"a": 2, "b": 3, "c": 2},
            {"a": "port 2 belongs to cluster c; choose another, until then it stays where it listens"},
        ),
    ],
)  # fmt: skip
def test_who_listens_at_a_port_keeps_it(old, new, clashes):
    """No change of another file takes it away, and two may change places."""

    def ports(document):
        return {header.split()[1].removesuffix(":in"): place.port for header, place in places_of(document)}

    before = desired(*(cluster(name, [A], port=port) for name, port in old.items())).document
    found = desired(*(cluster(name, [A], port=port) for name, port in new.items()), previous=before)
    assert found.clashes == clashes
    assert found.notes == tuple(f"cluster {name}: {clashes[name]}" for name in sorted(clashes))
    kept = {name: old[name] for name in clashes if name in old}
    assert ports(found.document) == {name: port for name, port in new.items() if name not in clashes} | kept
    again = desired(*(cluster(name, [A], port=port) for name, port in new.items()), previous=found.document)
    assert again.document == found.document, "and so it stays"


@pytest.mark.parametrize(
    ("old", "new", "denied"),
    [
        ({"a": "127.0.0.1:1", "b": "127.0.0.2:1"}, {"a": "*:1", "b": "127.0.0.2:1"}, {"a": "b"}),
        ({"a": "127.0.0.1:1", "b": "127.0.0.2:1"}, {"a": "*:1", "b": "*:1"}, {"a": "b", "b": "a"}),
        ({"a": "127.0.0.1:1", "b": "127.0.0.2:1"}, {"a": "*:1", "b": "127.0.0.1:2"}, {}),
        ({"a": "127.0.0.1:1", "b": "127.0.0.2:1", "c": "*:2"}, {"a": "*:1", "b": "*:2", "c": "*:2"}, {"a": "b", "b": "c"}),
        ({"a": "127.0.0.1:1", "b": "127.0.0.1:2"}, {"a": "*:2", "b": "*:2"}, {"a": "b"}),
        ({"a": "127.0.0.1:1", "b": "127.0.0.1:2"}, {"a": "10.0.0.1:2", "b": "10.0.0.1:2"}, {"a": "b"}),
        ({"a": "*:1", "b": "*:2"}, {"a": "127.0.0.2:2", "b": "127.0.0.2:2"}, {"a": "b"}),
        (
            {"a": "127.0.0.2:6", "b": "127.0.0.1:2", "c": "*:5", "d": "127.0.0.2:2"},
            {"a": "127.0.0.2:2", "b": "*:5", "c": "*:2", "d": "*:5"},
            {"a": "d", "b": "c", "c": "d", "d": "c"},
        ),
        ({"a": "[::]:1", "b": "[::1]:2"}, {"a": "[::1]:1", "b": "[::1]:1"}, {"b": "a"}),
        ({"a": "*:1"}, {"a": "*:1", "b": "[::]:1 v6only", "c": ":::1"}, {"c": "a"}),
        ({"a": "[::]:1 v4v6"}, {"a": "[::]:1 v6only", "b": ":1"}, {}),
        ({"a": "*:1", "b": "[::]:1 v6only"}, {"a": "*:2", "b": "[::]:1 v4v6"}, {}),
        ({"a": "*:1", "b": "[::]:1 v6only"}, {"a": "*:1", "b": "[::]:1 v4v6"}, {"b": "a"}),
        ({"a": "*:1"}, {"a": "*:1", "b": "[fd00::1]:1", "c": "[::ffff:10.0.0.1]:1"}, {"c": "a"}),
    ],
)  # fmt: skip
def test_one_address_does_not_become_all_in_place_of_another(old, new, denied):
    def wishes(places):
        return [
            Wish(section, name, spots_of(section))
            for name, place in places.items()
            for section in [Section(f"frontend {name}:in", (f"bind {place}",))]
        ]

    before = Document((), tuple(wish.section for wish in wishes(old)))
    found = settle(wishes(new), before)
    assert {header.split()[1].removesuffix(":in"): denial.owner for header, denial in found.items()} == denied
    assert all(denial.stays is before.section(header) for header, denial in found.items())


@pytest.mark.parametrize("alone", [False, True])
def test_the_kernel_says_whether_all_of_ipv6_is_all_of_ipv4_too(monkeypatch, alone):
    """``net.ipv6.bindv6only``; HAProxy leaves it at that where the line says nothing."""
    for module in (addresses, binds):
        monkeypatch.setattr(module, "six_alone", lambda: alone)
    for cached in (addresses.reach, binds._read):
        cached.cache_clear()
    try:
        stats = {"stats": {"port": 80, "bind_address": "::"}}
        for lines_, clash in (([], not alone), (["bind [::]:80 v4v6"], True), (["bind [::]:80 v6only"], True)):
            web = cluster("web", [A], port=80 if not lines_ else 81, frontend=lines_)
            assert bool(desired(web, **stats).clashes) == clash
        both = cluster("web", [A], port=80), cluster("six", [A], port=81, frontend=["bind [::]:80 v4v6"])
        assert desired(*both).clashes.keys() == {"web"}
    finally:
        for cached in (addresses.reach, binds._read):
            cached.cache_clear()


def test_a_listener_of_no_cluster_takes_no_port_away_either():
    before = desired(cluster("web", [A], port=80), cluster("old", [A], peers=81), stats={"port": 9009})
    new = {"proxies": {"thief": {"port": 80, "upstreams": [{"host": "h", "port": 2}]}}, "stats": {"port": 81}}
    mine = cluster("mine", [A], port=82, frontend=["bind 127.0.0.1:80"])
    found = desired(cluster("web", [A], port=80), cluster("old", [A], peers=81), mine, previous=before.document, **new)
    assert lines(found, "listen thief") is None
    assert lines(found, "listen stats")[0] == "bind *:9009"
    assert lines(found, "peers old") == lines(before, "peers old")
    assert lines(found, "frontend mine:in") is None
    assert [note.partition(" belongs")[0] for note in found.notes] == [
        *("proxy thief: port 80", "the stats page: port 81", "cluster mine: port 80"),
    ]
    beside = desired(cluster("web", [A], port=80), stats={"port": 80, "bind_address": "127.0.0.2"}).document
    found = desired(cluster("web", [A], port=80), previous=beside, stats={"port": 80})
    assert found.document == beside
    assert "the stats page: port 80 belongs to cluster web, which listens there already" in found.notes[0]


def test_one_port_on_two_addresses():
    proxies = {"x": {"port": 80, "bind_address": "10.0.0.1", "upstreams": [{"host": "h", "port": 2}]}}
    assert desired(cluster("web", [A], port=80), proxies=proxies).notes == ()


# options --------------------------------------------------------------------------------------------------------------

UPSTREAMS = [{"host": "h", "port": 1}]


@pytest.mark.parametrize(
    ("more", "key", "message"),
    [
        ({"stats": {}}, ("stats", "port"), "missing"),
        ({"stats": {"port": "80"}}, ("stats", "port"), "whole number"),
        ({"stats": {"port": 1, "uri": "x y"}}, ("stats", "uri"), "path"),
        ({"stats": {"port": 1, "uri": "/$x"}}, ("stats", "uri"), "must not hold"),
        ({"stats": {"port": 1, "timeouts": {"client": 0}}}, ("stats", "timeouts", "client"), "whole number"),
        ({"stats": {"port": 1, "timeouts": {"queue": 1}}}, ("stats", "timeouts", "queue"), "unknown key"),
        ({"stats": {"port": 1, "bind_address": "a b"}}, ("stats", "bind_address"), "IP address"),
        ({"bind_address": "192.0.2.1:80"}, ("bind_address",), "without a port: that has a key of its own"),
        ({"bind_address": "192.0.2.400"}, ("bind_address",), "IP address"),
        ({"stats": {"port": 1, "prot": 1}}, ("stats", "prot"), "'prot'; did you mean 'port'. known keys: port, uri"),
        (
            {"proxies": {"p": {"port": 1, "upstreams": [{"host": "a", "port": 1, "maxconn": 1}]}}},
            ("proxies", "p", "upstreams", 0, "maxconn"),
            "did you mean 'max_conn'",
        ),
        ({"proxies": {"x": {"port": 1}}}, ("proxies", "x", "upstreams"), "missing"),
        ({"proxies": {"x": {"upstreams": UPSTREAMS}}}, ("proxies", "x", "port"), "missing"),
        ({"proxies": {"x": {"port": 1, "upstreams": []}}}, ("proxies", "x", "upstreams"), "list of upstreams"),
        ({"proxies": {"x y": {"port": 1, "upstreams": UPSTREAMS}}}, ("proxies", "x y"), "may hold letters"),
        ({"proxies": {"x": []}}, ("proxies", "x"), "mapping"),
        (
            {"proxies": {"x": {"port": 1, "upstreams": [{"host": "h", "port": 1}, {"port": 1}]}}},
            ("proxies", "x", "upstreams", 1, "host"),
            "missing",
        ),
        (
            {"proxies": {"x": {"port": 1, "upstreams": [*UPSTREAMS, *UPSTREAMS]}}},
            ("proxies", "x", "upstreams", 1),
            "listed twice",
        ),
        (
            {"proxies": {"x": {"port": 1, "upstreams": [{"host": "h\n", "port": 1}]}}},
            ("proxies", "x", "upstreams", 0, "host"),
            "host name",
        ),
        (
            {"proxies": {"x": {"port": 1, "upstreams": UPSTREAMS, "options": ["ok", "a\nb"]}}},
            ("proxies", "x", "options", 1),
            "control character",
        ),
        (
            {"proxies": {"x": {"port": 1, "upstreams": UPSTREAMS, "options": ["ok", 5]}}},
            ("proxies", "x", "options", 1),
            "quotes",
        ),
        ({"meta_clusters": {"x": {"frontend": []}}}, ("meta_clusters", "x", "port"), "missing"),
        ({"meta_clusters": {"x": {"port": 1, "frontend": "a"}}}, ("meta_clusters", "x", "frontend"), "list of lines"),
        ({"meta_clusters": {"x": None}}, ("meta_clusters", "x", "port"), "missing"),
        ({"meta_cluster_ports": {"x": 0}}, ("meta_cluster_ports", "x"), "whole number"),
        (
            {"meta_clusters": {"x": {"port": 1}}, "meta_cluster_ports": {"x": 2}},
            ("meta_cluster_ports", "x"),
            "keep one",
        ),
        ({"local_peer": "a b"}, ("local_peer",), "host name"),
        (
            {"stats": {"port": 1}, "proxies": {"stats": {"port": 2, "upstreams": UPSTREAMS}}},
            ("proxies", "stats"),
            "name of the page",
        ),
        (
            {"meta_clusters": {"x": {"port": 1}}, "proxies": {"x": {"port": 2, "upstreams": UPSTREAMS}}},
            ("proxies", "x"),
            "name of the meta cluster",
        ),
        (
            {"proxies": {"x": {"port": 2, "upstreams": UPSTREAMS}, "y": {"port": 2, "upstreams": UPSTREAMS}}},
            ("proxies", "y", "port"),
            "belongs to proxy x",
        ),
        (
            {"stats": {"port": 2}, "proxies": {"y": {"port": 2, "upstreams": UPSTREAMS}}},
            ("proxies", "y", "port"),
            "belongs to page stats",
        ),
    ],
)
def test_what_is_refused_and_where(more, key, message):
    with pytest.raises(ConfigError, match=message) as caught:
        settings(**more)
    assert caught.value.key == key


def test_both_forms_of_a_meta_cluster():
    more = {"meta_clusters": {"x": {"frontend": ["mode http"]}, "y": None}, "meta_cluster_ports": {"x": 2, "y": 3}}
    HAProxy.validate_config(PATHS | more)
    found = [(meta.name, meta.port, meta.frontend) for meta in settings(**more).meta_clusters]
    assert found == [("x", 2, ("mode http",)), ("y", 3, ())]


@pytest.mark.parametrize("address", ["::1", "[::1]"])
def test_ipv6_with_or_without_brackets(address):
    found = desired(cluster("web", [A], port=80), bind_address=address)
    assert "bind [::1]:80" in lines(found, "frontend web:in")


@pytest.mark.parametrize(
    ("options", "key"), [({"acl": "a\nb"}, "acl"), ({"peers": 0}, "peers"), ({"peers": 65536}, "peers")]
)
def test_options_of_clusters_that_are_refused(options, key):
    with pytest.raises(ConfigError) as caught:
        ClusterOptions.from_mapping(options)
    assert caught.value.key == (key,)


def test_changed_options_of_a_cluster_are_read_again():
    assert ClusterOptions.of(cluster("web", port=1)).port == 1
    assert ClusterOptions.of(cluster("web", port=2)).port == 2
