"""What every discovery owes while its registry is out of reach: nothing known is forgotten, nothing wanted is lost."""

from __future__ import annotations

import pytest

from lighthouse.testing.hosts import Host
from lighthouse.testing.records import record
from lighthouse.testing.registry import Feature, Registry
from lighthouse.testing.suite.common import Common, Hosts


class Outages(Common):
    """Unknown is not empty, and an outage is told."""

    def test_an_outage_changes_nothing_that_is_known(self, registry: Registry, hosts: Hosts) -> None:
        """It is told as long as it lasts, and afterwards what changed meanwhile is seen."""
        registry.write("web", "one:80", record("one:80"))
        host = hosts("host-a")
        host.consume("web")
        host.start()
        self._sees(host, "web", "one:80")
        names = ["one:80"]
        for how in registry.outages:
            registry.cut(how)
            self._tells_an_outage(registry, host, how)
            names.append(f"{how}:80")
            registry.write("web", names[-1], record(names[-1]))
            registry.mend()
            self._sees(host, "web", *names)
            if Feature.STATUS in registry.features:
                host.until(lambda: host.complete and not host.degraded, f"the end of the outage by {how}")
            assert all("one:80" in told for told in host.told("web"))

    def test_a_generation_born_in_an_outage_leaves_what_is_known(self, registry: Registry, hosts: Hosts) -> None:
        """And goes to work when the registry is back."""
        registry.write("web", "one:80", record("one:80"))
        host = hosts("host-a")
        host.consume("web")
        host.start()
        self._sees(host, "web", "one:80")
        for how in registry.outages:
            registry.cut(how)
            host.kill()
            host.start()
            self._tells_an_outage(registry, host, how)
            assert host.told("web") == []
            registry.mend()
            name = f"{how}:80"
            registry.write("web", name, record(name))
            host.until(lambda name=name: name in (host.members("web") or {}), "the members after the outage")  # type: ignore[misc]
            assert all("one:80" in told for told in host.told("web"))

    def test_what_is_wanted_in_an_outage_is_done_after_it(self, registry: Registry, hosts: Hosts) -> None:
        """Announcements and withdrawals alike, without being asked again."""
        host = self._announced(registry, hosts, "web")
        for how in registry.outages:
            registry.cut(how)
            self._tells_an_outage(registry, host, how)
            host.provide(how)
            host.no_longer_provide("web")
            registry.mend()
            self._stands(host, registry, how, "host-a:80")
            self._stands(host, registry, "web")
            host.provide("web")
            self._stands(host, registry, "web", "host-a:80")

    def test_no_secret_is_shown(self, registry: Registry, hosts: Hosts) -> None:
        """Not in reports, not in the log; an outage is when most is said."""
        if not registry.secrets:
            pytest.skip(f"{registry.plugin} is given no secret")
        host = self._announced(registry, hosts, "web")
        for how in registry.outages:
            registry.cut(how)
            self._tells_an_outage(registry, host, how)
            registry.mend()
            host.provide(f"after-{how}")
            self._stands(host, registry, f"after-{how}", "host-a:80")
        assert [secret for secret in registry.secrets if secret in host.words] == []

    @staticmethod
    def _tells_an_outage(registry: Registry, host: Host, how: str) -> None:
        """Wait until the host says so, and stops calling its picture fresh; one that reports nothing cannot be asked."""
        if Feature.STATUS not in registry.features:
            return
        host.until(lambda: host.degraded or host.complete is False, f"the outage by {how} to be told")
        beats = len(host.beats)
        host.until(lambda: len(host.beats) >= beats + 5, "some heartbeats")
        assert len(set(host.beats[beats + 1 : beats + 5])) == 1, "the picture is called fresh in an outage"
