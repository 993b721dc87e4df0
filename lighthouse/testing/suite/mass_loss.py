"""How a discovery gets on with the guard behind it, which is the worker's and the same for all (`lighthouse.guard`)."""

from __future__ import annotations

from lighthouse.discovery import Wanted
from lighthouse.testing.hosts import PATIENCE, Host
from lighthouse.testing.records import record
from lighthouse.testing.registry import Feature, Registry
from lighthouse.testing.suite.common import Common, Hosts

NAMES = tuple(f"node-{number}:80" for number in range(10))


class MassLoss(Common):
    """What is lost at once is held, through the end of the worker and of the registry, until somebody confirms it or it is back."""

    def test_a_mass_loss_is_held_until_it_is_over(self, registry: Registry, hosts: Hosts) -> None:
        """Members that join meanwhile are told, and those that come back are held no more."""
        host = hosts("host-a")
        host.guarded = True
        host.consume("web")
        for name in NAMES:
            registry.write("web", name, record(name))
        host.start()
        self._sees(host, "web", *NAMES)
        for name in NAMES[1:]:
            registry.remove("web", name)
        host.until(lambda: host.held("web"), "a hold")
        self._joins(registry, host, "late:80")
        known = self._names(host)
        assert len(known & set(NAMES)) >= len(NAMES) / 2, "whoever left before it was a mass loss was let go"
        host.kill()
        host.start()
        self._joins(registry, host, "later:80")
        assert self._names(host) == known | {"later:80"}
        for name in NAMES[1:]:
            registry.write("web", name, record(name))
        self._sees(host, "web", "late:80", "later:80", *NAMES)
        host.until(lambda: not host.held("web"), "the end of the hold")
        assert all(names >= known for names in host.told("web"))

    def test_a_mass_loss_is_let_go_by_confirmation(self, registry: Registry, hosts: Hosts) -> None:
        """Also when the registry is out of reach by then."""
        host = hosts("host-a")
        host.guarded = True
        host.consume("web")
        for name in NAMES:
            registry.write("web", name, record(name))
        host.start()
        self._sees(host, "web", *NAMES)
        for name in NAMES:
            registry.remove("web", name)
        host.until(lambda: NAMES[-1] in host.held("web"), "a hold")
        registry.cut(registry.outages[0])
        host.accept("web")
        host.until(lambda: not host.held("web"), "the end of the hold")
        registry.mend()
        self._sees(host, "web")

    def test_what_is_withdrawn_on_purpose_is_no_loss(self, registry: Registry, hosts: Hosts) -> None:
        """A whole service may be taken out of service at once."""
        self._claims(registry, Feature.FAREWELL)
        ports = (80, 81, 82)
        host = hosts("host-a")
        host.farewell = PATIENCE  # others have all the time that they need to read it
        host.provide("web", ports=ports)
        host.start()
        consumer = hosts("consumer")
        consumer.guarded = True
        consumer.consume("web")
        consumer.start()
        self._sees(consumer, "web", *(f"host-a:{port}" for port in ports))
        host.provide("web", Wanted.LEAVING, ports=ports)
        self._sees(consumer, "web")
        assert registry.read("web"), "their records still stand"
        for name in registry.read("web"):
            registry.remove("web", name)
        registry.write("web", "late:80", record("late:80"))
        self._sees(consumer, "web", "late:80")
        assert not consumer.held("web")

    @staticmethod
    def _names(host: Host) -> set[str]:
        return set(host.members("web") or {})

    def _joins(self, registry: Registry, host: Host, name: str) -> None:
        registry.write("web", name, record(name))
        host.until(lambda: name in self._names(host), f"{name} to join")
