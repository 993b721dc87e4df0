"""A server that has lost its quorum and still answers those who do not mind."""

from support.wait import until
from support.zookeeper import Ensemble, Realm
from support.zookeeper_host import Host, names


def test_a_read_only_server_changes_nothing_that_is_known(tmp_path):
    ensemble = Ensemble(tmp_path, 3, java=("-Dreadonlymode.enabled=true",))
    realm = Realm(ensemble)
    try:
        ensemble.start()
        host = Host(realm, session_timeout=4.0)
        cluster = host.watch("web")
        host.announce(host.item())
        host.sees(cluster, "host-a:80")
        last, *others = ensemble.servers
        for server in others:
            server.kill()
        until(lambda: last.mode() == "read-only", within=60, what="a server that serves readers only")
        report = host.until(lambda report: report.degraded and last.address in report.degraded, what="told")
        assert not report.complete
        assert names(cluster) == ["host-a:80"]
        ensemble.start()
        host.until(lambda report: report.complete and report.details["announced"] == 1, within=60, what="as before")
        host.stop()
    finally:
        realm.close()
        ensemble.stop()
