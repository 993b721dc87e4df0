"""The balancer worker's job, with a runtime that makes calls at once and keeps timers in hand."""

import time

import pytest

from lighthouse.balancer import Balancer
from lighthouse.errors import AbsentError, BalancerError
from lighthouse.ipc.boot import Boot, members_topic
from lighthouse.ipc.messages import pack, unpack
from lighthouse.workers import balancer as worker
from lighthouse.workers import reports
from lighthouse.workers.balancer import BalancerJob
from lighthouse.workers.lanes import Outcome

NODE = {"host": "a", "ip": "10.0.0.1", "port": 80, "metadata": {}, "peer": None}


class Noting(Balancer):
    """Reports how often it was called, and notes with what."""

    seen: list = []
    deadlines: list = []
    extra: object = None
    more: dict = {}
    fd: int | None = None

    def watch_fd(self):
        return self.fd

    def apply_config(self, config):
        self.deadlines.append(self.call_deadline)

    def sync(self, clusters):
        self.seen.append(list(clusters))
        if isinstance(self.extra, Exception):
            raise self.extra
        return {"servers": {}, "calls": len(self.seen), "extra": self.extra, **self.more}


class Runtime:
    """Makes calls at once, or while ``busy`` when `work` says so; ``timers`` by name.

    ``told`` holds of each report the number of the call, ``reports`` the whole.
    """

    def __init__(self):
        self.busy, self.orders = False, []
        self.boot = Boot("balancer/x", "balancer", 1, b"", call_deadline=3.0)
        self.fresh, self.timers, self.told, self.degraded = 0.0, {}, [], None
        self.reports = []
        self.delays, self.watched = {}, {}

    def call(self, _name, function, done):
        self.orders.append((function, done))
        if not self.busy:
            self.work()

    def work(self):
        """Make the first of the calls that wait."""
        function, done = self.orders.pop(0)
        try:
            outcome = Outcome(function())
        except Exception as error:
            outcome = Outcome(error=error)
        done(outcome)

    def after(self, delay, function, *, name=None):
        self.timers[name], self.delays[name] = function, delay

    def watch(self, fd, function):
        self.watched[fd] = function

    def unwatch(self, fd):
        del self.watched[fd]

    def report(self, packed):
        self.reports.append(unpack(packed))
        self.told.append(self.reports[-1].get("calls"))

    def condition(self, degraded):
        self.degraded = degraded

    def ready(self):
        pass


@pytest.fixture
def job(monkeypatch):
    monkeypatch.setattr(Noting, "seen", [])
    monkeypatch.setattr(Noting, "deadlines", [])
    monkeypatch.setattr(Noting, "extra", None)
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    runtime = Runtime()
    made = BalancerJob(runtime)
    made.configure(configuration())
    return made, runtime, clock


def test_a_descriptor_of_the_plugin_calls_for_a_sync_and_for_no_more_than_one_a_second(job, monkeypatch):
    made, runtime, clock = job
    assert runtime.watched == {}
    monkeypatch.setattr(Noting, "fd", 7)
    tell(made, "web", NODE)
    for delay in (0.0, worker.WOKEN_LEAST):
        runtime.watched[7]()
        assert (runtime.watched, runtime.delays["sync"]) == ({}, delay), "it is not waited for until it was looked at"
        monkeypatch.setattr(Noting, "extra", ValueError("no"))
        runtime.timers["sync"]()
        assert runtime.watched == {}, "nor after a sync that failed"
        monkeypatch.setattr(Noting, "extra", None)
        runtime.timers["sync"]()
        assert runtime.watched.keys() == {7}
    clock[0] += 2 * worker.WOKEN_LEAST
    runtime.watched[7]()
    assert runtime.delays["sync"] == 0
    runtime.timers["sync"]()
    made.stop()
    assert runtime.watched == {}


@pytest.mark.parametrize(
    ("report", "delay"),
    [
        ({}, worker.VERIFY),
        ({"degraded": "x"}, worker.RETRY),
        ({"degraded": "x", "again": None}, worker.VERIFY),
        ({"degraded": "x", "again": 5.0}, 5.0),
        ({"again": 0}, worker.AGAIN_LEAST),
        ({"again": 99}, worker.VERIFY),
        ({"degraded": "x", "again": "soon"}, worker.VERIFY),
    ],
)
def test_the_next_sync_comes_when_the_plugin_wants_it(job, monkeypatch, report, delay):
    made, runtime, _ = job
    monkeypatch.setattr(Noting, "more", report)
    tell(made, "web", NODE)
    assert (runtime.delays["sync"], runtime.degraded) == (delay, report.get("degraded"))


def configuration(**own):
    clusters = [{"name": name, "discovery": "d", "options": {}} for name in ("web", "db")]
    return {"plugin": f"{__name__}:Noting", "config": own, "clusters": clusters, "initial_wait": 0.0}


def test_a_descriptor_of_a_plugin_that_is_parted_from_is_not_followed(job, monkeypatch):
    made, runtime, _ = job
    monkeypatch.setattr(Noting, "fd", 7)
    runtime.busy = True
    made.configure(configuration(n=2))
    tell(made, "web", NODE)
    runtime.work()
    monkeypatch.setattr(runtime, "watched", {})
    runtime.work()
    assert runtime.watched == {}, "it is the former plugin's"
    runtime.work()
    assert runtime.watched.keys() == {7}
    assert runtime.orders == []


def test_a_stop_lets_a_call_end_and_begins_none(job, monkeypatch):
    made, runtime, _ = job
    monkeypatch.setattr(Noting, "fd", 7)
    runtime.busy = True
    tell(made, "web", NODE)
    made.configure(configuration(n=2))
    made.stop()
    runtime.work()
    assert runtime.watched == {}
    runtime.work()
    assert (runtime.orders, len(Noting.seen)) == ([], 2), "what was set up meanwhile is not used"


def tell(job, cluster, *nodes):
    job.receive(members_topic(cluster), pack({"nodes": list(nodes)}))


def test_reports_keep_a_distance_and_the_last_one_is_told(job):
    made, runtime, clock = job
    assert runtime.told == [1]
    for port in (1, 2, 3):
        tell(made, "web", {**NODE, "port": port})
    assert runtime.told == [1]
    clock[0] += reports.LEAST
    runtime.timers["report"]()
    assert runtime.told == [1, 4]
    runtime.timers["report"]()
    assert runtime.told == [1, 4], "it is told once"
    clock[0] += reports.LEAST
    tell(made, "web")
    assert runtime.told == [1, 4, 5], "after a while at once"


def test_a_cluster_that_did_not_change_is_the_same_object(job):
    made, _, _ = job
    tell(made, "web", NODE)
    tell(made, "db", NODE)
    tell(made, "web", NODE, {**NODE, "host": "b"})
    (_, _, before, after) = Noting.seen
    assert after[1] is before[1]
    assert after[0] is not before[0]
    assert after[0].nodes[0] is before[0].nodes[0]


def test_a_cluster_that_comes_back_has_the_members_that_were_told_just_before(job):
    made, _, _ = job
    tell(made, "web", NODE)
    whole = configuration()
    made.configure({**whole, "clusters": whole["clusters"][1:]})
    tell(made, "web", NODE)
    made.configure(whole)
    assert [node.name for node in Noting.seen[-1][0].nodes] == ["a:80"]


def test_the_plugin_knows_how_long_a_call_may_take_and_is_set_up_for_each_change(job):
    made, _, _ = job
    assert Noting.deadlines == [3.0]
    for own, times in ((True, 2), (1, 3), (1, 3)):
        made.configure(configuration(n=own))
        assert len(Noting.deadlines) == times


def test_a_report_that_cannot_be_sent_costs_no_worker(job):
    made, runtime, clock = job
    Noting.extra = {1, 2}
    tell(made, "web", NODE)
    runtime.timers["report"]()
    assert "set" in runtime.degraded
    assert runtime.reports[-1]["failed"] == runtime.degraded
    clock[0] += reports.LEAST
    Noting.extra = None
    tell(made, "web")
    assert runtime.degraded is None
    assert runtime.told == [1, None, 3]


def test_a_sync_that_fails_again_and_again_is_logged_once(job, caplog):
    made, runtime, _ = job
    Noting.extra = RuntimeError("no")
    for port in (1, 2, 3):
        tell(made, "web", {**NODE, "port": port})
    assert [record.message for record in caplog.records] == ["sync failed"]
    assert runtime.degraded == "RuntimeError: no"


@pytest.mark.parametrize("error", [BalancerError, AbsentError])
def test_a_failure_is_told_once_at_once_with_what_was_told_before(job, error):
    made, runtime, clock = job
    Noting.extra = error("no")
    for port in (1, 2):
        tell(made, "web", {**NODE, "port": port})
    first, failed = runtime.reports
    assert (first["failed"], failed["failed"], failed["absent"]) == (None, "no", error is AbsentError)
    assert (failed["servers"], failed["synced"]) == ({}, first["synced"])
    clock[0] += reports.LEAST
    Noting.extra = None
    tell(made, "web")
    assert runtime.reports[-1]["failed"] is None
