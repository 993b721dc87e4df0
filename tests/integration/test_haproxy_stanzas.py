"""The stanzas and the judging of lines against the installed HAProxy."""

import subprocess

import pytest

from lighthouse.errors import ConfigError
from lighthouse.haproxy import judge
from lighthouse.haproxy.balancer import HAProxy
from lighthouse.haproxy.config import HAProxyConfig
from lighthouse.haproxy.document import parse
from lighthouse.haproxy.ids import id_of
from lighthouse.haproxy.options import HAProxySettings
from lighthouse.haproxy.stanzas.backend import BackendStanza
from lighthouse.haproxy.stanzas.proxy import ProxyStanza
from lighthouse.haproxy.stanzas.stanza import Stanza
from lighthouse.node import Node
from lighthouse.peer import Peer
from support.config_directory import Directory
from support.haproxy import Backend, backends, cluster, get
from support.ports import free_port
from support.wait import until

pytestmark = pytest.mark.versions

PATHS = {"config_file": "/run/h.cfg", "socket_file": "/run/h.sock", "pid_file": "/run/h.pid"}
NODES = [Node("a", "10.0.0.1", 80, peer=Peer("lb", "10.0.0.1", 1025)), Node("six", "fd00::1", 80)]
UPSTREAMS = [{"host": "127.0.0.1", "port": 88, "max_conn": 400}, {"host": "fd00::2", "port": 88}]
TABLE = ["stick-table type ip size 1k peers web", "stick on src"]


@pytest.fixture(autouse=True)
def asked_afresh(monkeypatch):
    """Each test asks HAProxy itself, with a budget of its own."""
    monkeypatch.setattr(judge, "_verdicts", {})
    monkeypatch.setattr(judge, "_spent", 0.0)
    monkeypatch.setattr(judge, "_binary", "haproxy")
    monkeypatch.setattr(judge, "CALL_TIMEOUT", 30.0)
    monkeypatch.setattr(judge, "TOTAL_TIMEOUT", 60.0)


def balancer(paths, **more):
    made = HAProxy()
    config = paths.config | more
    made.validate_config(config)
    made.apply_config(config)
    return made


# rendering ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "clusters"),
    [
        pytest.param({}, [], id="global-defaults"),
        pytest.param({"stats": {"port": 9009, "uri": "/x", "timeouts": {"client": 5, "connect": 6, "server": 7}}}, [], id="stats"),
        pytest.param({"stats": {"port": 9009, "bind_address": "::1"}}, [], id="stats-ipv6"),
        pytest.param({"proxies": {"p": {"port": 1, "upstreams": UPSTREAMS, "options": ["mode http"]}}}, [], id="proxy"),
        pytest.param({"proxies": {"p": {"port": 1, "upstreams": UPSTREAMS, "bind_address": "::"}}}, [], id="proxy-ipv6"),
        pytest.param({"meta_clusters": {"api": {"port": 1}}}, [], id="meta-empty"),
        pytest.param(
            {"meta_clusters": {"api": {"port": 1, "frontend": ["mode http"]}}, "bind_address": "*"},
            [cluster("web", NODES, acl="path_beg /w", port=2), cluster("a-b.c_d", [], acl="path_beg /x")],
            id="meta",
        ),
        pytest.param({"meta_cluster_ports": {"api": 1}}, [cluster("web", NODES, acl="path_beg /w")], id="meta-ports"),
        pytest.param({}, [cluster("web", NODES, port=2, frontend=["maxconn 5"], backend=["balance first"])], id="cluster"),
        pytest.param({}, [cluster("web", NODES, peers=True, backend=TABLE)], id="peers"),
        pytest.param({}, [cluster("web", [], peers=1030, backend=TABLE)], id="peers-empty"),
        pytest.param({"bind_address": "::1"}, [cluster("web", NODES, port=2)], id="ipv6"),
    ],
)  # fmt: skip
def test_each_stanza_is_accepted(settings, clusters):
    for item in clusters:
        item.meta_cluster = "api" if "acl" in item.options else None
    config = HAProxyConfig(HAProxySettings.from_mapping(PATHS | {"defaults": ["mode http"]} | settings))
    done = subprocess.run(
        ["haproxy", "-c", "-f", "/dev/stdin"],
        input=config.generate(clusters),
        text=True,
        capture_output=True,
    )
    complaints = [line for line in done.stderr.splitlines() if not line.startswith("[NOTICE]")]
    # without any listener it would not start, which is no fault of the file
    assert [line for line in complaints if "ALERT" in line or "WARNING" in line] == []
    assert done.returncode in (0, 2)


def test_stats_and_proxy_serve_and_change_by_reload(paths):
    stats, port = free_port(), free_port()
    with Backend("partner") as partner:
        proxies = {"partner": {"port": port, "upstreams": [{"host": "127.0.0.1", "port": partner.port}]}}
        made = balancer(paths, stats={"port": stats}, proxies=proxies)
        assert made.sync([])["degraded"] is None
        assert get(port) == (200, "partner")
        assert get(stats)[0] == 200
        made.apply_config(paths.config | {"proxies": proxies})
        assert "listen stats is gone" in made.sync([])["last"]["reload"]
        with pytest.raises(OSError):
            get(stats)
        assert get(port) == (200, "partner")


def test_the_port_of_a_proxy_that_is_in_use(paths):
    made = balancer(paths)
    made.sync([])
    with Backend("squatter") as squatter:
        upstreams = [{"host": "127.0.0.1", "port": 9}]
        made.apply_config(paths.config | {"proxies": {"p": {"port": squatter.port, "upstreams": upstreams}}})
        report = made.sync([])
    assert f"listen p: cannot listen on 127.0.0.1:{squatter.port}" in report["degraded"]
    assert paths.reloads() == 0


def test_members_of_a_cluster_with_peers_change_at_run_time(paths):
    """As long as the hosts stay the same; a new host is the one change of members that needs a reload."""
    peers, port = free_port(), free_port()
    made = balancer(paths, local_peer="me")
    options = {"port": port, "peers": peers, "backend": TABLE}
    with backends("me", "me2") as (a, b):
        nodes = [Node("me", "127.0.0.1", a.port), Node("me", "127.0.0.1", b.port)]
        assert made.sync([cluster("web", nodes[:1], **options)])["degraded"] is None
        assert get(port) == (200, "me")
        report = made.sync([cluster("web", nodes, **options)])
        assert report["last"]["reload"] is None
        until(lambda: "me(local" in paths.ask("show peers web"), what="the local peer")
        report = made.sync([cluster("web", [*nodes, Node("other", "127.0.0.9", 9)], **options)])
        assert report["last"]["reload"] == "lines of peers web changed"
        assert get(port) == (200, "me"), "the table went over to the new process"
        assert "127.0.0.9" in paths.ask("show peers web")


def test_a_port_of_peers_that_is_taken_costs_nothing_but_the_sharing(paths):
    port = free_port()
    clusters = []
    with backends("a", "squatter") as (a, squatter):
        for peers, found in ((squatter.port, ("disabled",)), (free_port(), None)):
            for address in ("127.0.0.1", "203.0.113.9"):
                nodes = [Node("a", "127.0.0.1", a.port, peer=Peer("me", "127.0.0.1"))]
                clusters = [cluster("web", nodes, port=port, peers=peers, backend=TABLE)]
                report = balancer(paths, local_peer="me", local_peer_address=address).sync(clusters)
                lines = parse(paths.file.read_text()).section("peers web").lines
                assert lines == (found or (f"peer me 127.0.0.1:{peers}",))
                assert get(port) == (200, "a")
                assert report["quarantined"] == {}
                taken = f"peers web: cannot listen on {address}:{peers}: "
                assert (taken in (report["degraded"] or "")) == (found is not None or address == "203.0.113.9")


def test_a_refused_acl_costs_its_own_cluster_only(paths):
    """It stands in the frontend of all, and what it refers to cannot be known beforehand."""
    port = free_port()
    own = ["acl is_b hdr(x-b) -m found", "acl is_local src 127.0.0.0/8", "http-request deny unless is_local"]
    made = balancer(paths, meta_clusters={"api": {"port": port, "frontend": own}})

    def clusters(lines=(), **acls):
        found = [
            cluster(name, [server], acl=acls[server.name], backend=[*lines] if name == "b" else [])
            for name, server in zip("ab", servers, strict=True)
        ]
        for item in found:
            item.meta_cluster = "api"
        return found

    with backends("a", "b") as servers:
        assert made.sync(clusters(a="path_beg /a", b="path_beg /"))["degraded"] is None
        assert get(port) == (200, "b")
        report = made.sync(clusters(a="path_beg /", b="http_auth(nobody)"))
        assert list(report["quarantined"]) == ["b"]
        assert "nobody" in report["degraded"]
        assert get(port) == (200, "a"), "the change of the other is in force"
        assert "acl is_b path_beg /\n" in paths.file.read_text(), "the last good rule stays"
        report = made.sync(clusters(["use-server nosuch if TRUE"], a="path_beg /x", b="path_beg /y"))
        assert list(report["quarantined"]) == ["b"]
        assert report["degraded"].startswith("cluster b is quarantined: ")
        assert get(port) == (200, "b")
        found = parse(paths.file.read_text()).section("frontend api:in")
        assert found.lines[1:] == (
            *own,
            *("acl is_a path_beg /x", "use_backend a if is_a", "acl is_b path_beg /", "use_backend b if is_b"),
        )
        assert made.sync(clusters(a="path_beg /a", b="path_beg /"))["degraded"] is None
        assert get(port) == (200, "b")


# judging --------------------------------------------------------------------------------------------------------------


def test_a_refused_line_is_named_with_its_file_and_line(tmp_path):
    tree = Directory(tmp_path, {"discovery/directory.yaml": f"path: {tmp_path}/registry\n"})
    balancers = "".join(f"{key}: {value}\n" for key, value in PATHS.items())
    (error,) = tree.errors("balancers/haproxy.yaml", balancers + "global:\n  - maxconn 5\n  - nbproc 4\n")
    assert error.startswith("balancers/haproxy.yaml:6: ")
    assert "nbproc is not supported any more since HAProxy 2.5" in error
    proxy = "proxies:\n  p:\n    port: 1\n    upstreams: [{host: h, port: 1}]\n    options:\n      - mode htp\n"
    (error,) = tree.errors("balancers/haproxy.yaml", balancers + proxy)
    assert error.startswith("balancers/haproxy.yaml:9: ")
    assert "unknown proxy mode 'htp'" in error
    for line, told in (("bind_address: 192.0.2.1:80", "without a port"), ("socket_options: mod 600", "keyword 'mod'")):
        (error,) = tree.errors("balancers/haproxy.yaml", f"{balancers}{line}\n")
        assert error.startswith("balancers/haproxy.yaml:4: ")
        assert told in error
    tree.write("balancers/haproxy.yaml", balancers)
    text = "discovery: directory\nhaproxy:\n  backend:\n    - mode http\n\n    - blance first\n"
    (error,) = tree.errors("clusters/web.yaml", text)
    assert error.startswith("clusters/web.yaml:6: ")
    assert "unknown keyword 'blance' in 'backend' section" in error


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ("global", "foo bar"),
        ("global", "maxconn"),
        ("global", "stats socket /s mod 600 level admin"),
        ("global", "stats socket /s mode 6x0"),
        ("global", "stats socket /s mode 600 level level admin"),
        ("defaults", "clitimeout 5s"),
        ("defaults", "timeout frob 5s"),
        ("defaults", "bind :80"),
        ("frontend", "server a 127.0.0.1:1"),
        ("frontend", "http-request set-header X"),
        ("frontend", "acl x path_bog /a"),
        ("backend", "option forceclose"),
        ("backend", "timeout connect 5parsecs"),
        ("backend", "server a 127.0.0.1:1 frob"),
        ("backend", "balance randm"),
        ("listen", "reqadd X-A:\\ b"),
        ("listen", "bind 127.0.0.1:1 frob"),
    ],
)
def test_lines_that_no_context_makes_right(section, line):
    assert 1 in judge.complaints(section, ["# what stands before it", line])
    assert not Stanza(section).is_valid_line(line)


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ("global", "nbthread 2"),
        ("global", "hard-stop-after 5m"),
        ("global", "user nobody-of-that-name"),
        ("global", "stats socket /s user nobody-of-that-name mode 600"),
        ("global", "lua-load /nonexistent.lua"),
        ("global", "# a comment"),
        ("global", ".if defined(X)"),
        ("global", "log /var/run/syslog local2"),
        ("defaults", "option http-keep-alive"),
        ("defaults", "errorfile 503 /nonexistent.http"),
        ("frontend", "bind :443 ssl crt /nonexistent.pem"),
        ("frontend", "use_backend elsewhere"),
        ("frontend", "http-request lua.ours"),
        ("frontend", "http-request set-header X %[lua.ours]"),
        ("frontend", 'maxconn "$LIMIT"'),
        ("frontend", "acl x http_auth(users)"),
        ("frontend", "acl busy nbsrv(elsewhere) lt 2"),
        ("frontend", "errorfiles ours"),
        ("backend", "maxconn 500"),
        ("backend", "server own nohost.invalid:80 check"),
        ("backend", "stick-table type ip size 1m peers elsewhere"),
        ("backend", "filter cache ours"),
        ("backend", "server s 127.0.0.1:1 ssl verify required ca-file /nonexistent"),
        ("backend", "option external-check"),
        ("backend", "http-check send meth GET uri /"),
        ("backend", "retry-on all-retryable-errors"),
        ("listen", "hash-balance-factor 150"),
    ],
)
def test_lines_that_may_be_right(section, line):
    """Right on another host, or together with other sections: the whole file is judged later."""
    assert judge.complaints(section, [line]) == {}
    assert Stanza(section).is_valid_line(line)


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"backend": ["mode http", "", "  ", "blance first"]}, ("backend", 3)),
        ({"frontend": ["option nosuch"]}, ("frontend", 0)),
        ({"server_options": "check inter 2s frob"}, ("server_options",)),
        ({"acl": "path_bog /x"}, ("acl",)),
    ],
)
def test_options_of_a_cluster(config, key):
    with pytest.raises(ConfigError, match="HAProxy refuses") as caught:
        HAProxy.validate_cluster_config(config)
    assert caught.value.key == key


def test_options_of_a_cluster_that_are_accepted():
    HAProxy.validate_cluster_config({"server_options": "check inter 2s maxconn 5 # mine", "acl": "path_beg /x -i /y"})


@pytest.mark.parametrize("broken", ["missing", "hanging", "mute"])
def test_without_an_answer_everything_passes(tmp_path, monkeypatch, broken):
    program = tmp_path / "haproxy"
    if broken != "missing":
        program.write_text("#!/bin/sh\n" + ("exec sleep 600\n" if broken == "hanging" else "exit 1\n"))
        program.chmod(0o755)
    monkeypatch.setattr(judge, "CALL_TIMEOUT", 0.2)
    monkeypatch.setattr(judge, "TOTAL_TIMEOUT", 0.1)
    HAProxy.validate_config(PATHS | {"binary": str(program), "global": ["foo bar"]})
    HAProxy.validate_cluster_config({"backend": ["blance first"]})


def test_known_lines_are_not_asked_about_again(monkeypatch):
    assert judge.complaints("backend", ["blance x", "mode http"]).keys() == {0}
    monkeypatch.setattr(judge, "_run", lambda text: pytest.fail("asked again"))
    assert judge.complaints("backend", ["mode http", "blance x"]).keys() == {1}


def test_a_script_by_the_signatures_of_lighthouse_1_0(paths):
    with backends("a", "b") as (a, b):
        port, made = free_port(), HAProxy()
        assert (made.name, made.restart_interval) == ("haproxy", 2.0)
        made.validate_config(paths.config)
        made.apply_config(paths.config | {"restart_interval": 0.5})
        assert made.restart_interval == 0.5
        made.sync_file([cluster("web", [a], port=port)])
        made.sync_nodes([cluster("web", [b], port=port)])
        assert get(port) == (200, "b")
    made.validate_proxies_config({"partner": {"port": 1, "upstreams": UPSTREAMS}})
    with pytest.raises(ConfigError, match="host is missing"):
        made.validate_proxies_config({"partner": {"port": 1, "upstreams": [{"port": 1}]}})

    stanza = Stanza("global")
    stanza.lines = ["daemon"]
    stanza.lines.append("maxconn 100")
    assert str(stanza) == "global\n\tdaemon\n\tmaxconn 100"
    assert (stanza.is_valid_line("maxconn 1"), stanza.is_valid_line("balance source")) == (True, False)
    backend = BackendStanza(cluster("web", NODES[:1]))
    backend.lines.append("balance source")
    assert str(backend) == f"backend web\n\tbalance source\n\t# members:\n\tserver a:80 10.0.0.1:80 id {id_of('a:80')}"
    upstreams = [{"host": "10.0.0.9", "port": 88, "max_conn": 400}]
    assert str(ProxyStanza("partner", 7777, upstreams, ["mode http"], "*")) == (
        "listen partner\n\tbind *:7777\n\tmode http\n\tserver 10.0.0.9:88 10.0.0.9:88 maxconn 400"
    )
    with pytest.raises(ConfigError, match="host is missing"):
        ProxyStanza("partner", 7777, [{"port": 88}])
    for stanzas in ([Stanza("global"), Stanza("defaults")], [Stanza("global")]):
        with pytest.raises(TypeError, match="not from stanzas"):
            HAProxyConfig(*stanzas)
    settings = HAProxySettings.from_mapping(PATHS)
    assert "backend web" in HAProxyConfig(settings).generate([cluster("web", NODES)], (2, 6, 12))
