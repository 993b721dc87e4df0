"""A changed configuration of a registry: taken over by the running plugin where it can, by a new one otherwise."""

from types import SimpleNamespace

import pytest

from lighthouse.discovery import Discovery
from lighthouse.workers import discovery as worker
from lighthouse.workers.lanes import Outcome


class Plugin(Discovery):
    """Notes its calls; `adapts` says what becomes of a changed configuration."""

    made = []
    adapts = True

    def __init__(self):
        self.calls = []
        Plugin.made.append(self)

    def apply_config(self, config):
        self.calls.append(("apply", config["n"]))

    def adapt(self, config):
        self.calls.append(("adapt", config["n"]))
        if isinstance(self.adapts, Exception):
            raise self.adapts
        return self.adapts

    def connect(self):
        self.calls.append(("connect",))

    def disconnect(self):
        self.calls.append(("disconnect",))

    def start_watching(self, cluster, should_update):
        self.calls.append(("watch", cluster.name))

    def handover(self):
        return b"session"

    def resume(self, handover):
        self.calls.append(("resume", handover))


class Runtime:
    """Makes each plugin call at once, and keeps the rest."""

    def __init__(self):
        self.boot = SimpleNamespace(kept={}, handover=b"")
        self.lanes = SimpleNamespace(wake=lambda: None)
        self.fresh = 0.0
        self.degraded = None
        self.gave_up = None

    def call(self, _name, function, done, **_options):
        try:
            outcome = Outcome(function())
        except Exception as error:
            outcome = Outcome(error=error)
        done(outcome)

    def condition(self, degraded):
        self.degraded = degraded

    def give_up(self, reason):
        self.gave_up = reason

    def __getattr__(self, _name):
        return lambda *_args, **_options: None


@pytest.fixture
def job(monkeypatch):
    monkeypatch.setattr(worker, "load", lambda _reference: Plugin)
    monkeypatch.setattr(Plugin, "made", [])
    monkeypatch.setattr(Plugin, "adapts", True)
    job = worker.DiscoveryJob(Runtime())
    job.configure(config(1))
    return job


def config(n):
    return {
        "plugin": "a:B", "name": "dir", "config": {"n": n}, "clusters": ["web"], "guards": {}, "services": [],
        "hostname": "h", "advertise": ["10.0.0.1"], "registration": {"rate": 10.0, "burst": 100},
    }  # fmt: skip


def test_a_plugin_that_adapts_goes_on(job):
    (plugin,) = Plugin.made
    before = list(plugin.calls)
    job.configure(config(2))
    assert [plugin] == Plugin.made
    assert plugin.calls == [*before, ("adapt", 2)], "neither connected nor watched anew"
    job.configure(config(2))
    assert plugin.calls == [*before, ("adapt", 2)], "the same again is no change"


def test_one_that_does_not_is_replaced_by_a_new_one_with_what_it_hands_over(job):
    Plugin.adapts = False
    job.configure(config(2))
    old, new = Plugin.made
    assert old.calls[-2:] == [("adapt", 2), ("disconnect",)]
    assert new.calls == [("apply", 2), ("resume", b"session"), ("connect",), ("watch", "web")]


def test_one_that_refuses_goes_on_as_it_was(job):
    Plugin.adapts = ValueError("not while running")
    job.configure(config(2))
    (plugin,) = Plugin.made
    assert plugin.calls[-1] == ("adapt", 2)
    assert job._runtime.gave_up is None
    assert "not while running" in job._runtime.degraded
    Plugin.adapts = True
    job.configure(config(3))
    assert plugin.calls[-1] == ("adapt", 3)
    assert job._runtime.degraded is None
