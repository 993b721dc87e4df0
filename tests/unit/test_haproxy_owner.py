"""Whose HAProxy it is: what the settings say about it, and what then stands in the file."""

import pytest

from lighthouse.errors import ConfigError
from lighthouse.haproxy import balancer
from lighthouse.haproxy.alerts import outside
from lighthouse.haproxy.config import HAProxyConfig
from lighthouse.haproxy.explain import GLANCE
from lighthouse.haproxy.options import HAProxySettings, Owner
from lighthouse.haproxy.versions import limits, too_old

OURS = {"config_file": "/v/haproxy.cfg", "socket_file": "/r/s", "pid_file": "/r/pid"}
SERVICE = {"owner": "service", "config_file": "/v/haproxy.cfg", "socket_file": "/r/s", "master_socket_file": "/r/m"}


def test_the_defaults():
    ours, service = HAProxySettings.from_mapping(OURS), HAProxySettings.from_mapping(SERVICE)
    assert (ours.owner, ours.master_socket_file) == (Owner.LIGHTHOUSE, "/r/s.master")
    assert (service.owner, service.master_socket_file, service.reload_command) == (Owner.SERVICE, "/r/m", ())


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (OURS | {"pid_file": ""}, "pid_file is required"),
        (OURS | {"reload_command": "true"}, "reload_command is for an HAProxy of a service"),
        (OURS | {"base_files": ["/etc/a"]}, "base_files is for an HAProxy of a service"),
        (SERVICE | {"pid_file": "/r/pid"}, "pid_file is the service's own business"),
        (SERVICE | {"master_socket_file": ""}, "give master_socket_file .* or else reload_command"),
        (SERVICE | {"base_files": ["etc/a"]}, "must be an absolute path"),
        (SERVICE | {"base_files": ["/v/haproxy.cfg"]}, "must be different paths"),
        (SERVICE | {"reload_command": "a 'b"}, "cannot be split into words"),
        (SERVICE | {"reload_command": ["", "b"]}, "must begin with a program"),
        (SERVICE | {"reload_command": "a\nb", "socket_options": "mode 600\nuser a"}, "line break"),
    ],
)
def test_what_does_not_fit(config, why):
    with pytest.raises(ConfigError, match=why):
        HAProxySettings.from_mapping(config)


@pytest.mark.parametrize("command", ["systemctl reload 'my haproxy'", ["systemctl", "reload", "my haproxy"]])
def test_a_command_is_words(command):
    settings = HAProxySettings.from_mapping(SERVICE | {"reload_command": command, "master_socket_file": ""})
    assert settings.reload_command == ("systemctl", "reload", "my haproxy")
    assert settings.master_socket_file == ""


def test_a_shared_global_holds_only_what_is_needed():
    settings = SERVICE | {"socket_options": "user lighthouse mode 600", "global": ["maxconn 7"]}
    document = HAProxyConfig(HAProxySettings.from_mapping(settings)).desired([], {}).document
    assert document.section("global").lines == (
        "maxconn 7",
        "stats socket /r/s user lighthouse mode 600 level admin expose-fd listeners",
    )


@pytest.mark.parametrize(
    ("alerts", "found"),
    [
        (["Could not open configuration file /etc/a : Permission denied"], "/etc/a"),
        (["parsing [/etc/b:3] : unknown keyword 'x'"], "/etc/b"),
        (["Parsing [/v/c:8]: frontend 'own' has the same name as frontend 'own' declared at /etc/a:14."], None),
        (["parsing [/etc/b:3] : unknown keyword 'x'", "parsing [/v/c:3] : unknown keyword 'y'"], None),
        (["Proxy 'web': some cross check"], None),
    ],
)
def test_whose_file_haproxy_complains_about(alerts, found):
    """As HAProxy 2.6.12 words it."""
    output = "".join(f"[ALERT]    (7) : config : {alert}\n" for alert in alerts)
    output += "[ALERT]    (7) : config : Error(s) found in configuration file : /v/c\n"
    assert outside(output, "/v/c", ["/etc/a", "/etc/b"]) == found


def test_what_a_version_cannot_do():
    assert limits("2.6.12") == limits("") == too_old("2.4.0") == []
    assert [len(limits(version)) for version in ("2.5.1", "2.4.22", "2.2.9", "1.8.30")] == [1, 1, 2, 2]
    assert "upgrade it" in too_old("2.2.9")[0]


@pytest.mark.parametrize("allowed", [1.0, 8.0, 60.0])
def test_every_call_ends_before_the_worker_counts_as_hung(monkeypatch, allowed):
    asked = {}
    monkeypatch.setattr(balancer, "explained", lambda _tools, _cluster, deadline: asked.update(explain=deadline))
    monkeypatch.setattr(balancer, "preview", lambda _tools, _clusters, deadline: asked.update(preview=deadline))
    made = balancer.HAProxy()
    made.apply_config(OURS)
    made.call_deadline = allowed
    made.explain("web")
    made.preview([])
    assert {what: deadline.remaining + GLANCE < allowed for what, deadline in asked.items()} == {
        "explain": True,
        "preview": True,
    }
