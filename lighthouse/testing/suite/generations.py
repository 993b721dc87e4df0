"""What every discovery owes to its own next generation, whichever way the last one ended."""

from __future__ import annotations

from lighthouse.testing.hosts import Host
from lighthouse.testing.records import record
from lighthouse.testing.registry import Feature, Registry
from lighthouse.testing.suite.common import Common, Hosts, happened


class Generations(Common):
    """A worker that is replaced costs nobody anything."""

    def test_after_a_crash_nobody_sees_an_event(self, registry: Registry, hosts: Hosts) -> None:
        """And the announcements stay alive, when those of a host without successor are long gone."""
        self._claims(registry, Feature.HANDOVER)
        host = self._announced(registry, hosts, "web", "api")
        assert host.handover
        observers = [self._observe(registry, service) for service in ("web", "api")]
        host.kill()
        host.start()
        self._outlives_another(registry, hosts, host)
        host.pause()  # it hangs as a whole, and so is killed
        host.kill()
        host.start()
        self._outlives_another(registry, hosts, host)
        assert [happened(observer, "host-a:80") for observer in observers] == [[], []]

    def test_after_an_orderly_end_nobody_sees_an_event(self, registry: Registry, hosts: Hosts) -> None:
        """Stopping the tool does not mean that the services are down."""
        self._claims(registry, Feature.HANDOVER)
        host = self._announced(registry, hosts, "web")
        assert host.handover
        observer = self._observe(registry, "web")
        host.stop()
        host.start()
        self._outlives_another(registry, hosts, host)
        assert happened(observer, "host-a:80") == []

    def test_what_was_unconfigured_in_between_is_withdrawn(self, registry: Registry, hosts: Hosts) -> None:
        """The next generation knows what the last one announced."""
        self._claims(registry, Feature.HANDOVER)
        host = self._announced(registry, hosts, "web", "api")
        assert host.handover
        observer = self._observe(registry, "api")
        host.kill()
        host.no_longer_provide("web")
        host.start()
        self._stands(host, registry, "web")
        assert list(observer.events()) == []

    def test_a_lost_or_spoilt_handover_costs_no_announcement_for_good(self, registry: Registry, hosts: Hosts) -> None:
        """A leftover of a life that nobody remembers is taken over before it dies."""
        spoilt = (b"", b"\xffgarbage", b"{}", b"null")
        lost = [self._announced_as(registry, hosts, f"host-{number}") for number in range(len(spoilt))]
        for host, handover in zip(lost, spoilt, strict=True):
            host.kill()
            host.handover = handover
            host.start()
        for host in lost:
            host.provide("ready")
        self._stands(lost[0], registry, "ready", *(host.node("ready") for host in lost))
        self._outlives_another(registry, hosts, *lost)

    def test_the_next_generation_never_tells_less_than_there_is(self, registry: Registry, hosts: Hosts) -> None:
        """No half read picture, no empty one: what was known stays until the whole answer is there."""
        names = [f"node-{number}:80" for number in range(30)]
        for name in names:
            registry.write("web", name, record(name))
        host = hosts("host-a")
        host.consume("web")
        host.start()
        self._sees(host, "web", *names)
        for number in range(2):
            host.kill()
            host.start()
            late = f"late-{number}:80"
            registry.write("web", late, record(late))
            names.append(late)
            self._sees(host, "web", *names)
            assert all(told >= set(names[:30]) for told in host.told("web"))

    def _outlives_another(self, registry: Registry, hosts: Hosts, *survivors: Host) -> None:
        """Wait until the announcement of a host that died just now is gone, and make sure that those of these hosts are not."""
        doomed = self._announced_as(registry, hosts, "doomed")
        wanted = {host.node("web") for host in survivors}
        reader = hosts("reader")
        reader.consume("web")
        reader.start()
        self._sees(reader, "web", *wanted, doomed.node("web"))
        known = len(reader.told("web"))
        doomed.kill()
        self._sees(reader, "web", *wanted)
        assert all(names >= wanted for names in reader.told("web")[known:])
        assert registry.read("web").keys() >= wanted
        reader.kill()

    @staticmethod
    def _announced_as(registry: Registry, hosts: Hosts, name: str) -> Host:
        host = hosts(name)
        host.provide("web")
        host.start()
        host.until(lambda: host.node("web") in registry.read("web"), f"the announcement of {name}")
        return host
