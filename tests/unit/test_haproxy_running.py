"""Parsers of what HAProxy says about itself. The samples are answers of 2.6.12, shortened."""

import pytest

from lighthouse.errors import BalancerError
from lighthouse.haproxy.alerts import is_judgement, reason
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.processes import Processes, parse_proc
from lighthouse.haproxy.running import (
    Server,
    parse_env,
    parse_info,
    parse_servers_state,
    parse_version,
    with_details,
)
from lighthouse.haproxy.stanzas.section import Section

STATE = """1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change \
srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn \
srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port
3 web 1 a:1 127.0.0.1 2 0 1 1 0 1 0 2 0 0 0 0 - 9001 - 0 0 - - 0
3 web 2 v6:1 ::ffff:1.2.3.4 0 1 5 5 0 8 2 0 14 0 0 0 - 9002 - 0 0 - - 0
"""

PROC = """#<PID>          <type>          <reloads>       <uptime>        <version>
10248           master          3 [failed: 2]   1d02h10m42s     2.6.12-1+deb12u4
# workers
10295           worker          0               0d00h00m00s     2.6.12-1+deb12u4
# old workers
10249           worker          1               0d00h00m00s     2.6.12-1+deb12u4
10250           worker          2               0d00h00m00s     2.6.12-1+deb12u4
# programs

"""


NOWHERE_ELSE = ("0", "-", "-", "0")


def test_servers_state():
    servers = parse_servers_state(STATE)
    assert servers == {
        "web": {
            "a:1": Server("127.0.0.1", 9001, checked=NOWHERE_ELSE, ssl=False),
            "v6:1": Server(
                "::ffff:102:304", 9002, operational=0, admin=1, weight=5, check=14, checked=NOWHERE_ELSE, ssl=False
            ),
        }
    }


def test_a_server_of_which_the_same_is_said_is_the_same_object():
    before = parse_servers_state(STATE)
    later = STATE.replace(" 1 1 0 1 0 2", " 1 1 77 1 0 2")  # only the time goes on
    assert parse_servers_state(later, before)["web"]["a:1"] is before["web"]["a:1"]
    changed = parse_servers_state(STATE.replace(" 9001 ", " 9011 "), before)["web"]
    assert changed["a:1"].address == ("127.0.0.1", 9011)
    assert changed["v6:1"] is not before["web"]["v6:1"], "it is in maintenance, and tells for how long"
    assert parse_servers_state(later, {"db": before["web"]})["web"]["a:1"] is not before["web"]["a:1"]


def test_one_of_which_something_else_is_said_has_details_that_are_not_known():
    before = {"web": with_details(parse_servers_state(STATE)["web"], {"a:1": (3, 0, False)})}
    assert parse_servers_state(STATE, before)["web"]["a:1"].sessions == 3
    assert parse_servers_state(STATE.replace(" 9001 ", " 9011 "), before)["web"]["a:1"].sessions is None


def test_columns_are_found_by_name():
    """A newer version may add or move columns."""
    text = (
        "2\n# new srv_port be_name srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_check_state srv_agent_state "
        "srv_id\nx 80 web a 1.2.3.4 2 0 7 6 0 70000\n"
    )
    assert parse_servers_state(text) == {"web": {"a": Server("1.2.3.4", 80, weight=7, check=6)}}


@pytest.mark.parametrize("text", ["", "1\n", "1\n# be_name\nweb\n", STATE.replace("9001", "port"), STATE + "3 web\n"])
def test_another_format_is_an_error(text):
    with pytest.raises(BalancerError, match="show servers state"):
        parse_servers_state(text)


@pytest.mark.parametrize(
    ("server", "state"),
    [
        (Server("1.1.1.1", 1), "up"),
        (Server("1.1.1.1", 1, operational=1), "up"),
        (Server("1.1.1.1", 1, operational=0), "down"),
        (Server("1.1.1.1", 1, operational=3), "drain"),
        (Server("1.1.1.1", 1, operational=9), "down"),
        (Server("1.1.1.1", 1, admin=1), "maint"),
        (Server("1.1.1.1", 1, admin=5), "maint"),
        (Server("1.1.1.1", 1, admin=8), "drain"),
        (Server("1.1.1.1", 1, weight=0), "drain"),
        (Server("1.1.1.1", 1, weight=0, operational=0), "down"),
    ],
)
def test_states(server, state):
    assert server.state == state


def test_show_proc():
    processes = parse_proc(PROC)
    assert (processes.master, processes.worker, processes.reloads, processes.failed) == (10248, 10295, 3, 2)
    assert processes.old_workers == 2
    assert processes.uptime == 26 * 3600 + 10 * 60 + 42


OLD = "#<PID>          <type>          <relative PID>  <reloads>       <uptime>        <version>      \n"
NEW = "#<PID>          <type>          <reloads>       <uptime>        <version>      \n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            f"{OLD}6873            master          0               4               0d00h00m03s     2.2.9-2+deb11u6\n"
            "# workers\n7043            worker          1               0               0d00h00m03s     2.2.9-2+deb11u6\n"
            "# old workers\n6875            worker          [was: 1]        4               0d00h00m03s     2.2.9-2+deb11u6\n"
            "# programs\n\n",
            Processes(6873, 7043, reloads=4, failed=0, uptime=3, old_workers=1),
            id="2.2",
        ),
        pytest.param(
            f"{OLD}6873            master          0               2               0d00h00m03s     2.2.9-2+deb11u6\n"
            "# workers\n# old workers\n"
            "6875            worker          [was: 1]        2               0d00h00m03s     2.2.9-2+deb11u6\n# programs\n\n",
            Processes(6873, 6875, reloads=2, failed=1, uptime=3, old_workers=0),
            id="2.2-failed",
        ),
        pytest.param(
            f"{NEW}487             master          2 [failed: 1]   0d00h00m03s     3.2.26-1       \n# workers\n# old workers\n"
            "400             worker          2               0d00h00m09s     3.2.26-1       \n"
            "491             worker          1               0d00h00m03s     3.2.26-1       \n\n",
            Processes(487, 491, reloads=2, failed=1, uptime=3, old_workers=1),
            id="3.2-failed",
        ),
        pytest.param(
            f"{NEW}487             master          1 [failed: 0]   0d00h00m03s     3.2.26-1       \n# workers\n# old workers\n"
            "491             worker          1               0d00h00m03s     3.2.26-1       \n\n",
            Processes(487, None, reloads=1, failed=0, uptime=3, old_workers=1),
            id="3.2-its-new-worker-ended",
        ),
    ],
)
def test_show_proc_of_other_versions(text, expected):
    """As these programs say it."""
    assert parse_proc(text) == expected


def test_show_proc_without_a_master():
    with pytest.raises(BalancerError, match="show proc"):
        parse_proc("Unknown command\n")


def test_env_info_version():
    assert parse_env("\nA=1\nLIGHTHOUSE=a=b\n", "LIGHTHOUSE") == "a=b"
    assert parse_env("Variable not found\n", "LIGHTHOUSE") is None
    assert parse_info("Name: HAProxy\nBuild info: 2.6: x\n\n") == {"Name": "HAProxy", "Build info": "2.6: x"}
    assert parse_version("2.6.12-1+deb12u4") == "2.6.12"
    assert parse_version("3.1-dev4") == "3.1"
    assert parse_version("weird") == "weird"


DOCUMENT = Document(("# head",), (Section("global"), Section("backend web", ("blance x",), "")))


def test_alerts_become_a_reason():
    stderr = (
        "[NOTICE]   (7) : haproxy version is 2.6.12\n"
        "[ALERT]    (7) : config : parsing [/tmp/c.cfg:7] : unknown keyword 'blance'\x1b in 'backend'.\n"
        "  blance x\n"
        "[ALERT]    (7) : config : Error(s) found in configuration file : /tmp/c.cfg\n"
        "[ALERT]    (7) : config : Fatal errors found in configuration.\n"
    )
    assert reason(stderr, "/tmp/c.cfg", DOCUMENT) == "line 7 (backend web): unknown keyword 'blance'? in 'backend'"


def test_an_alert_with_the_date_that_2_2_gives_it():
    stderr = "[ALERT] 324/150424 (6873) : parsing [/tmp/c.cfg:7] : unknown keyword 'blance' in 'backend' section\n"
    assert (
        reason(stderr, "/tmp/c.cfg", DOCUMENT) == "line 7 (backend web): unknown keyword 'blance' in 'backend' section"
    )


def test_many_alerts_are_cut():
    stderr = "".join(f"[ALERT] (7) : problem {number}\n" for number in range(9))
    assert reason(stderr, "/x", DOCUMENT) == "problem 0; problem 1; problem 2; and 6 more"
    assert reason("", "/x", DOCUMENT) == "it gave no reason"
    assert reason("a\n cannot open \x1b libx.so\n[NOTICE] b\n\n", "/x", DOCUMENT) == "cannot open \\x1b libx.so"
    assert not is_judgement("haproxy: error while loading shared libraries\n[NOTICE] x")
    assert is_judgement("[NOTICE] x\n[ALERT]    (1) : config : Fatal errors found in configuration.")
