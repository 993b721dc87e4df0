"""A discovery's worker and its plugin: a changed configuration, which the running one takes over where it can, and announcing."""

import time
from types import SimpleNamespace

import pytest

from lighthouse.discovery import Announcement, Discovery, Report, Wanted
from lighthouse.errors import AnnounceError, RegistryError
from lighthouse.ipc.messages import pack
from lighthouse.node import Node
from lighthouse.service import Service
from lighthouse.workers import calls
from lighthouse.workers import discovery as worker
from lighthouse.workers.announcing import announced
from lighthouse.workers.lanes import Outcome
from lighthouse.workers.steps import Failures


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
        self.boot = SimpleNamespace(id="discovery/dir", kept={}, handover=b"")
        self.lanes = SimpleNamespace(wake=lambda: None, abandon=lambda _name: None)
        self.fresh = 0.0
        self.degraded = None
        self.gave_up = None
        self.held = {}

    def call(self, _name, function, done, *, lane="plugin", **_options):
        if lane in self.held:
            self.held[lane].append((function, done))
            return
        try:
            outcome = Outcome(function())
        except Exception as error:
            outcome = Outcome(error=error)
        done(outcome)

    def condition(self, degraded, *, whole=False):
        self.degraded = degraded

    def give_up(self, reason):
        self.gave_up = reason

    def __getattr__(self, _name):
        return lambda *_args, **_options: None


@pytest.fixture
def job(monkeypatch):
    monkeypatch.setattr(calls, "load", lambda _reference: Plugin)
    monkeypatch.setattr(Plugin, "made", [])
    monkeypatch.setattr(Plugin, "adapts", True)
    job = worker.DiscoveryJob(Runtime())
    job.configure(config(1))
    return job


def config(n):
    return {
        "plugin": "a:B", "name": "dir", "config": {"n": n}, "clusters": ["web"], "guards": {}, "services": [],
        "hostname": "h", "advertise": ["10.0.0.1"], "registration": {"rate": 10.0, "burst": 100, "farewell": 1.0},
    }  # fmt: skip


def test_a_plugin_that_adapts_goes_on(job):
    (plugin,) = Plugin.made
    before = list(plugin.calls)
    job.configure(config(2))
    assert [plugin] == Plugin.made
    assert plugin.calls == [*before, ("adapt", 2)], "neither connected nor watched anew"
    job.configure(config(2))
    assert plugin.calls == [*before, ("adapt", 2)], "the same again is no change"
    job.configure(config(2.0))
    assert plugin.calls[-2:] == [("adapt", 2), ("adapt", 2.0)], (
        "it says something else, although Python takes it for equal"
    )
    assert type(plugin.calls[-1][1]) is float


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


def test_what_is_refused_is_the_configuration_that_was_tried(job, monkeypatch):
    """The newer one came while the plugin was at it."""
    (plugin,) = Plugin.made

    def adapt(self, config):
        self.calls.append(("adapt", config["n"]))
        if config["n"] == 2:
            job.configure(globals()["config"](3))
            raise ValueError("not while running")
        return True

    monkeypatch.setattr(Plugin, "adapt", adapt)
    job.configure(config(2))
    assert plugin.calls[-2:] == [("adapt", 2), ("adapt", 3)]
    assert job._runtime.degraded is None


def test_one_that_cannot_part_is_replaced_all_the_same(job, monkeypatch, caplog):
    def fail(_self):
        raise OSError("no")

    Plugin.adapts = False
    monkeypatch.setattr(Plugin, "disconnect", fail)
    job.configure(config(2))
    _, new = Plugin.made
    assert new.calls == [("apply", 2), ("resume", b"session"), ("connect",), ("watch", "web")]
    assert "could not part" in caplog.text


# announcements -------------------------------------------------------------------------------------------------------


class Registry(Plugin):
    """Notes what it is told to announce; `refuses` says why it cannot."""

    refuses = None

    def announce(self, announcements):
        wanted = [item.wanted.value for item in announcements]
        self.calls.append(("announce", wanted))
        if self.refuses:
            raise self.refuses

    def maintain(self):
        return Report()


@pytest.fixture
def announcing(monkeypatch):
    monkeypatch.setattr(calls, "load", lambda _reference: Registry)
    monkeypatch.setattr(Plugin, "made", [])
    job = worker.DiscoveryJob(Runtime())
    service = {"name": "web", "ports": [80], "host": "127.0.0.1", "metadata": {}, "advertise": None}
    job.configure({**config(1), "services": [service]})
    (job.plugin,) = Plugin.made
    return job


def told(job, state):
    """The supervisor tells of a state, and whatever waits after a failure is tried; returns what the plugin heard."""
    job.plugin.calls.clear()
    job.receive("announce", pack({"web": {"80": state}}))
    job._failures.forget()
    job._next()
    return [call[1] for call in job.plugin.calls if call[0] == "announce"]


def over(job):
    """The moment is over for which what leaves says so; returns what the plugin hears then."""
    job._register._farewell.lasts = 0.0
    job.plugin.calls.clear()
    job._next()
    job._register._farewell.lasts = 1.0
    return [call[1] for call in job.plugin.calls if call[0] == "announce"]


def test_an_operators_order_is_a_withdrawal_that_is_told_apart_from_a_failed_check(announcing):
    job = announcing
    assert told(job, "up") == [["up"]]
    assert announced(job._register._announced, job._register.states) == {"web": {"80": "up"}}
    assert told(job, "withdrawn") == [["leaving"]]
    assert announced(job._register._announced, job._register.states) == {"web": {"80": "leaving"}}
    assert over(job) == [["down"]]
    assert announced(job._register._announced, job._register.states) == {"web": {"80": "withdrawn"}}
    assert told(job, "down") == [], "the registry has it no more"
    assert announced(job._register._announced, job._register.states) == {"web": {"80": "down"}}


def test_after_an_announcement_that_failed_half_way_nothing_is_taken_for_done(announcing, monkeypatch):
    job = announcing
    assert told(job, "down") == [["down"]]
    monkeypatch.setattr(Registry, "refuses", RegistryError("no answer"))
    assert told(job, "up")[:1] == [["up"]]
    assert announced(job._register._announced or (), job._register.states) == {}, "nobody knows what stands"
    monkeypatch.setattr(Registry, "refuses", None)
    assert told(job, "withdrawn") == [["leaving"]]
    assert over(job) == [["down"]], "although that is what it was before"


def test_an_announcement_that_cannot_be_made_holds_no_other_back(announcing, monkeypatch):
    job = announcing
    services = [
        {"name": name, "ports": [80], "host": "127.0.0.1", "metadata": {}, "advertise": None} for name in ("web", "db")
    ]
    job.configure({**config(1), "services": services})
    states = {"web": {"80": "up"}, "db": {"80": "up"}}
    job.receive("announce", pack(states))
    heard = []

    def announce(_self, announcements):
        heard.append({item.service.name: item.wanted.value for item in announcements})
        raise AnnounceError("no permission", {("web", 80)})

    monkeypatch.setattr(Registry, "announce", announce)
    job.receive("announce", pack({"web": {"80": "down"}, "db": {"80": "withdrawn"}}))
    assert heard == [{"web": "down", "db": "leaving"}]
    assert job._register.report()["announced"] == {"db": {"80": "leaving"}}, "of the other nobody knows what stands"
    job._register.hurry()
    job._failures.forget()
    job._next()
    assert heard[1:] == [{"web": "down", "db": "down"}]
    assert job._register.report()["announced"] == {"db": {"80": "withdrawn"}}
    assert "no permission" in job._runtime.degraded


def test_a_classic_plugin_that_cannot_report_one_service_reports_the_others():
    class Classic(Discovery):
        refuses = "a"
        reported = []

        def report_up(self, service, port):
            if service.name == self.refuses:
                raise OSError("no")
            self.reported.append(service.name)

    def item(name, wanted=Wanted.UP):
        service = Service(name, (80,), "dir", "127.0.0.1", {}, "h", "10.0.0.1")
        return Announcement(service, 80, wanted, Node("h", "10.0.0.1", 80))

    plugin, wanted = Classic(), [item("a"), item("b"), item("c")]
    with pytest.raises(AnnounceError, match="OSError: no") as first:
        plugin.announce(wanted)
    assert first.value.failed == {("a", 80), ("b", 80), ("c", 80)}, "one that waits in vain must not add up to a hang"
    with pytest.raises(AnnounceError) as second:
        plugin.announce(wanted)
    assert second.value.failed == {("a", 80)}
    assert plugin.reported == ["b", "c"]
    plugin.refuses = ""
    plugin.announce(wanted)
    assert plugin.reported == ["b", "c", "a"]
    plugin.announce([*wanted[1:], item("a", Wanted.HOLD)])
    assert plugin.reported == ["b", "c", "a"]


# the end -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def stopped(announcing, monkeypatch):
    """A function that stops a discovery whose registry refuses what it says until some time; returns when it was told what."""

    def stop(within, recovers, states="withdrawn", *, withdraw=True):
        job, start, log = announcing, time.monotonic(), []
        clock = [start]
        monkeypatch.setattr(time, "monotonic", lambda: clock[0])
        monkeypatch.setattr(time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
        job._failures = Failures(time.monotonic)
        job._register._farewell.done(job._register._announced, job._register._announced, clock[0])

        def announce(_self, announcements):
            log.append((round(clock[0] - start, 3), announcements[0].wanted.value))
            if clock[0] < start + recovers:
                raise RegistryError("no answer")

        monkeypatch.setattr(Registry, "announce", announce)
        monkeypatch.setattr(
            Registry, "disconnect", lambda _self: log.append((round(clock[0] - start, 3), "disconnect"))
        )
        job._runtime.withdraw, job._runtime.until = withdraw, start + within
        job.receive("announce", pack({"web": {"80": states}}))
        job.stop()
        return log

    return stop


def test_a_stop_that_withdraws_tries_again_until_it_is_done(stopped, announcing):
    told(announcing, "up")
    assert stopped(within=5.0, recovers=1.5) == [
        (0.0, "leaving"),
        (0.0, "leaving"),
        (1.0, "leaving"),
        (2.0, "leaving"),
        (3.0, "down"),
        (3.0, "disconnect"),
    ]


def test_it_gives_up_before_it_is_killed(stopped, announcing):
    told(announcing, "up")
    log = stopped(within=3.0, recovers=100.0)
    assert log[-2:] == [(2.0, "leaving"), (2.5, "disconnect")]


def test_a_farewell_for_which_there_is_no_time_is_cut_short(stopped, announcing):
    told(announcing, "up")
    announcing._register._farewell.lasts = 60.0
    assert stopped(within=5.0, recovers=0.0) == [(0.0, "leaving"), (4.5, "down"), (4.5, "disconnect")]


def test_a_stop_that_keeps_does_not_wait_for_a_registry(stopped, announcing):
    told(announcing, "down")
    log = stopped(within=5.0, recovers=100.0, states="up", withdraw=False)
    assert log == [(0.0, "up"), (0.0, "up"), (0.0, "disconnect")], "what failed before is tried once more"


@pytest.mark.parametrize(("withdraw", "heard"), [(True, ["down", "disconnect"]), (False, ["disconnect"])])
def test_a_stop_that_withdraws_waits_for_the_own_name(monkeypatch, withdraw, heard):
    monkeypatch.setattr(calls, "load", lambda _reference: Registry)
    log = []
    monkeypatch.setattr(Registry, "announce", lambda _self, items: log.extend(item.wanted.value for item in items))
    monkeypatch.setattr(Registry, "disconnect", lambda _self: log.append("disconnect"))
    job = worker.DiscoveryJob(Runtime())
    runtime = job._runtime
    runtime.held["address"] = waiting = []
    runtime.withdraw, runtime.until = withdraw, time.monotonic() + 60.0
    service = {"name": "web", "ports": [80], "host": "127.0.0.1", "metadata": {}, "advertise": None}
    registration = {**config(1)["registration"], "farewell": 0.0}
    job.configure({**config(1), "services": [service], "registration": registration})
    job._register.states = {"web": {"80": "withdrawn"}}
    job.stop()
    for function, done in waiting:
        done(Outcome(function()))
    assert log == heard
