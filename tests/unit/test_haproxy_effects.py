"""The lines of a plan: every change has one, and none shows what an operator wrote."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighthouse.cluster import Cluster
from lighthouse.haproxy.config import HAProxyConfig
from lighthouse.haproxy.effects import at_run_time, of_shape, of_start, passing, shadowed
from lighthouse.haproxy.options import HAProxySettings
from lighthouse.haproxy.planner import plan
from lighthouse.haproxy.running import Admin, Running, Server
from lighthouse.node import Node
from lighthouse.preview import Way, masked

PATHS = {"config_file": "/r/haproxy.cfg", "socket_file": "/r/s", "pid_file": "/r/pid"}
A = Node("a", "10.0.0.1", 80)


def document(*clusters, **settings):
    return HAProxyConfig(HAProxySettings.from_mapping(PATHS | settings)).desired(clusters, {}).document


def web(nodes=(), **options):
    return Cluster("web", nodes=list(nodes), options=options)


@pytest.mark.parametrize(
    ("line", "running", "told"),
    [
        ("10.0.0.1:80 check", None, 0),
        ("10.0.0.1:81", None, 1),
        ("10.0.0.2:80", Server("10.0.0.1", 80), 1),
        ("10.0.0.1:80", Server("10.0.0.2", 80), 0),
        ("app.example:80", None, 0),
        ("app.example:80", Server("10.0.0.1", 80), 0),
        ("app.example:80", Server("10.0.0.2", 80), 1),
        ("", None, 0),
    ],
)
def test_a_member_whose_name_is_that_of_a_server_elsewhere(line, running, told):
    config = HAProxyConfig(HAProxySettings.from_mapping(PATHS))
    desired = config.desired([web([A], backend=[f"server a:80 {line}"])], {})
    servers = {"web": {"a:80": running}} if running else {}
    assert len(list(shadowed(desired, Running("x", servers=servers)))) == told


def test_addresses_of_version_6_are_compared_as_addresses():
    node = Node("a", "fd00::1", 80)
    config = HAProxyConfig(HAProxySettings.from_mapping(PATHS))
    for address, told in (("[fd00::1]:80", 0), ("[fd00:0::1]:80", 0), ("[fd00::2]:80", 1)):
        desired = config.desired([web([node], backend=[f"server a:80 {address}"])], {})
        assert len(list(shadowed(desired, None))) == told


def shape(new, old):
    return [(item.where, item.what) for item in of_shape(new, old)]


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        ({}, {}, []),
        ({"backend": ["retries 1"]}, {"backend": ["retries 2"]}, [("backend web", "retries changed")]),
        ({"backend": ["retries 1"]}, {}, [("backend web", "retries added")]),
        ({}, {"backend": ["option httpchk GET /key"]}, [("backend web", "option httpchk removed")]),
        (
            {"backend": ["http-request deny", "retries 1"]},
            {"backend": ["retries 1", "http-request deny"]},
            [("backend web", "the order of its lines changed")],
        ),
        ({"server_options": "check"}, {}, [("backend web", "the server options changed")]),
        ({"port": 80}, {}, [("frontend web:in", "is new")]),
    ],
)
def test_what_needs_a_reload(new, old, expected):
    assert shape(document(web(**new)), document(web(**old))) == expected


def test_other_paths_have_a_line():
    one, other = document(), document(pid_file="/r/other")
    assert shape(one, other) == [("haproxy", "the paths of HAProxy's files changed")]
    other = replace(one, sections=one.sections[::-1])
    assert shape(one, other) == [("haproxy", "the order of the sections changed")]


_LINES = st.lists(
    st.sampled_from(["retries 1", "retries 2", "balance first", "stats auth a:b", "mode http"]), max_size=4
)
_OPTIONS = st.fixed_dictionaries(
    {
        "backend": _LINES,
        "frontend": _LINES,
        "port": st.sampled_from([None, 80, 81]),
        "server_options": st.sampled_from(["", "check"]),
    }
)


@given(st.lists(_OPTIONS, max_size=3), st.lists(_OPTIONS, max_size=3))
def test_there_is_a_line_if_and_only_if_the_skeleton_changed(new, old):
    made = [
        document(*(Cluster(f"c{number}", nodes=[], options=item) for number, item in enumerate(part)))
        for part in (new, old)
    ]
    found = shape(*made)
    assert bool(found) == (made[0].skeleton != made[1].skeleton)
    assert not any("a:b" in what for _, what in found)


def test_every_step_has_a_line_or_waits():
    wanted = document(web([A, Node("b", "10.0.0.2", 80), Node("c", "10.0.0.3", 80)]))
    servers = {
        "b:80": Server("10.0.0.9", 80),
        "c:80": Server("10.0.0.3", 80, admin=Admin.FORCED_MAINT),
        "gone:80": Server("10.0.0.4", 80),
        "going:80": Server("10.0.0.5", 80, admin=Admin.FORCED_MAINT),
    }
    todo = plan(wanted, Running(wanted.skeleton, servers={"web": servers}))
    assert [item.what for item in at_run_time(todo, wanted)] == [
        "add server a:80 10.0.0.1:80",
        "change server b:80: addr 10.0.0.2 port 80",
        "enable server c:80",
        "remove server gone:80 once its connections have ended",
    ]
    assert list(passing(todo)) == [
        "backend web: server going:80 is leaving already and goes when its last connection ends"
    ]


def test_what_cannot_be_done_at_run_time_is_a_reload():
    wanted = document(web([A], backend=["balance source"]))
    (effect,) = at_run_time(plan(wanted, Running(wanted.skeleton)), wanted)
    assert (effect.way, effect.where) == (Way.RELOAD, "backend web")
    assert effect.what.startswith("it takes no server at run time")


def test_a_start_names_sections_and_ports():
    found = [(item.where, item.what) for item in of_start(document(web([A], port=80)), "does not run")]
    assert found == [("haproxy", "does not run"), ("frontend web:in", "bind 127.0.0.1:80"), ("backend web", "1 server")]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "HAProxy refuses 'stats auth admin:pw extra' in `listen`",
            "HAProxy refuses 'stats auth (hidden)' in `listen`",
        ),
        ("user a insecure-password pw", "user a insecure-password (hidden)"),
        ("unknown keyword 'password' in 'backend'", "unknown keyword 'password' in 'backend'"),
        ("services/web.yaml:4: unknown key 'x'", "services/web.yaml:4: unknown key 'x'"),
        ("the secret is not readable: correct it", "the secret is not readable: correct it"),
        ("dynamic-cookie-key MYKEY", "dynamic-cookie-key (hidden)"),
        ("`set-header Authorization: Bearer abc`", "`set-header Authorization: (hidden)`"),
        ("refuses 'set-header Authorization \"Basic abc\" x': no", "refuses 'set-header Authorization (hidden)': no"),
        ("add-header X-Api-Key abc", "add-header X-Api-Key (hidden)"),
        ("set-header X-Zone east", "set-header X-Zone east"),
        ("refuses 'user a password \"pw\" x' in `global`", "refuses 'user a password (hidden)' in `global`"),
        ("'password a\\' \"b' is wrong", "'password (hidden)' is wrong"),
        ("stats auth a:b\nstats auth c:d", "stats auth (hidden)\nstats auth (hidden)"),
    ],
)
def test_what_follows_a_word_for_a_secret_is_hidden(text, shown):
    assert masked(text) == shown
