"""The supervisor's decisions, without a process, a socket or a clock."""

import logging
from dataclasses import replace

import pytest

from lighthouse.ipc.boot import CONFIG_TOPIC
from lighthouse.ipc.errors import ProtocolError
from lighthouse.ipc.frames import Frame, Kind
from lighthouse.ipc.messages import Condition, Heartbeat, Hello, Ready, Stop, pack, unpack
from lighthouse.plan import Plan, ServicePlan, WorkerSpec
from lighthouse.service_state import Order, Will
from lighthouse.settings import Settings
from lighthouse.supervisor.actions import DumpStacks, Finish, Fork, Kill, Log, Send
from lighthouse.supervisor.control import Peer, Refusal
from lighthouse.supervisor.core import Core
from lighthouse.supervisor.lives import Lives
from lighthouse.supervisor.ordering import ordering
from lighthouse.supervisor.store import Store
from lighthouse.supervisor.worker import WorkerState

CHECKER, DISCOVERY, BALANCER = "checker/web", "discovery/dir", "balancer/haproxy"
UP = {"8001": {"state": "up", "since": 1.0, "checks": {}}}


def plan(*, checker="c1", services=True, **settings):
    workers = {
        BALANCER: WorkerSpec(BALANCER, "balancer", "b1"),
        DISCOVERY: WorkerSpec(DISCOVERY, "discovery", "d1"),
    }
    if services:
        workers[CHECKER] = WorkerSpec(CHECKER, "checker", checker)
    return Plan(
        workers=workers,
        clusters={"web": "dir"},
        services={"web": ServicePlan("dir", (8001,))} if services else {},
        settings={**Settings().to_mapping(), **settings},
    )


class World:
    """Plays the loop: forks are acknowledged at once, everything else is recorded."""

    def __init__(self):
        self.core = Core(Lives(jitter=lambda _low, high: high))
        self.now = 1000.0
        self.done = []
        self.pid = 100

    def do(self, actions):
        for action in actions:
            if isinstance(action, Fork):
                self.core.lives.next_generation(action.worker)
                self.pid += 1
                born = self.core.lives.forked(action.worker, self.pid, self.now)
            if not isinstance(action, Log):
                self.done.append(action)
            if isinstance(action, Fork):
                self.do(born)
        return self

    def adopt(self, new):
        return self.do(self.core.adopt(new, dict.fromkeys(new.workers, b"blob"), self.now))

    def say(self, worker, message, topic=None, generation=None):
        frame = message if isinstance(message, Frame) else message.frame()
        frame = replace(frame, generation=generation or self.core.workers[worker].generation)
        return self.do(self.core.frame(worker, frame, self.now))

    def snapshot(self, worker, topic, value):
        return self.say(worker, Frame(Kind.SNAPSHOT, pack(value), topic))

    def up(self, *workers):
        for worker in workers:
            self.say(worker, Hello(1)).say(worker, Ready())
        return self

    def later(self, seconds):
        self.now += seconds
        return self.do(self.core.tick(self.now))

    def beat(self, *workers):
        for worker in workers:
            self.say(worker, Heartbeat())
        return self

    def exit(self, worker, how="exit code 1", code=1):
        return self.do(self.core.exited(worker, how, code, self.now))

    def state(self, worker):
        return self.core.workers[worker].state

    def take(self):
        done, self.done = self.done, []
        return done


@pytest.fixture
def world():
    world = World().adopt(plan())
    world.up(BALANCER, DISCOVERY, CHECKER)
    world.take()
    return world


def test_workers_start_against_the_way_of_the_data():
    world = World().adopt(plan())
    assert world.done == [Fork(BALANCER), Fork(DISCOVERY), Fork(CHECKER)]
    assert world.state(CHECKER) is WorkerState.STARTING


def test_up_is_said_by_ready_and_degraded_by_the_worker_itself(world):
    assert world.state(CHECKER) is WorkerState.UP
    world.say(DISCOVERY, Condition("registry is away"))
    assert world.state(DISCOVERY) is WorkerState.DEGRADED
    assert world.core.workers[DISCOVERY].reason == "registry is away"
    world.say(DISCOVERY, Condition())
    assert world.state(DISCOVERY) is WorkerState.UP


def test_what_keeps_a_worker_from_its_job_need_not_make_stale_what_it_tells(world):
    worker = world.core.workers[DISCOVERY]
    assert not worker.fully_read, "it works, and has not read all yet"
    world.say(DISCOVERY, Condition(None, whole=True))
    assert worker.fully_read
    world.say(DISCOVERY, Condition("registry is away"))
    assert not worker.fully_read
    world.say(DISCOVERY, Condition("an announcement is refused", whole=True))
    assert worker.fully_read
    world.exit(DISCOVERY).up(DISCOVERY)
    world.say(DISCOVERY, Condition("registry is away"))
    assert not worker.fully_read


def test_a_degraded_worker_is_not_killed(world):
    world.say(DISCOVERY, Condition("registry is away"))
    for _ in range(100):
        world.later(1.0).beat(BALANCER, DISCOVERY, CHECKER)
    assert world.take() == []


def test_silence_is_a_hang_stacks_are_asked_for_and_then_it_is_killed(world):
    for _ in range(5):
        world.later(1.0).beat(BALANCER, DISCOVERY)
    world.later(0.1)
    assert world.take() == [DumpStacks(CHECKER)]
    assert world.state(CHECKER) is WorkerState.HUNG
    world.later(0.3)
    assert world.take() == [Kill(CHECKER)]
    world.exit(CHECKER, "killed by SIGKILL", None)
    assert world.take() == [Fork(CHECKER)]
    assert "silent" in world.core.workers[CHECKER].last_exit.reason


def test_a_call_past_its_deadline_is_a_hang_although_the_loop_turns(world):
    world.say(CHECKER, Heartbeat("check http", world.now, world.now + 3.0))
    for _ in range(3):
        world.later(1.0)
        for worker in (BALANCER, DISCOVERY):
            world.beat(worker)
        world.say(CHECKER, Heartbeat("check http", world.now - 1, world.now + 3.0 - 1))
    assert world.take() == []
    world.say(CHECKER, Heartbeat("check http", world.now - 5, world.now - 1.5)).later(0.01)
    assert world.take() == [DumpStacks(CHECKER)]


def test_a_worker_that_never_greets_is_found():
    world = World().adopt(plan())
    world.up(BALANCER, DISCOVERY).take()
    for _ in range(9):
        world.later(1.0).beat(BALANCER, DISCOVERY)
    assert DumpStacks(CHECKER) in world.take()


def test_the_defaults_find_a_hang_within_ten_seconds(world):
    settings = Settings()
    assert settings.deadlines.hello + settings.deadlines.dump < 10
    assert settings.heartbeat.deadline + settings.deadlines.dump < 10
    assert settings.deadlines.call + settings.deadlines.grace + settings.deadlines.dump < 10


def test_a_late_supervisor_judges_nobody_for_it(world):
    world.now += 60.0
    world.core.lives.forgive(60.0)
    world.do(world.core.tick(world.now))
    assert world.take() == []


def test_deaths_back_off_and_a_stable_life_forgives(world):
    world.exit(CHECKER)
    assert world.take() == [Fork(CHECKER)]
    world.exit(CHECKER)
    assert world.take() == []
    assert world.state(CHECKER) is WorkerState.BACKOFF
    world.later(0.49)
    assert world.take() == []
    world.later(0.02)
    assert world.take() == [Fork(CHECKER)]
    world.up(CHECKER)
    for _ in range(61):
        world.later(1.0).beat(BALANCER, DISCOVERY, CHECKER)
    world.exit(CHECKER)
    assert world.take() == [Fork(CHECKER)]


def test_failing_is_told_once_and_tried_still(world):
    lines = []
    for _ in range(12):
        actions = world.core.exited(CHECKER, "exit code 1", 1, world.now)
        lines += [action.text for action in actions if isinstance(action, Log) and action.level >= 40]
        world.do(actions)
        if world.core.workers[CHECKER].due:
            world.now = world.core.workers[CHECKER].due
            world.beat(BALANCER, DISCOVERY)
            world.do(world.core.tick(world.now))
    assert len(lines) == 1
    assert "died 10 times" in lines[0]
    assert world.core.workers[CHECKER].history.failing


def test_a_declared_configuration_error_waits_for_a_change(world):
    world.say(CHECKER, Condition("plugin smtp does not load", fatal=True)).exit(CHECKER, "exit code 78", 78)
    assert world.state(CHECKER) is WorkerState.FATAL
    world.take()
    for _ in range(10):
        world.later(600.0)
        world.beat(BALANCER, DISCOVERY)
    assert Fork(CHECKER) not in world.take()
    world.adopt(plan(checker="c2"))
    assert Fork(CHECKER) in world.take()


def test_a_configuration_that_changed_since_the_start_is_not_condemned_with_the_one_before(world):
    world.adopt(plan(checker="c2")).take()
    world.say(CHECKER, Condition("plugin smtp does not load", fatal=True)).exit(CHECKER, "exit code 78", 78)
    assert world.take() == [Fork(CHECKER)], "nobody has tried the newer one"
    world.say(CHECKER, Condition("plugin smtp does not load", fatal=True)).exit(CHECKER, "exit code 78", 78)
    assert world.state(CHECKER) is WorkerState.FATAL


def test_a_changed_heartbeat_condemns_no_worker_that_still_beats_as_before():
    world = World().adopt(plan(heartbeat={"interval": 20.0, "deadline": 60.0})).up(BALANCER, DISCOVERY, CHECKER)
    world.adopt(plan()).take()
    assert world.later(39.0).take() == []
    assert DumpStacks(CHECKER) in world.later(2.0).take()
    world.later(1.0).exit(CHECKER, "signal 9", None).up(CHECKER).take()
    assert DumpStacks(CHECKER) in world.later(6.0).take()


def test_a_changed_configuration_reaches_a_running_worker_without_a_restart(world):
    world.adopt(plan(checker="c2"))
    (sent,) = world.take()
    assert (sent.worker, sent.frame.topic) == (CHECKER, CONFIG_TOPIC)


def test_an_unchanged_plan_disturbs_nobody(world):
    world.adopt(plan())
    assert world.take() == []


def test_a_worker_that_left_the_plan_is_stopped_and_forgotten(world):
    world.adopt(plan(services=False))
    sent = [action for action in world.take() if isinstance(action, Send) and action.worker == CHECKER]
    assert [action.frame for action in sent] == [Stop(within=5.0).frame()]
    world.exit(CHECKER, "exit code 0", 0)
    assert CHECKER not in world.core.workers


def test_a_discovery_that_left_the_plan_withdraws_what_did_not_move_to_another():
    """The same registry under another name takes over what stands: withdrawn here it would be missing for a moment."""
    other = "discovery/other"
    first = plan(services=False)
    services = {"web": ServicePlan("dir", (8001, 8002)), "db": ServicePlan("dir", (5432,))}
    world = World().adopt(replace(first, services=services)).up(DISCOVERY)
    world.take()
    workers = {BALANCER: WorkerSpec(BALANCER, "balancer", "b1"), other: WorkerSpec(other, "discovery", "d2")}
    moved = {"web": ServicePlan("other", (8001,))}
    world.adopt(replace(first, workers=workers, clusters={}, services=moved))
    announce, stop = [sent.frame for sent in world.take() if isinstance(sent, Send) and sent.worker == DISCOVERY]
    assert announce.topic == "announce"
    assert unpack(announce.payload) == {"web": {"8001": "hold", "8002": "withdrawn"}, "db": {"5432": "withdrawn"}}
    assert Stop.read(stop) == Stop(withdraw=True, within=5.0)


def gone(world):
    """Its discovery has announced, is dead just now, and leaves the plan."""
    world.snapshot(DISCOVERY, f"handover/{DISCOVERY}", b"session")
    while world.state(DISCOVERY) is not WorkerState.BACKOFF:
        world.exit(DISCOVERY)
    world.take()
    rest = plan(services=False)
    return replace(rest, workers={BALANCER: rest.workers[BALANCER]}, clusters={})


def test_a_discovery_that_is_dead_when_it_leaves_the_plan_comes_back_to_withdraw(world):
    """What it announced would stay until the registry itself drops it."""
    world.adopt(gone(world))
    fork, stop = [action for action in world.take() if action.worker == DISCOVERY]
    assert fork == Fork(DISCOVERY)
    assert Stop.read(stop.frame) == Stop(withdraw=True, within=5.0)
    core = world.core
    born = core.store.birthright(core.plan, core.workers[DISCOVERY].spec)
    assert unpack(born["announce"]) == {"web": {"8001": "withdrawn"}}
    assert f"handover/{DISCOVERY}" in core.store.snapshots, "or it could not take up what its predecessor had"
    world.adopt(core.plan)
    assert world.state(DISCOVERY) is WorkerState.STOPPING
    world.later(6.0)
    assert Kill(DISCOVERY) in world.take()
    world.exit(DISCOVERY, "signal 9", None)
    assert world.take() == []
    assert DISCOVERY not in core.workers
    assert f"handover/{DISCOVERY}" not in core.store.snapshots


def test_one_that_cannot_come_back_to_withdraw_is_forgotten(world):
    actions = world.core.adopt(gone(world), {BALANCER: b"blob"}, world.now)
    assert Fork(DISCOVERY) in actions
    world.core.lives.next_generation(DISCOVERY)
    world.do(world.core.lives.fork_failed(DISCOVERY, "no memory", world.now))
    assert DISCOVERY not in world.core.workers


def test_a_worker_that_comes_back_before_it_has_ended_starts_anew(world):
    world.adopt(plan(services=False)).adopt(plan(checker="c3"))
    world.take()
    world.exit(CHECKER, "exit code 0", 0)
    assert world.take() == [Fork(CHECKER)]


def test_one_that_will_not_stop_is_killed(world):
    world.do(world.core.lives.stop(CHECKER, world.now))
    for _ in range(6):
        world.later(1.0).beat(BALANCER, DISCOVERY)
    assert Kill(CHECKER) in world.take()


def test_operators_stop_start_and_restart(world):
    world.do(world.core.lives.stop(CHECKER, world.now)).exit(CHECKER, "exit code 0", 0)
    assert world.state(CHECKER) is WorkerState.STOPPED
    world.take()
    world.adopt(plan(checker="c9"))
    assert Fork(CHECKER) not in world.take()
    world.do(world.core.lives.start(CHECKER, world.now))
    assert Fork(CHECKER) in world.take()
    world.up(CHECKER).do(world.core.lives.restart(CHECKER, world.now)).exit(CHECKER, "exit code 0", 0)
    assert world.take()[-1] == Fork(CHECKER)
    assert world.core.workers[CHECKER].generation == 3


def test_a_restart_ends_any_wait(world):
    world.exit(CHECKER).exit(CHECKER)
    assert world.state(CHECKER) is WorkerState.BACKOFF
    world.take()
    world.do(world.core.lives.restart(CHECKER, world.now))
    assert world.take() == [Fork(CHECKER)]


def test_a_failed_fork_waits_and_tries_again(world):
    world.exit(CHECKER)
    world.take()
    world.do(world.core.lives.fork_failed(CHECKER, "out of memory", world.now))
    assert world.state(CHECKER) is WorkerState.BACKOFF
    world.later(1.0)
    assert world.take() == [Fork(CHECKER)]


def test_shutdown_goes_with_the_data_and_ends(world):
    world.do(world.core.shut_down(world.now))
    assert [action.worker for action in world.take()] == [CHECKER]
    world.exit(CHECKER, "exit code 0", 0)
    assert [action.worker for action in world.take()] == [DISCOVERY]
    world.exit(DISCOVERY, "exit code 0", 0)
    assert [action.worker for action in world.take()] == [BALANCER]
    world.exit(BALANCER, "exit code 0", 0)
    assert world.take() == [Finish()]


def test_a_second_request_hurries(world):
    world.do(world.core.shut_down(world.now))
    world.do(world.core.shut_down(world.now))
    world.take()
    world.later(2.1)
    assert Kill(CHECKER) in world.take()


def test_shutdown_stops_waits_and_starts_nothing(world):
    world.exit(CHECKER).exit(CHECKER)
    world.take()
    world.do(world.core.shut_down(world.now))
    assert world.state(CHECKER) is WorkerState.STOPPED
    world.exit(DISCOVERY, "killed by SIGSEGV", None)
    assert Fork(DISCOVERY) not in world.take()


def test_a_service_state_reaches_its_discovery_as_what_to_announce(world):
    world.snapshot(CHECKER, "service/web", UP)
    (sent,) = world.take()
    assert (sent.worker, sent.frame.topic) == (DISCOVERY, "announce")
    assert unpack(sent.frame.payload) == {"web": {"8001": "up"}}
    world.snapshot(CHECKER, "service/web", UP)
    assert world.take() == []


def test_a_balancer_is_told_the_members_of_a_cluster_that_comes_back_to_it(world):
    """It forgot them when its configuration lost the cluster, and they need not have changed since."""
    world.snapshot(DISCOVERY, "members/web", ["a"]).take()
    changed = plan()
    changed.workers[BALANCER] = WorkerSpec(BALANCER, "balancer", "b2")
    world.adopt(changed)
    assert [(sent.worker, sent.frame.topic) for sent in world.take()] == [
        (BALANCER, "members/web"),
        (BALANCER, CONFIG_TOPIC),
    ]
    world.adopt(changed)
    assert world.take() == []


def test_a_discovery_to_which_a_cluster_moves_is_told_whom_it_had(world):
    """As one that starts is: what it then does not find may be a mass loss."""
    other = WorkerSpec("discovery/two", "discovery", "t1")
    both = plan()
    both.workers[other.id] = other
    world.adopt(both).up(other.id).snapshot(DISCOVERY, "members/web", ["a"]).take()
    moved = replace(both, clusters={"web": "two"}, workers={**both.workers, other.id: replace(other, digest="t2")})
    world.adopt(moved)
    assert [sent.frame.topic for sent in world.take() if sent.worker == other.id] == ["members/web", CONFIG_TOPIC]
    world.adopt(replace(moved, workers={**moved.workers, other.id: replace(other, digest="t3")}))
    assert [sent.frame.topic for sent in world.take()] == [CONFIG_TOPIC], "its own it knows better"


def test_members_reach_the_balancer_as_they_came(world):
    world.say(DISCOVERY, Frame(Kind.SNAPSHOT, b"\xc1 not even msgpack", "members/web"))
    (sent,) = world.take()
    assert (sent.worker, sent.frame.payload) == (BALANCER, b"\xc1 not even msgpack")


@pytest.mark.parametrize(
    ("worker", "topic"),
    [
        (CHECKER, "members/web"),
        (CHECKER, "service/other"),
        (DISCOVERY, "service/web"),
        (DISCOVERY, "members/other"),
        (BALANCER, "members/web"),
        (BALANCER, "handover/discovery/dir"),
        (CHECKER, "report/balancer/haproxy"),
        (CHECKER, "config"),
    ],
)
def test_nobody_speaks_for_somebody_else(world, worker, topic):
    world.say(worker, Frame(Kind.SNAPSHOT, pack({}), topic))
    assert world.take() == []
    assert topic not in world.core.store.snapshots
    assert world.core.unsolicited == 1


def test_a_former_generation_is_not_heard(world):
    world.exit(CHECKER)
    world.take()
    world.say(CHECKER, Ready(), generation=1)
    assert world.state(CHECKER) is WorkerState.STARTING
    assert world.core.unsolicited == 1


@pytest.mark.parametrize(
    "value",
    [
        [],
        {"web": {}},
        {"8001": {"state": "fine", "since": 1.0, "checks": {}}},
        {"8001": {"state": "up", "since": None, "checks": {}}},
        {"8001": {"state": "up", "since": 1.0, "checks": {"http": {"state": "up"}}}},
        {"8001": {"state": "up", "since": 1.0}},
    ],
)
def test_a_malformed_service_state_is_a_protocol_error(world, value):
    with pytest.raises(ProtocolError):
        world.snapshot(CHECKER, "service/web", value)


def test_a_violation_costs_the_worker_its_life(world):
    world.do(world.core.lives.violation(CHECKER, "protocol error: nonsense", world.now))
    assert world.take() == [Kill(CHECKER)]
    world.exit(CHECKER, "killed by SIGKILL", None)
    assert "nonsense" in world.core.workers[CHECKER].last_exit.reason


def test_a_replacement_is_born_with_what_its_predecessor_told(world):
    world.snapshot(CHECKER, "service/web", UP)
    world.say(DISCOVERY, Frame(Kind.SNAPSHOT, b"nodes", "members/web"))
    world.say(DISCOVERY, Frame(Kind.SNAPSHOT, b"secret", "handover/discovery/dir"))
    core = world.core
    born = {worker: core.store.birthright(core.plan, core.plan.workers[worker]) for worker in core.workers}
    assert unpack(born[CHECKER]["service/web"]) == UP
    assert born[BALANCER] == {"members/web": b"nodes"}
    assert born[DISCOVERY]["members/web"] == b"nodes"
    assert unpack(born[DISCOVERY]["announce"]) == {"web": {"8001": "up"}}
    assert all(b"secret" not in kept.values() for kept in born.values())


def test_what_left_the_plan_is_forgotten(world):
    world.snapshot(CHECKER, "service/web", UP)
    world.adopt(plan(services=False))
    assert "service/web" not in world.core.store.snapshots
    assert "service/web" in world.core.store.dirty


def test_a_stop_frame_is_not_for_a_worker_to_say(world):
    with pytest.raises(ProtocolError):
        world.say(CHECKER, Stop())


def test_a_worker_that_is_leaving_is_not_started_again_by_anybody(world):
    world.adopt(plan(services=False))
    for ask in (world.core.lives.start, world.core.lives.restart):
        world.do(ask(CHECKER, world.now))
    world.take()
    world.exit(CHECKER, "exit code 0", 0)
    assert world.take() == []
    assert CHECKER not in world.core.workers


def test_a_discovery_never_waits_longer_than_announcements_can(world):
    for _ in range(200):
        world.do(world.core.exited(DISCOVERY, "exit code 1", 1, world.now))
        due = world.core.workers[DISCOVERY].due
        if world.state(DISCOVERY) is not WorkerState.STARTING:
            assert due <= world.now + Settings().restart.discovery
            world.now = due
            world.beat(BALANCER, CHECKER)
            world.do(world.core.tick(world.now))
    assert world.core.workers[DISCOVERY].history.failing


def test_the_last_service_that_leaves_is_withdrawn_too(world):
    world.snapshot(CHECKER, "service/web", UP)
    world.take()
    world.adopt(plan(services=False))
    told = [action.frame for action in world.take() if isinstance(action, Send) and action.worker == DISCOVERY]
    assert [unpack(frame.payload) for frame in told if frame.topic == "announce"] == [{}]


@pytest.mark.parametrize(("since", "streak"), [(float("inf"), 1), (float("nan"), 1), (1.0, float("inf")), (1.0, 1e400)])
def test_numbers_that_are_none_are_a_protocol_error(world, since, streak):
    checks = {"http": {"state": "up", "streak": streak, "reason": ""}}
    with pytest.raises(ProtocolError):
        world.snapshot(CHECKER, "service/web", {"8001": {"state": "up", "since": since, "checks": checks}})


def test_an_unchanged_plan_is_no_new_epoch(world):
    before = world.core.epoch
    world.adopt(plan())
    assert world.core.epoch == before
    world.adopt(plan(checker="c2"))
    assert world.core.epoch == before + 1


def test_a_worker_that_wants_a_fresh_process_gets_it_at_once_and_is_no_dead_one(world):
    world.exit(DISCOVERY).exit(DISCOVERY).later(5.0).up(DISCOVERY).take()
    history = world.core.workers[DISCOVERY].history
    logged = [item.level for item in world.core.exited(DISCOVERY, "exit code 0", 0, world.now) if isinstance(item, Log)]
    assert logged == [logging.INFO]
    world.up(CHECKER).exit(CHECKER, "exit code 0", 0)
    assert [item for item in world.take() if isinstance(item, Fork)] == [Fork(CHECKER)]
    worker = world.core.workers[CHECKER]
    assert (worker.state, worker.last_exit.reason) == (WorkerState.STARTING, "it wanted a fresh process")
    assert world.core.workers[DISCOVERY].history.deaths == history.deaths


def test_one_that_wants_a_fresh_process_all_the_time_is_slowed_down(world):
    for _ in range(6):
        world.later(0.1).exit(CHECKER, "exit code 0", 0)
    assert world.state(CHECKER) is WorkerState.BACKOFF


def test_a_hung_worker_that_ends_with_code_0_has_died(world):
    world.later(6.0)
    assert world.state(CHECKER) is WorkerState.HUNG
    world.exit(CHECKER, "exit code 0", 0)
    assert world.core.workers[CHECKER].history.deaths


# orders --------------------------------------------------------------------------------------------------------------


def ordered(world, kind=Will.MAINTENANCE, **order):
    order = Order(since=world.core.wall(), uid=0, **order)
    return world.do(world.core.order(["web"], kind, order))


def told(world):
    """What the discovery was told last."""
    frames = [action.frame for action in world.take() if isinstance(action, Send) and action.worker == DISCOVERY]
    return [unpack(frame.payload)["web"]["8001"] for frame in frames if frame.topic == "announce"]


def test_an_order_beats_every_verdict_and_ends_without_a_trace(world):
    world.snapshot(CHECKER, "service/web", UP)
    ordered(world)
    assert told(world) == ["up", "withdrawn"]
    world.snapshot(CHECKER, "service/web", {"8001": {**UP["8001"], "state": "down"}})
    world.snapshot(CHECKER, "service/web", UP)
    assert told(world) == []
    world.do(world.core.order(["web"], Will.MAINTENANCE, None))
    assert told(world) == ["up"]


def test_an_order_ends_by_itself_in_time(world):
    world.core.wall = lambda: world.now + 1e9
    world.snapshot(CHECKER, "service/web", UP)
    ordered(world, until=world.core.wall() + 30.0)
    assert world.core.next_deadline(world.now) <= world.now + 30.0
    world.beat(CHECKER, DISCOVERY, BALANCER).later(4.0)
    assert told(world) == ["up", "withdrawn"]
    for _ in range(7):
        world.beat(CHECKER, DISCOVERY, BALANCER).later(4.0)
    assert told(world) == ["up"]


@pytest.mark.parametrize(
    "seconds", [0, -1, True, "1", float("nan"), float("inf"), 1e12, pytest.param(10**400, id="huge")]
)
def test_an_order_for_an_impossible_time_is_refused(world, seconds):
    maintenance = ordering(world.core, world.do)["maintenance"].function
    with pytest.raises(Refusal, match="'for' must be a number of seconds"):
        maintenance({"service": "web", "on": True, "for": seconds}, Peer(1, 0, 0))
    assert told(world) == []


def test_an_order_survives_a_successor(world):
    ordered(world)
    successor = Store()
    assert successor.load({"orders": world.core.store.snapshots["orders"]}, aged=True) == []
    assert unpack(successor.birthright(world.core.plan, world.core.plan.workers[DISCOVERY])["announce"]) == {
        "web": {"8001": "withdrawn"}
    }
    assert "orders" in world.core.store.dirty & world.core.store.uncopied


def test_stopping_withdraws_when_it_is_told_to(world):
    world.snapshot(CHECKER, "service/web", UP).adopt(plan(on_stop="withdraw")).take()
    world.do(world.core.shut_down(world.now))
    assert told(world) == ["withdrawn"]
    world.exit(CHECKER, "exit code 0", 0)
    [stop] = [action.frame for action in world.take() if isinstance(action, Send)]
    assert Stop.read(stop) == Stop(withdraw=True, within=5.0)


def test_stopping_withdraws_nothing_otherwise(world):
    world.snapshot(CHECKER, "service/web", UP).take()
    world.do(world.core.shut_down(world.now)).exit(CHECKER, "exit code 0", 0)
    stops = [Stop.read(action.frame) for action in world.take() if isinstance(action, Send)]
    assert stops == [Stop(within=5.0), Stop(within=5.0)]
