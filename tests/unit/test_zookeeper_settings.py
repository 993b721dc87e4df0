"""The configuration of the ZooKeeper registry."""

import pytest

from lighthouse.errors import ConfigError
from lighthouse.zookeeper import ZookeeperDiscovery
from lighthouse.zookeeper.hosts import Server, parse
from lighthouse.zookeeper.paths import checked, parent
from lighthouse.zookeeper.settings import OPEN, Access, Settings

HASH = "user:+7K83PhyQ3ijGj0ADmljf0quVwQ="


def config(**changes):
    return {"hosts": ["zk1:2181"], "path": "/lighthouse/services", **changes}


@pytest.mark.parametrize(
    ("hosts", "servers", "chroot"),
    [
        (["zk1:2181", "zk2:2182"], ["zk1:2181", "zk2:2182"], ""),
        ("zk1:2181,zk2:2182", ["zk1:2181", "zk2:2182"], ""),
        ("zk1, zk2", ["zk1:2181", "zk2:2181"], ""),
        ("zk1:2181,zk2:2181/site/a", ["zk1:2181", "zk2:2181"], "/site/a"),
        (["zk1:2181", "zk2:2181/site/"], ["zk1:2181", "zk2:2181"], "/site"),
        (["zk1:2181", "/site"], ["zk1:2181"], "/site"),
        (
            ["10.0.0.1:2181", "[2001:db8::1]:2182", "2001:db8::2"],
            ["10.0.0.1:2181", "[2001:db8::1]:2182", "[2001:db8::2]:2181"],
            "",
        ),
        (["[::1]:2181"], ["[::1]:2181"], ""),
        (["ZK1:2181", "zk1:2181"], ["zk1:2181"], ""),
    ],
)
def test_hosts(hosts, servers, chroot):
    found, root = parse(hosts)
    assert ([str(server) for server in found], root) == (servers, chroot)


@pytest.mark.parametrize(
    "hosts",
    [
        "",
        [],
        ["zk1:0"],
        ["zk1:65536"],
        ["zk1:x"],
        ["zk1:"],
        ["zk 1:2181"],
        ["zk1\n:2181"],
        ["[zk1"],
        ["[zk1]x"],
        "zk1:2181/a//b",
        "zk1:2181/../x",
        "/site",
        ["zk1/a", "zk2"],
        ["zk1"] * 3 + [""],
        [f"zk{n}" for n in range(200)],
    ],
)
def test_hosts_that_are_none(hosts):
    with pytest.raises(ConfigError) as refused:
        parse(hosts)
    assert refused.value.key[0] == "hosts"


@pytest.mark.parametrize("path", ["a", "/a//b", "/a/./b", "/..", "/a\0", "/a\nb", "/zookeeper/x", "/" + "a" * 2000])
def test_paths_that_are_none(path):
    with pytest.raises(ConfigError) as refused:
        ZookeeperDiscovery.validate_config(config(path=path))
    assert refused.value.key == ("path",)


def test_paths():
    assert checked("/a/b/") == "/a/b"
    assert checked("/") == ""
    assert checked("/ä/b c") == "/ä/b c"
    assert parent("/a/b") == "/a"
    assert parent("/a") == ""


def test_the_defaults_are_those_of_1_0():
    settings = Settings.read(config())
    assert settings == Settings((Server("zk1", 2181),), "/lighthouse/services")
    assert settings.acl == OPEN
    assert Settings.read(config(hosts="zk1/site", path="/")).base == "/site"


def test_all_of_it():
    settings = Settings.read(
        config(
            auth={"scheme": "digest", "user": "lighthouse", "password_file": "/etc/secret"},
            acl=[
                {"scheme": "auth", "permissions": "all"},
                {"scheme": "world", "permissions": ["read"]},
                {"scheme": "digest", "id": HASH, "permissions": ["create", "delete", "admin", "write"]},
                {"scheme": "ip", "id": "10.0.0.0/8", "permissions": ["read", "read"]},
            ],
            tls={
                "ca": "/ca.pem",
                "certificate": "/c.pem",
                "key": "/k.pem",
                "key_password_env": "KEY",
                "verify": "chain",
            },
        )
    )
    assert settings.acl == (
        Access("auth", "", 31),
        Access("world", "anyone", 1),
        Access("digest", HASH, 30),
        Access("ip", "10.0.0.0/8", 1),
    )
    assert settings.auth.password.file == "/etc/secret"
    assert (settings.tls.verify, settings.tls.key_password.variable) == ("chain", "KEY")


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"auth": []}, "auth"),
        ({"auth": {}}, "auth.scheme"),
        ({"auth": {"scheme": "kerberos"}}, "auth.scheme"),
        ({"auth": {"scheme": "digest", "user": "a"}}, "auth"),
        ({"auth": {"scheme": "digest", "password_env": "A"}}, "auth"),
        ({"auth": {"scheme": "digest", "user": "a:b", "password_env": "A"}}, "auth"),
        ({"auth": {"scheme": "digest", "user": 7, "password_env": "A"}}, "auth.user"),
        ({"auth": {"scheme": "digest", "user": "a", "password": "hush"}}, "auth.password"),
        ({"auth": {"scheme": "digest", "user": "a", "password_file": "hush"}}, "auth.password_file"),
        ({"auth": {"scheme": "digest", "user": "a", "password_file": 5}}, "auth.password_file"),
        ({"auth": {"scheme": "digest", "user": "a", "password_env": "A", "mechanism": "GSSAPI"}}, "auth"),
        ({"auth": {"scheme": "digest", "user": "a", "word": "A"}}, "auth.word"),
        ({"auth": {"scheme": "sasl", "mechanism": "PLAIN"}}, "auth.mechanism"),
        ({"acl": []}, "acl"),
        ({"acl": [{"scheme": "world"}]}, "acl.0.permissions"),
        ({"acl": [{"scheme": "world", "permissions": ["all"]}]}, "acl.0.permissions"),
        ({"acl": [{"scheme": "world", "permissions": []}]}, "acl.0.permissions"),
        ({"acl": [{"scheme": "world", "permissions": "read"}]}, "acl.0.permissions"),
        ({"acl": [{"scheme": "world", "id": "me", "permissions": "all"}]}, "acl.0.id"),
        ({"acl": [{"scheme": "ip", "permissions": "all"}]}, "acl.0.id"),
        ({"acl": [{"scheme": "digest", "id": "user:hush", "permissions": "all"}]}, "acl.0.id"),
        ({"acl": [{"scheme": "gossip", "id": "x", "permissions": "all"}]}, "acl.0.scheme"),
        ({"acl": [{"scheme": "auth", "permissions": "all"}]}, "acl"),
        ({"acl": ["world"]}, "acl.0"),
        ({"acl": [{"scheme": "world", "permissions": ["read", "write", "create", "admin"]}]}, "acl"),
        ({"tls": {"ca": "ca.pem"}}, "tls.ca"),
        ({"tls": {"key": "/k"}}, "tls.key"),
        ({"tls": {"verify": "maybe"}}, "tls.verify"),
        ({"tls": {"verify": True}}, "tls.verify"),
        ({"tls": {"key_password_file": "hush"}}, "tls.key_password_file"),
        ({"tls": {"cert": "/c"}}, "tls.cert"),
    ],
)
def test_mistakes_are_named_by_their_key_and_no_secret_is_repeated(changes, key):
    with pytest.raises(ConfigError) as refused:
        ZookeeperDiscovery.validate_config(config(**changes))
    assert ".".join(map(str, refused.value.key)) == key
    assert "hush" not in str(refused.value)


def test_sasl_needs_its_library(monkeypatch):
    auth = {"scheme": "sasl", "user": "a", "password_env": "A"}
    monkeypatch.setattr("lighthouse.zookeeper.settings.find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match=r"lighthouse\[sasl\]"):
        Settings.read(config(auth=auth))
    monkeypatch.setattr("lighthouse.zookeeper.settings.find_spec", lambda _name: object())
    assert Settings.read(config(auth=auth)).auth.mechanism == "DIGEST-MD5"
    assert Settings.read(config(auth={"scheme": "sasl", "mechanism": "GSSAPI"})).auth.user == ""


def test_a_configuration_is_judged_without_loading_kazoo():
    import subprocess
    import sys

    code = (
        "import sys; from lighthouse.zookeeper import ZookeeperDiscovery as Z;"
        "Z.validate_config({'hosts': 'zk1', 'path': '/a'}); Z().apply_config({'hosts': 'zk1', 'path': '/a'});"
        "sys.exit('kazoo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
