"""Proxies whose servers have names: Lighthouse asks the resolver, so that what it says, or does not, costs nobody else anything."""

import threading
from contextlib import ExitStack

import pytest

from lighthouse.errors import LighthouseError
from lighthouse.haproxy import resolver
from lighthouse.haproxy.balancer import HAProxy
from lighthouse.haproxy.resolver import Names
from support.haproxy import Backend, balancer, cluster, get
from support.haproxy_service import Service
from support.ports import free_port
from support.wait import until

pytestmark = pytest.mark.versions

HOST = "db.partner.invalid"  # no resolver knows it, so an HAProxy that asked one would refuse the file


class Resolver:
    """Answers as told. A name without an answer is unknown, a hanging one is not answered before `free` is set."""

    def __init__(self, monkeypatch):
        self.answers = {}
        self.free = threading.Event()
        self._patch = monkeypatch
        self.fresh()

    def fresh(self):
        """What was answered is forgotten, as in a new process; no answer is kept for long."""
        for seconds in ("REFRESH", "RETRY"):
            self._patch.setattr(resolver, seconds, 0.0)
        self._patch.setattr("lighthouse.haproxy.tools.NAMES", Names(self._ask))

    def _ask(self, name):
        found = self.answers.get(name)
        if found == "hangs":
            self.free.wait()
        if not isinstance(found, tuple):
            raise LighthouseError("no answer")
        return found


@pytest.fixture
def names(monkeypatch):
    found = Resolver(monkeypatch)
    yield found
    found.free.set()


@pytest.fixture
def hosts():
    """Three servers at one port of as many addresses."""
    with ExitStack() as stack:
        first = stack.enter_context(Backend("127.0.0.2", host="127.0.0.2"))
        others = [stack.enter_context(Backend(host, first.port, host)) for host in ("127.0.0.3", "127.0.0.4")]
        yield [first, *others]


def proxies(port, upstream, name="p", host=HOST):
    return {"proxies": {name: {"port": port, "upstreams": [{"host": host, "port": upstream}]}}}


def synced(made, clusters, done):
    """The report of the sync by which `done` has come true of it; an answer that came meanwhile is used by the next one."""
    return until(lambda: (report := made.sync(clusters)) and done(report) and report, what="what should be")


def test_a_name_without_an_address_costs_its_own_proxy_only(paths, names, hosts, monkeypatch):
    monkeypatch.setattr(resolver, "PATIENCE", 0.05)
    port, proxy, other = free_port(), free_port(), free_port()
    more = proxies(proxy, hosts[0].port)
    more["proxies"]["q"] = {"port": other, "upstreams": [{"host": "slow.invalid", "port": hosts[0].port}]}
    names.answers["slow.invalid"] = "hangs"
    with Backend("a") as a:
        made = balancer(paths, **more)
        for backend in (["balance first"], ["balance leastconn"]):
            report = made.sync([cluster("web", [a], port=port, backend=backend)])
            for name, host in (("p", HOST), ("q", "slow.invalid")):
                assert f"proxy {name}: the resolver tells no address of {host}" in report["degraded"]
            assert "set apart" not in report["degraded"]
            found = made.preview([cluster("web", [a], port=port, backend=backend)])
            assert ([*found.effects], len(found.notes)) == ([], 2), "no configuration is the cause"
            assert [get(item)[0] for item in (port, proxy, other)] == [200, 503, 503]
        assert report["last"]["reload"] == "lines of backend web changed"
        web = [cluster("web", [a], port=port, backend=backend)]
        names.answers |= {HOST: ("127.0.0.2",), "slow.invalid": ("127.0.0.3",)}
        names.free.set()
        gets = f"server {HOST}:{hosts[0].port} of proxy p gets its first address"
        synced(made, web, lambda report: gets in (report["last"]["reload"] or ""))
        synced(made, web, lambda report: report["degraded"] is None)
        assert [get(item)[1] for item in (port, proxy, other)] == ["a", "127.0.0.2", "127.0.0.3"]


def test_the_address_follows_the_name_and_stays_when_nobody_tells_it(paths, names, hosts, monkeypatch):
    monkeypatch.setattr(resolver, "PATIENCE", 0.05)
    port, proxy, six = free_port(), free_port(), free_port()
    server = f"{HOST}:{hosts[0].port}"
    more = proxies(proxy, hosts[0].port)
    more["proxies"]["six"] = {"port": six, "upstreams": [{"host": "six.invalid", "port": 9, "max_conn": 7}]}
    names.answers |= {HOST: ("127.0.0.4", "127.0.0.3"), "six.invalid": ("fd00::5",)}
    with Backend("a") as a:
        lines, made = ["timeout queue 1s"], balancer(paths, **more)

        def web():
            return [cluster("web", [a], port=port, backend=lines)]

        def planned():
            names.fresh()
            return [(item.way.value, item.where, item.what) for item in balancer(paths, **more).preview(web()).effects]

        def goes_to(host):
            synced(made, web(), lambda _: f" {server} init-addr {host}\n" in paths.file.read_text())
            until(lambda: get(proxy) == (200, host), what=f"requests at {host}")
            return planned() == []

        assert made.sync(web())["degraded"] is None
        assert (goes_to("127.0.0.3"), paths.servers("six")) == (True, {"six.invalid:9": "fd00::5:9"})
        # More addresses change nothing in whatever order they are told; another one comes at run time.
        names.answers[HOST] = ("127.0.0.4", "127.0.0.2", "127.0.0.3")
        assert (planned(), goes_to("127.0.0.3")) == ([], True)
        names.answers[HOST] = ("127.0.0.4", "127.0.0.2")
        assert planned() == [("runtime", "listen p", f"change server {server}: addr 127.0.0.2")]
        assert goes_to("127.0.0.2")
        paths.ask(f"set server p/{server} addr 127.0.0.4")
        assert goes_to("127.0.0.2")
        # Nobody tells it any more: as a new process finds it, over a reload, a lost file and a start.
        for nothing in (None, "hangs"):
            names.answers = {HOST: nothing}
            assert paths.reloads() == (nothing == "hangs")
            names.fresh()
            made, lines = balancer(paths, **more), [f"timeout queue {2 if nothing else 3}s"]
            report = made.sync(web())
            assert (report["last"]["reload"], report["degraded"]) == ("lines of backend web changed", None)
            assert goes_to("127.0.0.2")
        paths.file.unlink()
        made = balancer(paths, **more)
        assert (made.sync(web())["last"]["reload"], goes_to("127.0.0.2")) == (None, True)
        paths.stop()
        assert (made.sync(web())["degraded"], goes_to("127.0.0.2")) == (None, True)


def test_a_proxy_of_an_earlier_version_needs_no_reload(paths, names, monkeypatch):
    """HAProxy looked the name up itself, and what it found stays in force."""
    with Backend("a") as a:
        more = proxies(free_port(), a.port, host="localhost")
        with monkeypatch.context() as patch:
            patch.setattr("lighthouse.haproxy.reader.addresses_for", lambda *_: {})
            assert balancer(paths, **more).sync([])["degraded"] is None
        runs = paths.servers("p")
        names.answers["localhost"] = ("127.0.0.0", "127.0.0.1", "::1")
        assert balancer(paths, **more).sync([])["last"] == {"commands": 0, "start": None, "reload": None}
        server, place = runs.popitem()
        assert f"{server} {server} init-addr {place.rpartition(':')[0]}\n" in paths.file.read_text()


def test_names_in_front_of_an_haproxy_of_a_service(tmp_path, names, hosts):
    service, proxy = Service(tmp_path), free_port()
    made = HAProxy()
    made.apply_config(service.config | proxies(proxy, hosts[0].port))
    try:
        service.start()
        made.sync([])
        assert get(proxy)[0] == 503
        for host in ("127.0.0.3", "127.0.0.2"):
            names.answers[HOST] = (host,)
            synced(made, [], lambda _, host=host: f"init-addr {host}\n" in service.file.read_text())
            until(lambda host=host: get(proxy) == (200, host), what=f"requests at {host}")
        assert service.reloads() == 2, "for the proxy and for its first address"
        names.answers.clear()
        made.sync([])
        service.end()
        service.start()
        assert get(proxy) == (200, "127.0.0.2")
    finally:
        service.end()
        service.stop()
