"""Who may do what: digest, ACLs, SASL and TLS, each against a real server."""

import logging
import subprocess

import pytest
from kazoo.security import make_digest_acl_credential

from lighthouse.zookeeper import ZookeeperDiscovery
from support.ports import free_port
from support.zookeeper import Ensemble, Realm
from support.zookeeper_host import Host, names

PASSWORD = "correct-horse-battery"
MINE = [{"scheme": "auth", "permissions": "all"}]


@pytest.fixture
def secret(tmp_path):
    def write(text=PASSWORD, name="secret"):
        path = tmp_path / name
        path.write_text(text + "\n")
        path.chmod(0o600)
        return str(path)

    return write


@pytest.fixture
def hosts(zookeeper):
    made = []

    def make(*args, realm=zookeeper, **options):
        made.append(Host(realm, *args, **options))
        return made[-1]

    yield make
    for host in made:
        host.stop()


def digest(path, user="lighthouse"):
    return {"scheme": "digest", "user": user, "password_file": path}


# Digest and ACLs


def test_what_belongs_to_one_identity_is_not_for_others(hosts, zookeeper, secret):
    host = hosts(auth=digest(secret()), acl=MINE)
    cluster = host.watch("web")
    host.announce(host.item())
    host.sees(cluster, "host-a:80")
    client = zookeeper.client()
    acls, _ = zookeeper.client(auth_data=[("digest", f"lighthouse:{PASSWORD}")]).get_acls(
        f"{zookeeper.path}/web/host-a:80"
    )
    assert [(acl.perms, acl.id.scheme, acl.id.id) for acl in acls] == [
        (31, "digest", make_digest_acl_credential("lighthouse", PASSWORD))
    ]
    from kazoo.exceptions import NoAuthError

    with pytest.raises(NoAuthError):
        client.get(f"{zookeeper.path}/web/host-a:80")

    stranger = hosts("host-b", "10.0.0.2", auth=digest(secret("wrong", "other")))
    seen = stranger.watch("web")
    stranger.discovery.announce([stranger.item()])
    report = stranger.until(lambda report: "no permission" in (report.degraded or ""), what="told")
    assert not report.complete
    assert seen.nodes is None
    assert report.details["announced"] == 0
    assert f"{zookeeper.path}/web cannot be read" in report.degraded
    assert "cannot be announced" in report.degraded


def test_one_record_that_may_not_be_read_costs_itself(hosts, zookeeper, secret):
    host = hosts()
    cluster = host.watch("web")
    host.announce(host.item())
    owner = zookeeper.client(auth_data=[("digest", "somebody:else")])
    from kazoo.security import CREATOR_ALL_ACL

    owner.create(f"{zookeeper.path}/web/hidden:1", b"{}", acl=CREATOR_ALL_ACL)
    report = host.until(lambda report: report.complete and report.details["refused"], what="refused")
    assert report.details["refused"] == {"web/hidden:1": "this host has no permission to read it"}
    assert names(cluster) == ["host-a:80"]


def test_entries_of_an_acl_are_set_as_written(hosts, zookeeper):
    host = hosts(
        acl=[
            {"scheme": "world", "permissions": ["read"]},
            {"scheme": "ip", "id": "127.0.0.1", "permissions": ["read", "write", "create", "delete"]},
        ]
    )
    host.announce(host.item())
    acls, _ = zookeeper.client().get_acls(f"{zookeeper.path}/web/host-a:80")
    assert {(acl.id.scheme, acl.id.id, acl.perms) for acl in acls} == {("world", "anyone", 1), ("ip", "127.0.0.1", 15)}


def test_a_secret_that_cannot_be_read_is_told_and_read_later(hosts, zookeeper, secret, tmp_path):
    from lighthouse.errors import ResourceError

    path = tmp_path / "secret"
    host = hosts(auth=digest(str(path)), acl=MINE, start=False)
    with pytest.raises(ResourceError, match="password_file"):
        host.discovery.connect()
    secret()
    host.discovery.connect()
    host.announce(host.item())
    assert host.maintain().details["announced"] == 1


def test_no_password_is_logged_or_reported(hosts, zookeeper, secret, caplog, monkeypatch):
    import kazoo.client
    import kazoo.protocol.connection

    caplog.set_level(1)
    for logger in ("kazoo", "kazoo.client", "kazoo.protocol.connection", "lighthouse"):
        monkeypatch.setattr(logging.getLogger(logger), "level", 1)
    host = hosts(auth=digest(secret()), acl=MINE)
    host.announce(host.item())
    second = hosts(auth=digest(secret()), acl=MINE, handover=host.next_generation())
    second.announce(second.item())
    session = second.session.password
    log = second.discovery._connection._client._kazoo.logger
    assert not log.isEnabledFor(logging.INFO)
    request = kazoo.protocol.connection.Connect(0, 0, 1000, 1, session, False)
    try:
        raise ValueError(PASSWORD)
    except ValueError:
        log.exception("Exception raised during deserialization of request: %s", request)
    told = str(second.maintain()) + repr(second.discovery.__dict__) + repr(vars(second.discovery._connection))
    assert "client library failed: ValueError" in str(vars(second.discovery._connection._reasons))
    for text in (caplog.text, told):
        for hidden in (PASSWORD, session.hex(), repr(session)):
            assert hidden not in text
    assert PASSWORD not in second.discovery.handover().decode()


# TLS


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A certification authority, a server and a client of it, and another authority."""
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("ca", "other-ca"):
        openssl(folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                "-keyout", f"{name}.key", "-out", f"{name}.pem")  # fmt: skip
    for name, alt in (("server", "DNS:localhost"), ("client", "DNS:client")):
        openssl(
            folder,
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            f"/CN={name}",
            "-keyout",
            f"{name}.key",
            "-out",
            f"{name}.csr",
        )
        (folder / "ext").write_text(f"subjectAltName={alt}\n")
        openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", "ext", "-out", f"{name}.pem")  # fmt: skip
    openssl(folder, "pkcs8", "-topk8", "-nocrypt", "-in", "server.key", "-out", "server.p8")
    openssl(folder, "rsa", "-aes256", "-passout", f"pass:{PASSWORD}", "-in", "client.key", "-out", "client.locked.key")
    (folder / "server.all.pem").write_text((folder / "server.pem").read_text() + (folder / "server.p8").read_text())
    return folder


@pytest.fixture(scope="module")
def tls_server(certificates, tmp_path_factory):
    port = free_port()
    extra = (
        f"secureClientPort={port}\nsecureClientPortAddress=127.0.0.1\n"
        "serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory\n"
        f"ssl.keyStore.location={certificates}/server.all.pem\nssl.keyStore.type=PEM\n"
        f"ssl.trustStore.location={certificates}/ca.pem\nssl.trustStore.type=PEM\nssl.clientAuth=need\n"
    )
    server = Ensemble(tmp_path_factory.mktemp("tls"), extra=extra, java=("-Dio.netty.transport.noNative=true",))
    server.secure = [f"localhost:{port}"]
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def tls(tls_server, certificates):
    realm = Realm(tls_server)
    realm.tls = {
        "ca": f"{certificates}/ca.pem",
        "certificate": f"{certificates}/client.pem",
        "key": f"{certificates}/client.key",
    }
    yield realm
    realm.close()


def test_tls_with_certificates_on_both_sides(hosts, tls, certificates, secret):
    locked = {**tls.tls, "key": f"{certificates}/client.locked.key", "key_password_file": secret()}
    for number, options in enumerate((tls.tls, locked)):
        host = hosts(f"host-{number}", realm=tls, hosts=tls.ensemble.secure, tls=options)
        cluster = host.watch("web")
        host.announce(host.item())
        host.until(lambda _, host=host, cluster=cluster: f"{host.name}:80" in (names(cluster) or []), what="seen")
        assert host.maintain().details["server"] == tls.ensemble.secure[0]
    again = hosts("host-1", realm=tls, hosts=tls.ensemble.secure, tls=tls.tls, handover=host.next_generation())
    again.announce(again.item())
    assert again.session.number == host.session.number, "the session is handed over under TLS too"
    assert len(tls.client().get_children(f"{tls.path}/web")) == 2


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ca": "other-ca.pem"}, "CERTIFICATE_VERIFY_FAILED"),
        ({"ca": "absent.pem"}, "No such file"),
        ({"ca": "client.key"}, "cannot be used"),
        ({"key": "server.key"}, "cannot be used"),
        ({"key": "client.locked.key"}, "cannot be used"),
    ],
)
def test_tls_that_does_not_work_tells_why(hosts, tls, certificates, changes, reason):
    options = {**tls.tls, **{key: f"{certificates}/{file}" for key, file in changes.items()}}
    host = hosts(realm=tls, hosts=tls.ensemble.secure, tls=options)
    report = host.until(lambda report: reason in (report.degraded or ""), what=reason)
    assert not report.complete


def test_the_name_in_the_certificate_counts_as_far_as_it_is_asked_for(hosts, tls):
    address = [tls.ensemble.secure[0].replace("localhost", "127.0.0.1")]
    host = hosts(realm=tls, hosts=address, tls=tls.tls)
    host.until(lambda report: "CERTIFICATE_VERIFY_FAILED" in (report.degraded or ""), what="refused")
    for verify in ("chain", "none"):
        host = hosts(realm=tls, hosts=address, tls={**tls.tls, "verify": verify})
        host.announce(host.item())


# SASL


@pytest.fixture(scope="module")
def sasl_server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sasl")
    jaas = folder / "jaas.conf"
    jaas.write_text(
        "Server {\n  org.apache.zookeeper.server.auth.DigestLoginModule required\n"
        f'  user_lighthouse="{PASSWORD}";\n}};\n'
    )
    extra = "authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider\nrequireClientAuthScheme=sasl\n"
    server = Ensemble(folder, extra=extra, java=(f"-Djava.security.auth.login.config={jaas}",))
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def sasl(sasl_server):
    realm = Realm(sasl_server)
    yield realm
    realm.close()


def test_sasl_digest(hosts, sasl, secret, monkeypatch):
    monkeypatch.setenv("ZK_PASSWORD", PASSWORD)
    auth = {"scheme": "sasl", "user": "lighthouse", "password_env": "ZK_PASSWORD"}
    host = hosts(realm=sasl, auth=auth, acl=[{"scheme": "sasl", "id": "lighthouse", "permissions": "all"}])
    cluster = host.watch("web")
    host.announce(host.item())
    host.sees(cluster, "host-a:80")

    wrong = hosts(
        "host-b", realm=sasl, auth={"scheme": "sasl", "user": "lighthouse", "password_file": secret("wrong", "w")}
    )
    report = wrong.until(lambda report: "look at `auth`" in (report.degraded or ""), what="the reason")
    assert not report.complete
    assert "wrong" not in str(report)


def test_a_plain_object_holds_no_secret(secret):
    config = {"hosts": "zk", "path": "/a", "auth": digest(secret())}
    ZookeeperDiscovery.validate_config(config)
    discovery = ZookeeperDiscovery()
    discovery.apply_config(config)
    assert PASSWORD not in repr(discovery._settings)
    assert PASSWORD not in discovery.handover().decode()
