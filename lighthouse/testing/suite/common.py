"""What the parts of the suite share: fixtures, and the few steps that most of them begin with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lighthouse.testing.hosts import Host
from lighthouse.testing.registry import Change, Feature, Observer, Registry

Hosts = Callable[[str], Host]
"""Makes a host of that name, which is ended with the test."""


class Common:
    """The fixtures of the suite. ``registry`` is the author's to write."""

    @pytest.fixture
    def registry(self) -> Registry:
        """The registry under test, fresh for each test; give it back when the test ends."""
        raise NotImplementedError("a subclass of DiscoverySuite defines the fixture `registry`")

    @pytest.fixture
    def hosts(self, registry: Registry, tmp_path: Path) -> Iterator[Hosts]:
        """Hosts on that registry. No test passes in which a worker died, gave up or overran its deadline."""
        made: list[Host] = []

        def make(name: str) -> Host:
            made.append(Host(registry, tmp_path, name))
            return made[-1]

        try:
            yield make
        finally:
            for host in made:
                host.kill()
        assert [fault for host in made for fault in host.faults] == []

    @pytest.fixture(autouse=True)
    def _observers(self) -> Iterator[None]:
        self._open: list[Observer] = []
        yield
        for observer in self._open:
            observer.close()

    def _observe(self, registry: Registry, service: str) -> Observer:
        """An observer that is closed with the test."""
        observer = registry.observe(service)
        self._open.append(observer)
        return observer

    def _announced(self, registry: Registry, hosts: Hosts, *services: str, name: str = "host-a") -> Host:
        """A host that has announced these services, and told so."""
        host = hosts(name)
        for service in services:
            host.provide(service)
        host.start()
        for service in services:
            self._stands(host, registry, service, f"{name}:80")
        host.until(lambda: host.announced >= {*services}, "the word that they are announced")
        return host

    @staticmethod
    def _consuming(hosts: Hosts, *clusters: str) -> Host:
        """A host that watches these clusters."""
        host = hosts("consumer")
        host.consume(*clusters)
        host.start()
        return host

    @staticmethod
    def _stands(host: Host, registry: Registry, service: str, *names: str) -> None:
        """Wait until exactly these records stand in the registry."""
        host.until(lambda: registry.read(service).keys() == set(names), f"the records {sorted(names)} of {service}")

    @staticmethod
    def _sees(host: Host, cluster: str, *names: str) -> None:
        """Wait until a host was told exactly these members."""

        def seen() -> bool:
            members = host.members(cluster)
            return members is not None and members.keys() == set(names)

        host.until(seen, f"the members {sorted(names)} of {cluster}")

    @staticmethod
    def _claims(registry: Registry, feature: Feature) -> None:
        """Skip the test unless the registry claims a feature."""
        if feature not in registry.features:
            pytest.skip(f"{registry.plugin} does not claim {feature.name}")


def happened(observer: Observer, *names: str) -> list[Change]:
    """What an observer saw happen to these records, oldest first."""
    return [event.change for event in observer.events() if event.name in names]
