"""What every discovery owes to the clusters that its host consumes."""

from __future__ import annotations

from lighthouse.exact import same
from lighthouse.testing.records import HOSTILE, record
from lighthouse.testing.registry import Feature, Registry
from lighthouse.testing.suite.common import Common, Hosts


class Watching(Common):
    """Join, leave, change; empty is empty; and a record that cannot be used costs itself only."""

    def test_members_that_join_and_leave_are_told(self, registry: Registry, hosts: Hosts) -> None:
        """Each of them, and all that are there."""
        registry.write("web", "one:80", record("one:80", zone="a"))
        host = self._consuming(hosts, "web")
        self._sees(host, "web", "one:80")
        members = host.members("web")
        assert members
        assert members["one:80"].metadata == {"zone": "a"}
        assert members["one:80"].ip == "127.0.0.1"
        registry.write("web", "two:81", record("two:81"))
        self._sees(host, "web", "one:80", "two:81")
        registry.remove("web", "one:80")
        self._sees(host, "web", "two:81")

    def test_a_cluster_that_nobody_announces_yet_is_waited_for(self, registry: Registry, hosts: Hosts) -> None:
        """Until its first member is there, and again after its last one has gone."""
        host = self._consuming(hosts, "web", "later")
        registry.write("web", "one:80", record("one:80"))
        self._sees(host, "web", "one:80")
        registry.write("later", "two:80", record("two:80"))
        self._sees(host, "later", "two:80")

    def test_empty_means_empty(self, registry: Registry, hosts: Hosts) -> None:
        """A complete answer without members is told as one."""
        registry.write("web", "one:80", record("one:80"))
        host = self._consuming(hosts, "web")
        for _ in range(2):
            self._sees(host, "web", "one:80")
            registry.remove("web", "one:80")
            self._sees(host, "web")
            registry.write("web", "one:80", record("one:80"))

    def test_a_record_that_is_replaced_is_seen_without_absence(self, registry: Registry, hosts: Hosts) -> None:
        """Weights and labels change while a member works; so do a word and a number that Python takes for equal.

        A number of more than 64 bits becomes text, and costs nobody.
        """
        self._claims(registry, Feature.DATA_CHANGES)
        registry.write("web", "one:80", record("one:80"))
        host = self._consuming(hosts, "web")
        self._sees(host, "web", "one:80")
        known = len(host.told("web"))
        for weight in (0, 2, 1, True, 1.0, 10**30):
            registry.write("web", "one:80", record("one:80", weight=weight))

            def told(said: float | str = str(weight) if weight > 2**63 else weight) -> bool:
                members = host.members("web") or {}
                return "one:80" in members and same(members["one:80"].metadata, {"weight": said})

            host.until(told, f"weight {weight}")
        assert set(host.told("web")[known:]) == {frozenset({"one:80"})}

    def test_the_own_announcements_are_members(self, hosts: Hosts) -> None:
        """A host may consume what it provides, and all hosts see the same."""
        seeing = []
        for name in ("host-a", "host-b"):
            host = hosts(name)
            host.consume("web")
            host.provide("web")
            host.start()
            seeing.append(host)
        for host in seeing:
            self._sees(host, "web", "host-a:80", "host-b:80")
        assert seeing[0].members("web") == seeing[1].members("web")

    def test_only_what_is_consumed_is_told(self, registry: Registry, hosts: Hosts) -> None:
        """Also when that changes while the worker runs."""
        for service in ("web", "api", "db"):
            registry.write(service, "one:80", record("one:80"))
        host = self._consuming(hosts, "web", "api")
        self._sees(host, "web", "one:80")
        self._sees(host, "api", "one:80")
        host.consume("api", "db")
        self._sees(host, "db", "one:80")
        told = len(host.told("web"))
        registry.write("web", "two:80", record("two:80"))
        registry.write("db", "two:80", record("two:80"))
        self._sees(host, "db", "one:80", "two:80")
        assert len(host.told("web")) == told
        host.consume("api", "db", "web")
        self._sees(host, "web", "one:80", "two:80")

    def test_a_mass_loss_is_told_as_it_is(self, registry: Registry, hosts: Hosts) -> None:
        """The plugin tells what the registry holds. Whether that is believed is decided behind it, with the whole picture."""
        names = [f"node-{number}:80" for number in range(20)]
        for name in names:
            registry.write("web", name, record(name))
        host = self._consuming(hosts, "web")
        self._sees(host, "web", *names)
        for name in names[1:]:
            registry.remove("web", name)
        self._sees(host, "web", names[0])

    def test_hostile_records_cost_themselves_only(self, registry: Registry, hosts: Hosts) -> None:
        """Whether they were there first or came later."""
        for name, content in list(HOSTILE.items())[::2]:
            registry.write("web", name, content)
        registry.write("web", "good:80", record("good:80"))
        host = self._consuming(hosts, "web")
        self._sees(host, "web", "good:80")
        for name, content in list(HOSTILE.items())[1::2]:
            registry.write("web", name, content)
        registry.write("web", "late:80", record("late:80"))
        self._sees(host, "web", "good:80", "late:80")
        assert set(host.told("web")) <= {frozenset({"good:80"}), frozenset({"good:80", "late:80"})}

    def test_hostile_records_are_counted_and_shown(self, registry: Registry, hosts: Hosts) -> None:
        """With a reason that an operator's terminal survives, until they are gone."""
        self._claims(registry, Feature.STATUS)
        for name in ("second-line:80", "escape:80", "cut:80"):
            registry.write("web", name, HOSTILE[name])
        host = self._consuming(hosts, "web")
        host.until(lambda: host.details.get("refused_total") == 3, "three refused records")
        assert len(host.details["refused"]) == 3
        assert "\x1b" not in str(host.details) + host.words
        assert all(reason.isprintable() for reason in host.details["refused"].values())
        registry.remove("web", "cut:80")
        registry.write("web", "escape:80", record("escape:80"))
        host.until(lambda: host.details.get("refused_total") == 1, "one refused record")
        self._sees(host, "web", "escape:80")
