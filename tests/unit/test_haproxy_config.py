"""Rendering: deterministic, one entry per line, and readable back."""

import string
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighthouse.cluster import Cluster
from lighthouse.errors import ConfigError
from lighthouse.haproxy.balancer import HAProxy
from lighthouse.haproxy.config import HAProxyConfig
from lighthouse.haproxy.document import parse
from lighthouse.haproxy.ids import id_of
from lighthouse.haproxy.member import members_of
from lighthouse.haproxy.options import HAProxySettings
from lighthouse.haproxy.outcome import Account, Outcome
from lighthouse.haproxy.running import Running
from lighthouse.haproxy.stanzas.section import Section
from lighthouse.node import Node

PATHS = {"config_file": "/etc/h.cfg", "socket_file": "/run/h.sock", "pid_file": "/run/h.pid"}
A, B = Node("a", "10.0.0.1", 80), Node("b", "10.0.0.2", 81)
A_ID, B_ID = id_of("a:80"), id_of("b:81")


def config(**more):
    return HAProxyConfig(HAProxySettings.from_mapping(PATHS | more))


def cluster(name, nodes, **options):
    return Cluster(name, nodes=nodes, options=options)


def lines(text, header):
    """The lines of one section."""
    found = [block.split("\n") for block in text.split("\n\n")]
    return next(([line.strip() for line in block[1:] if line] for block in found if block[0] == header), None)


def test_the_whole_file():
    text = config(**{"global": ["maxconn 100"], "defaults": ["mode http", "timeout client 9s"]}).generate(
        [
            cluster(
                "web",
                [B, A],
                port=8080,
                frontend=["option httplog"],
                backend=["balance leastconn"],
                server_options="check",
            )
        ]
    )
    assert "setenv LIGHTHOUSE_SKELETON" in text
    kept = [line for line in text.split("\n") if "setenv" not in line]
    assert "\n".join(kept[3:]) == (
        "global\n\tmaxconn 100\n\thard-stop-after 1h\n"
        "\tstats socket /run/h.sock mode 600 level admin expose-fd listeners\n\tstats timeout 2m\n\n"
        "defaults\n\tmode http\n\ttimeout client 9s\n\ttimeout connect 5s\n\ttimeout server 1h\n\toption redispatch\n\n"
        "frontend web:in\n\toption httplog\n\tbind 127.0.0.1:8080\n\tdefault_backend web\n\n"
        "backend web\n\tbalance leastconn\n\t# members: check\n"
        f"\tserver a:80 10.0.0.1:80 id {A_ID} check\n\tserver b:81 10.0.0.2:81 id {B_ID} check\n"
    )


@pytest.mark.parametrize("line", ["option redispatch", "option redispatch 3", "no option redispatch"])
def test_the_operators_word_on_redispatch_counts(line):
    found = lines(config(defaults=["mode http", line]).generate([]), "defaults")
    assert [text for text in found if "redispatch" in text] == [line]


def test_the_order_of_the_input_does_not_matter():
    one = [cluster("web", [A, B], port=1), cluster("db", [B])]
    other = [cluster("db", [B]), cluster("web", [B, A, A], port=1)]
    assert config().generate(one) == config().generate(other)


@pytest.mark.parametrize(
    ("address", "bind"),
    [
        ("localhost", "127.0.0.1:80"),
        ("", "*:80"),
        ("*", "*:80"),
        ("10.1.2.3", "10.1.2.3:80"),
        ("::1", "[::1]:80"),
        ("lb.local", "lb.local:80"),
    ],
)
def test_bind_address(address, bind):
    text = config(bind_address=address).generate([cluster("web", [], port=80)])
    assert f"bind {bind}" in lines(text, "frontend web:in")


def test_without_port_no_frontend_but_always_a_backend():
    text = config().generate([cluster("web", [])])
    assert lines(text, "frontend web:in") is None
    assert lines(text, "backend web") == ["# members:"]


def test_ipv6_members_are_bracketed():
    text = config().generate([cluster("web", [Node("h", "fd00::1", 80), Node("fd00::", "fd00::", 80)])])
    assert lines(text, "backend web")[1:] == [
        f"server fd00:::80 [fd00::]:80 id {id_of('fd00:::80')}",
        f"server h:80 [fd00::1]:80 id {id_of('h:80')}",
    ]


@pytest.mark.parametrize("where", ["backend", "defaults"])
def test_a_cookie_only_where_the_backend_uses_one(where):
    settings = {"defaults": ["cookie S insert"]} if where == "defaults" else {}
    options = {"backend": ["cookie S insert"]} if where == "backend" else {}
    text = config(**settings).generate([cluster("web", [A], server_options="check", **options)])
    assert f"server a:80 10.0.0.1:80 id {A_ID} cookie a:80 check" in lines(text, "backend web")
    assert "cookie" not in config().generate([cluster("web", [A], backend=["mode http"])])


def test_of_nodes_with_one_name_the_first_by_address_is_kept():
    members, _ = members_of([Node("a", "10.0.0.9", 80), Node("a", "10.0.0.1", 80)])
    assert [(item.name, item.ip) for item in members] == [("a:80", "10.0.0.1")]


def test_the_operators_own_servers_are_not_written_twice():
    text = config().generate([cluster("web", [A, B], backend=["server a:80 1.1.1.1:1 backup"])])
    assert lines(text, "backend web")[2:] == [f"server b:81 10.0.0.2:81 id {B_ID}"]


def test_one_port_for_two_clusters():
    desired = config().desired([cluster("b", [], port=80), cluster("a", [], port=80)], {})
    assert desired.document.section("frontend a:in")
    assert not desired.document.section("frontend b:in")
    assert "b: port 80 belongs to cluster a" in desired.notes[0]


def test_what_keeps_traffic_away_is_noted_first():
    stray = Cluster("a", nodes=[], options={"port": 80}, meta_cluster="nope")
    desired = config().desired([stray, cluster("b", [], port=80)], {})
    account = Account(trouble=["HAProxy does not serve"], quarantined={"c": "unknown keyword"})
    [first, second, third, last] = Outcome(desired, desired.document, Running(None), account).notes
    assert (first, second) == ("HAProxy does not serve", "cluster c is quarantined: unknown keyword")
    assert third.startswith("cluster b: port 80 belongs to cluster a")
    assert last.startswith("cluster a: there is no meta cluster nope")


@pytest.mark.parametrize("text", ["x\nserver evil 1.1.1.1:1", "x\r", "\x1b[31m", "a\u2028b", "a\u0085b", "nul\0"])
def test_a_line_break_in_any_option_is_refused(text):
    for key in ("global", "defaults"):
        with pytest.raises(ConfigError, match="control character"):
            HAProxy.validate_config(PATHS | {key: ["ok", text]})
    for key in ("frontend", "backend"):
        with pytest.raises(ConfigError) as caught:
            HAProxy.validate_cluster_config({key: ["ok", text]})
        assert caught.value.key == (key, 1)
    with pytest.raises(ConfigError):
        HAProxy.validate_cluster_config({"server_options": text})
    with pytest.raises(ConfigError):
        Section("backend web", (text,))


def test_a_line_that_opens_a_section_is_refused():
    with pytest.raises(ConfigError, match="begins a section"):
        HAProxy.validate_cluster_config({"backend": ["  listen stats"]})


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("config_file", "relative.cfg", "absolute"),
        ("config_file", "", "required"),
        ("pid_file", "/run/a b", "absolute"),
        ("socket_file", "/run/a,b", "absolute"),
        ("socket_file", "/" + "s" * 100, "shorter"),
        ("socket_file", "/" + "s" * 90, "shorter"),  # its master's socket would be too long
        ("pid_file", "/etc/h.cfg", "different"),
        ("bind_address", "a b", "IP address"),
    ],
)
def test_settings_that_are_refused(key, value, message):
    with pytest.raises(ConfigError, match=message):
        HAProxy.validate_config(PATHS | {key: value})


@pytest.mark.parametrize("port", [0, 65536, True, "80"])
def test_ports_that_are_refused(port):
    with pytest.raises(ConfigError, match="65535"):
        HAProxy.validate_cluster_config({"port": port})


@given(
    host=st.text(max_size=20) | st.text(alphabet="ab.:-\n\t ;#", max_size=10),
    ip=st.text(max_size=20) | st.just("10.0.0.1"),
    port=st.integers() | st.text(max_size=5) | st.just(80),
)
def test_no_node_writes_more_than_its_line(host, ip, port):
    """Even a node that never passed through `Node.from_mapping`."""
    plain = config().generate([cluster("web", [A])])
    text = config().generate([cluster("web", [A, Node(host, ip, port)])])
    extra = set(text.split("\n")) - set(plain.split("\n"))
    assert len(text.split("\n")) - len(plain.split("\n")) in (0, 1)
    for line in extra:
        word, name, address, keyword, number = line.split()
        assert (word, keyword, line[0]) == ("server", "id", "\t")
        assert number.isdecimal()
        assert set(name) <= set(string.ascii_letters + string.digits + "_.:-")
        assert set(address) <= set(string.hexdigits + ".:[]")


NAMES = st.from_regex(r"[a-z][a-z0-9.-]{0,6}[a-z0-9]", fullmatch=True)
NODES = st.builds(Node, NAMES, st.ip_addresses().map(str).filter(lambda ip: "%" not in ip), st.integers(1, 65535))
LINES = st.lists(st.text(st.characters(codec="ascii", exclude_categories=["C"]), max_size=15), max_size=3)
CLUSTERS = st.lists(
    st.builds(
        cluster,
        NAMES,
        st.lists(NODES, max_size=4),
        port=st.none() | st.integers(1, 65535),
        backend=LINES,
        server_options=st.sampled_from(["", "check inter 2s", "weight 5"]),
    ),
    max_size=4,
    unique_by=lambda item: item.name,
)


@given(CLUSTERS)
def test_what_is_written_can_be_read_back(clusters):
    try:
        document = config().desired(clusters, {}).document
    except ConfigError:  # a generated line happens to open a section
        return
    again = parse(document.text())
    assert again == document
    assert again.skeleton == document.skeleton
    assert again.text() == document.text()


def test_what_is_equal_to_python_and_says_something_else_is_rendered_anew():
    made = config(local_peer="me")
    for peers, port in ((True, 1024), (1, 1), (True, 1024)):
        text = made.desired([cluster("web", [A], peers=peers)], {}).document.text()
        assert f"peer me 127.0.0.1:{port}\n" in text
    for backup, refused in ((1, True), (True, False), (1, True)):
        node = Node("a", "10.0.0.1", 80, {"backup": backup})
        rendered = made.backend(cluster("web", [node], server_metadata=["backup"]))
        assert (bool(rendered.refused), rendered.section.members[0].backup) == (refused, not refused)


@given(CLUSTERS, st.lists(NODES, max_size=4))
def test_the_skeleton_is_all_but_the_members(clusters, nodes):
    try:
        document = config().desired(clusters, {}).document
    except ConfigError:
        return
    sections = (item if item.backend is None else item.filled(members_of(nodes)[0]) for item in document.sections)
    other = replace(document, sections=tuple(sections))
    assert other.skeleton == document.skeleton
    for section in other.backends().values():
        assert all(member in members_of(nodes)[0] for member in section.members)


@pytest.mark.parametrize(
    "changed",
    [
        {"port": 81},
        {"backend": ["balance first"]},
        {"server_options": "check"},
        {"frontend": ["maxconn 3"]},
    ],
)
def test_any_other_change_changes_the_skeleton(changed):
    before = config().desired([cluster("web", [A], port=80)], {}).document
    after = config().desired([cluster("web", [A], **{"port": 80} | changed)], {}).document
    assert before.skeleton != after.skeleton


@pytest.mark.parametrize(
    "text", ["", "global\n", "\tsetenv LIGHTHOUSE_SKELETON x\nbackend a\n\t# members:\n\tserver x\n", "\0"]
)
def test_a_file_that_is_not_ours_is_not_read(text):
    assert parse(text) is None


def test_places_are_named_by_section():
    document = config().desired([cluster("web", [A])], {}).document
    number = document.text().split("\n").index(f"\tserver a:80 10.0.0.1:80 id {A_ID}") + 1
    assert document.place(number) == f"line {number} (backend web)"
    assert document.place(1) == "line 1"
