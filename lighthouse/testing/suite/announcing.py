"""What every discovery owes to the services of its own host."""

from __future__ import annotations

from lighthouse.discovery import Wanted
from lighthouse.node import Node
from lighthouse.testing.hosts import PATIENCE, Host
from lighthouse.testing.records import record
from lighthouse.testing.registry import Change, Feature, Registry
from lighthouse.testing.suite.common import Common, Hosts, happened


class Announcing(Common):
    """Announce, withdraw, hold, renew; and leave everybody else alone."""

    def test_an_announcement_is_one_record_that_names_the_node(self, registry: Registry, hosts: Hosts) -> None:
        """And says all that the configuration says of it."""
        host = hosts("host-a")
        host.provide("web", ports=(80, 81), zone="b")
        host.start()
        self._stands(host, registry, "web", "host-a:80", "host-a:81")
        for name, found in registry.read("web").items():
            node = Node.deserialize(found)
            assert (node.name, node.host, node.ip, node.metadata) == (name, "host-a", "127.0.0.1", {"zone": "b"})

    def test_what_is_down_is_withdrawn_and_comes_back(self, registry: Registry, hosts: Hosts) -> None:
        """While the other service stays untouched."""
        host = self._announced(registry, hosts, "web", "api")
        other = self._observe(registry, "api")
        host.provide("web", Wanted.DOWN)
        self._stands(host, registry, "web")
        host.provide("web", Wanted.UP)
        self._stands(host, registry, "web", "host-a:80")
        assert list(other.events()) == []

    def test_hold_makes_nothing(self, registry: Registry, hosts: Hosts) -> None:
        """Neither while the state is unknown nor while nobody told it."""
        host = hosts("host-a")
        host.provide("held", Wanted.HOLD)
        host.provide("unknown", None)
        host.provide("web")
        host.start()
        self._stands(host, registry, "web", "host-a:80")
        host.provide("later")
        self._stands(host, registry, "later", "host-a:80")
        assert registry.read("held") == registry.read("unknown") == {}

    def test_hold_removes_nothing(self, registry: Registry, hosts: Hosts) -> None:
        """A checker that is being replaced costs no member."""
        host = self._announced(registry, hosts, "web")
        observer = self._observe(registry, "web")
        for later, wanted in (("first", Wanted.HOLD), ("second", None)):
            host.provide("web", wanted)
            host.provide(later)
            self._stands(host, registry, later, "host-a:80")
        assert list(observer.events()) == []

    def test_a_changed_record_is_replaced_without_absence(self, registry: Registry, hosts: Hosts) -> None:
        """New metadata reach others, and the member is never missing."""
        reader = hosts("reader")
        reader.consume("web")
        reader.start()
        host = self._announced(registry, hosts, "web")
        self._sees(reader, "web", "host-a:80")
        known = len(reader.told("web"))
        observer = self._observe(registry, "web")
        host.provide("web", weight=7)

        def weights() -> object:
            return [Node.deserialize(found).metadata for found in registry.read("web").values()]

        host.until(lambda: weights() == [{"weight": 7}], "the new record")
        assert set(happened(observer, "host-a:80")) == {Change.CHANGED}
        registry.write("web", "other:80", record("other:80"))
        self._sees(reader, "web", "host-a:80", "other:80")
        assert all("host-a:80" in names for names in reader.told("web")[known:])

    def test_what_is_no_longer_configured_is_withdrawn(self, registry: Registry, hosts: Hosts) -> None:
        """Whatever its state was."""
        host = self._announced(registry, hosts, "web", "api")
        host.no_longer_provide("web")
        self._stands(host, registry, "web")
        assert registry.read("api").keys() == {"host-a:80"}

    def test_what_is_withdrawn_on_purpose_says_so_first(self, registry: Registry, hosts: Hosts) -> None:
        """For a moment; and nothing is made for it where nothing stood."""
        self._claims(registry, Feature.FAREWELL)
        host = self._announced(registry, hosts, "web", "api")
        host.farewell = PATIENCE
        observer, never = self._observe(registry, "web"), self._observe(registry, "never")
        host.provide("web", Wanted.LEAVING)
        host.provide("never", Wanted.LEAVING)

        def leaving() -> object:
            return [Node.deserialize(found).leaving for found in registry.read("web").values()]

        host.until(lambda: leaving() == [True], "its word")
        assert happened(observer, "host-a:80") == [Change.CHANGED]
        host.farewell = 0.0
        host.provide("web", Wanted.LEAVING)
        self._stands(host, registry, "web")
        assert happened(observer, "host-a:80") == [Change.CHANGED, Change.GONE]
        assert list(never.events()) == []
        host.provide("web", Wanted.UP)
        self._stands(host, registry, "web", "host-a:80")
        assert leaving() == [False]

    def test_another_hosts_records_are_never_touched(self, registry: Registry, hosts: Hosts) -> None:
        """Not where a service of the same name comes and goes, and not when they are nonsense."""
        theirs = {"other:80": record("other:80"), "odd:80": b"no record"}
        for name, content in theirs.items():
            registry.write("web", name, content)
        observer = self._observe(registry, "web")
        host = self._announced_beside(registry, hosts, *theirs)
        host.provide("web", Wanted.DOWN)
        self._stands(host, registry, "web", *theirs)
        host.provide("web")
        self._stands(host, registry, "web", "host-a:80", *theirs)
        host.no_longer_provide("web")
        self._stands(host, registry, "web", *theirs)
        assert happened(observer, *theirs) == []
        assert registry.read("web") == theirs

    def test_a_name_that_another_host_took_stays_with_it(self, registry: Registry, hosts: Hosts) -> None:
        """Two hosts that were given one name do not fight, and the second one says so. Its other services are announced."""
        self._claims(registry, Feature.OWNERSHIP)
        theirs = {"host-a:80": record("host-a:80", ip="10.9.9.9")}
        registry.write("web", "host-a:80", theirs["host-a:80"])
        observer = self._observe(registry, "web")
        host = hosts("host-a")
        host.provide("web")
        host.provide("api")
        host.start()
        self._stands(host, registry, "api", "host-a:80")
        if Feature.STATUS in registry.features:
            host.until(lambda: "web" in (host.degraded or ""), "the clash to be told")
        for wanted, later in ((Wanted.DOWN, "first"), (Wanted.HOLD, "second"), (Wanted.UP, "third")):
            host.provide("web", wanted)
            host.provide(later)
            self._stands(host, registry, later, "host-a:80")
        assert list(observer.events()) == []
        assert registry.read("web") == theirs
        registry.remove("web", "host-a:80")
        host.until(lambda: registry.read("web") not in ({}, theirs), "its own announcement once the name is free")

    def test_an_announcement_dies_with_its_owner(self, registry: Registry, hosts: Hosts) -> None:
        """Nobody has to clear up after a host that lost its power."""
        registry.write("web", "other:80", record("other:80"))
        doomed = self._announced_beside(registry, hosts, "other:80")
        reader = hosts("reader")
        reader.consume("web")
        reader.start()
        self._sees(reader, "web", "host-a:80", "other:80")
        doomed.kill()
        self._sees(reader, "web", "other:80")

    def test_what_was_removed_is_announced_anew(self, registry: Registry, hosts: Hosts) -> None:
        """By an operator, by accident, with the registry's data."""
        self._claims(registry, Feature.RECONCILES)
        host = self._announced(registry, hosts, "web", "api")
        api = self._observe(registry, "api")
        for _ in range(2):
            registry.remove("web", "host-a:80")
            self._stands(host, registry, "web", "host-a:80")
        assert list(api.events()) == []

    def test_what_was_altered_is_made_good(self, registry: Registry, hosts: Hosts) -> None:
        """A record of ours says what we say."""
        self._claims(registry, Feature.RECONCILES)
        host = self._announced(registry, hosts, "web")
        ours = registry.read("web")["host-a:80"]
        registry.write("web", "host-a:80", record("host-a:80", altered=True))
        host.until(lambda: registry.read("web").get("host-a:80") == ours, "its own record")

    def _announced_beside(self, registry: Registry, hosts: Hosts, *others: str) -> Host:
        host = hosts("host-a")
        host.provide("web")
        host.start()
        self._stands(host, registry, "web", "host-a:80", *others)
        return host
