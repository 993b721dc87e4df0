"""What the balancer remembers between two syncs, with the clock in hand: reloads, leaving servers, changes from outside."""

from dataclasses import replace

import pytest

from lighthouse.errors import BalancerError
from lighthouse.haproxy.balancer import HAProxy
from lighthouse.haproxy.config import Desired
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.drain import Drain
from lighthouse.haproxy.drift import Drift
from lighthouse.haproxy.files import Alteration
from lighthouse.haproxy.frontends import Frontend
from lighthouse.haproxy.member import Member
from lighthouse.haproxy.memory import VERIFY, Memory
from lighthouse.haproxy.outcome import Account, Outcome
from lighthouse.haproxy.pace import BUDGET_PAUSE, Pace
from lighthouse.haproxy.processes import Processes
from lighthouse.haproxy.repair import changed, repairs
from lighthouse.haproxy.running import Running, Server, parse_ids, parse_stat, with_details
from lighthouse.haproxy.stanzas.section import Section
from lighthouse.haproxy.trial import SOON, Trial
from lighthouse.haproxy.versions import limits, takes_servers


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def processes(old):
    return Processes(master=1, worker=2, reloads=0, failed=0, uptime=9, old_workers=old)


def test_reloads_keep_their_distance():
    clock = Clock()
    pace = Pace(2.0, 5, clock)
    assert pace.wait(Running(None), None) is None, "nothing that answers was loaded before"
    assert pace.wait(Running("x", pid=7, uptime=1), None).seconds == 1.0
    assert pace.wait(Running("x", pid=7, uptime=2), None) is None
    pace.reloaded()
    clock.now += 0.5
    assert pace.wait(Running("x", uptime=99), processes(0)).seconds == 1.5
    assert pace.wait(Running("x", uptime=99), processes(0)).trouble is None
    clock.now += 1.5
    assert pace.wait(Running("x", uptime=0), processes(4)) is None


def test_old_processes_have_a_budget():
    wait = Pace(0, 3, Clock()).wait(Running("x"), processes(3))
    assert wait.seconds == BUDGET_PAUSE
    assert "3 old HAProxy processes" in wait.trouble


SERVER = Server("10.0.0.1", 80, admin=1, since=40)


def test_leaving_servers_expire():
    clock = Clock()
    drain = Drain(60, clock)
    drain.note([])
    assert drain.next() is None
    drain.note([(("web", "a"), SERVER)])  # taken out by this process: its own clock counts
    assert drain.expired() == frozenset()
    assert drain.next() == 60
    clock.now += 59
    drain.note([(("web", "a"), SERVER), (("web", "b"), SERVER)])
    clock.now += 1
    assert drain.expired() == {("web", "a")}
    drain.note([(("web", "b"), SERVER)])
    assert drain.expired() == frozenset()
    assert drain.next() == 59


def test_after_a_restart_haproxy_tells_how_long_it_has_been():
    clock = Clock()
    drain = Drain(60, clock)
    serving = Server("10.0.0.1", 80, since=4000)
    drain.note([(("web", "a"), SERVER), (("web", "b"), serving)])
    assert drain.next() == 20
    clock.now += 20
    assert drain.expired() == {("web", "a")}


def running(pid=1, limit=0, hard=0, rates=(), frontends=(), **servers):
    facts = {"limit": limit, "hard": hard, "rates": rates, "frontends": dict(frontends)}
    return Running("x", pid=pid, servers={"web": servers}, **facts)


def document(*names):
    return Document(
        (),
        (*(Section(f"frontend {name}:in") for name in names), *(Section(f"backend {name}", (), "") for name in names)),
    )


def entry(state="OPEN", limit=5):
    return {"web:in": Frontend(state, limit)}


WEB = document("web")
WELL = Server("10.0.0.1", 80, check=6, maxconn=5)


@pytest.mark.parametrize(
    ("now", "what"),
    [
        (None, "HAProxy had ended"),
        (running(pid=2, a=WELL), "HAProxy was restarted or reloaded"),
        (running(), "web/a was deleted"),
        (running(a=WELL, b=WELL), "web/b was added"),
        (running(a=Server("10.0.0.2", 80, check=6)), "web/a has another address"),
        (running(a=Server("10.0.0.1", 80, check=6, weight=3)), "web/a has another weight"),
        (running(a=Server("10.0.0.1", 80, check=6, admin=8)), "web/a has another state"),
        (running(a=Server("10.0.0.1", 80, check=2)), "web/a is checked otherwise"),
        (running(a=Server("10.0.0.1", 80, check=6, maxconn=7)), "web/a has another limit"),
        (running(a=replace(WELL, checked=("9", "-"))), "web/a is checked elsewhere"),
    ],
)
def test_changes_from_outside(now, what):
    drift = Drift(lambda: 5.0)
    assert drift.found(running(a=WELL)) == []
    drift.left(running(a=WELL, frontends=entry()), [], WEB)
    assert drift.found(replace(now, frontends=now.frontends or entry()) if now else None) == [what]
    assert drift.report() == {"healed": 1, "last": {"what": what, "at": 5.0}}


@pytest.mark.parametrize(
    ("now", "what", "command"),
    [
        ({"limit": 3}, "HAProxy has another limit of connections", "set maxconn global 9"),
        ({"frontends": entry("PAUSED")}, "web:in was disabled", "enable frontend web:in"),
        ({"frontends": entry("STOP")}, "web:in was shut down", None),
        ({"frontends": entry(limit=1)}, "web:in has another limit", "set maxconn frontend web:in 5"),
        (
            {"rates": (0, 7, None)},
            "HAProxy has another limit of the rate of sessions",
            "set rate-limit sessions global 0",
        ),
    ],
)
def test_what_is_put_right_beside_members(now, what, command):
    """Whether it was typed while Lighthouse looked on or not; what cannot be put right is counted once in each process."""
    document = replace(WEB, sections=(Section("frontend web:in", ("maxconn 5",)),))
    well = running(limit=9, hard=9, frontends=entry())
    typed = replace(well, **now)
    assert (repairs(document, well, shared=False), changed(document, well, shared=False)) == ([], [])
    assert repairs(document, typed, shared=False) == ([command] if command else [])
    assert changed(document, typed, shared=False) == [what]
    assert changed(document, replace(typed, stopping=True), shared=False) == [], (
        "a replaced worker's are as they may be"
    )
    drift = Drift(lambda: 5.0)
    for _ in range(3):
        drift.found(typed, [what])
    assert drift.report() == {"healed": 1, "last": {"what": what, "at": 5.0}}
    drift.found(well)
    drift.found(typed, [what])
    drift.found(replace(typed, pid=2), [what])
    assert drift.report()["healed"] == 3


@pytest.mark.parametrize(
    ("lines", "defaults", "limit"),
    [
        ((), (), 9),
        (("maxconn 7", "maxconn 6"), (), 6),
        (('maxconn "4" # few',), ("maxconn 7",), 4),
        ((), ("maxconn 7",), 7),
        (("maxconn 0",), ("maxconn 7",), 9),
        (("maxconn 70000",), (), 70000),
        (("maxconn ${MOST}",), ("maxconn 7",), None),
        (("maxconn",), (), None),
    ],
)
def test_the_limit_that_a_file_demands(lines, defaults, limit):
    document = Document((), (Section("defaults", defaults), Section("listen web:in", lines)))
    now = running(limit=9, hard=9, frontends=entry(limit=1))
    expected = [] if limit is None else [f"set maxconn frontend web:in {limit}"]
    assert repairs(document, now, shared=False) == expected


def test_rates_that_the_file_demands():
    document = Document((), (Section("global", ("maxconnrate 5", "maxcomprate 2")),))
    now = running(rates=(5, 0, 0, 2048))
    assert repairs(document, now, shared=False) == []
    assert repairs(document, running(rates=(0, 0, 3, 7)), shared=False) == [
        "set rate-limit connections global 5",
        "set rate-limit ssl-sessions global 0",
        "set rate-limit http-compression global 2",
    ]
    assert repairs(document, running(rates=(0, 0, 3, 7)), shared=True) == [], "the owner's are the owner's"


def test_sections_that_are_left_as_they_are():
    now = running(frontends=entry("PAUSED", 1))
    assert repairs(document("db"), now, shared=False) == [], "the owner's are the owner's"
    off = replace(WEB, sections=(Section("frontend web:in", ("disabled",)),))
    assert repairs(off, now, shared=False) == [], "an operator's own line says so"


def test_a_check_that_was_sent_elsewhere():
    drift = Drift()
    drift.left(running(a=WELL), [], WEB)
    now = running(a=replace(WELL, checked=("9", "-")))
    drift.found(now)
    drift.left(now, [], WEB)
    assert list(drift.spoilt(now)) == ["web/a"], "until a reload, however often it is looked at"
    assert drift.spoilt(running(pid=2)) == {}


def test_what_is_no_change_from_outside():
    drift = Drift()
    drift.left(running(a=WELL, b=Server("10.0.0.1", 80, admin=1)), [("web", "b")], WEB)
    assert drift.found(running(a=Server("10.0.0.1", 80, check=6, operational=0))) == []
    agent = Server("10.0.0.1", 80, agent=6)
    drift.left(running(a=agent), [], WEB)
    assert drift.found(running(a=Server("10.0.0.1", 80, agent=6, admin=1, weight=7))) == []
    own = Document((), (Section("backend web", ("server a 10.0.0.1:80",), ""),))
    drift.left(running(a=Server("10.0.0.1", 80)), [], own)
    assert drift.found(running(a=Server("10.0.0.1", 80, admin=1))) == [], "a server of the operator's own lines"
    follower = Document((), (Section("backend web", (), "track db/a"),))
    drift.left(running(a=Server("10.0.0.1", 80)), [], follower)
    assert drift.found(running(a=Server("10.0.0.1", 80, operational=0))) == []
    drift.left(running(a=WELL), [], WEB)
    assert drift.found(running(a=WELL)) == []
    assert drift.found(running(a=WELL, b=WELL)) == [], "a sync that failed half-way did that itself"
    assert drift.report() == {"healed": 0, "last": None}


def test_versions():
    assert takes_servers("2.6.12")
    assert takes_servers("3.0")
    assert takes_servers("weird")
    assert not takes_servers("2.5.14")
    assert limits("2.6.0") == []
    assert len(limits("2.4.1")) == 1
    assert "older than 2.4" in limits("2.2.9")[1]


def test_show_stat():
    text = "# pxname,svname,scur,slim,bck,\nweb,a,3,7,0,\nweb,b,0,,1,\n\n"
    details = parse_stat(text + 'db,c,0,,0,"a, b"\n')
    assert details == {"web": {"a": (3, 7, False), "b": (0, 0, True)}, "db": {"c": (0, 0, False)}}
    servers = with_details({"a": WELL, "c": WELL}, details["web"])
    assert (servers["a"].sessions, servers["a"].maxconn, servers["a"].backup) == (3, 7, False)
    assert servers["c"] == WELL
    assert with_details(servers, details["web"])["a"] is servers["a"]
    assert parse_ids("1\n# be_id be_name srv_id\n7 web 1 x\n7 web 2 y\n") == {"web": "7"}


def test_everything_is_compared_again_after_a_while_and_after_trouble():
    clock, empty = Clock(), Document((), ())
    memory = Memory(clock)
    assert memory.is_due
    outcome = Outcome(Desired(empty), empty, Running(empty.skeleton, pid=1), Account(processes=processes(0)))
    memory.verified([], outcome)
    clock.now += VERIFY - 1
    memory.changed(["other"], outcome)
    assert memory.known.clusters == ("other",)
    assert not memory.is_due
    clock.now += 1
    assert memory.is_due, "changes in between do not put it off"
    account = Account()
    account.tell("x")
    for unknown in ({"account": account}, {"running": Running("else", pid=1)}, {"running": Running(empty.skeleton)}):
        memory.verified([], replace(outcome, **unknown))
        assert memory.known is None, unknown


def test_what_lasts_is_no_reason_to_compare_everything_with_each_change():
    clock, empty = Clock(), Document((), ())
    memory = Memory(clock)
    account = Account(processes=processes(0), pending="a", quarantined={"web": "b"}, waiting={"web": {"n": "c"}})
    account.note("d")
    account.look_again(5)
    account.glance_again(1)
    memory.verified([], Outcome(Desired(empty), empty, Running(empty.skeleton, pid=1), account))
    clock.now += 3
    again = memory.known.outcome.account.kept(memory.due_in)
    assert (again.again, again.due, memory.is_due) == (2, 2, False), "it comes at its time, whatever changes until then"
    assert (again.pending, again.quarantined, again.waiting) == (account.pending, account.quarantined, account.waiting)
    assert (again.lasting, again.trouble, again.commands) == (["d"], [], 0)
    clock.now += 2
    assert memory.is_due


def test_a_sync_ends_before_it_is_taken_for_hung(monkeypatch):
    made, left = HAProxy(), []
    made.apply_config({"config_file": "/x/c", "socket_file": "/x/s", "pid_file": "/x/p"})

    def note(_tools, _clusters, deadline):
        left.append(deadline.remaining)
        raise BalancerError("enough")

    monkeypatch.setattr("lighthouse.haproxy.balancer.reconcile", note)
    for made.call_deadline in (8.0, 1.0):
        with pytest.raises(BalancerError):
            made.sync([])
    assert left[0] < 8.0
    assert left[1] < 1.0


def test_changes_from_outside_amid_a_sync():
    drift = Drift()
    left = Running("x", servers={"web": {"a": WELL}, "db": {"a": WELL}})
    drift.left(left, [], document("web", "db"))
    moved = Server("10.0.0.2", 80, check=6)
    now = Running("x", servers={"web": {"a": moved, "b": WELL}, "db": {"a": moved}})
    assert drift.seen(now, ["web"], [("web", "b")]) == ["web/a has another address"]
    assert drift.seen(now, ["web"], []) == [], "it is counted once"
    drift.forget()
    assert drift.seen(left, ["web"], []) == []
    assert drift.report()["healed"] == 1


def test_leaving_servers_of_other_backends_stay_noted():
    drain = Drain(60, Clock())
    drain.note([(("web", "a"), SERVER), (("db", "b"), SERVER)])
    drain.note([], ["web"])
    assert set(drain.places) == {("db", "b")}
    drain.note([(("web", "c"), SERVER)], ["web"])
    assert set(drain.places) == {("db", "b"), ("web", "c")}


def test_a_changed_file_counts_and_calls_for_a_reload_only_of_a_process_that_may_have_read_it():
    drift, left = Drift(lambda: 7.0), running(a=WELL)
    edited = Alteration("x was edited", reshaped=True)
    drift.left(left, (), Document((), ()))
    assert drift.found(left, file=edited) == ["x was edited"]
    assert drift.report() == {"healed": 1, "last": {"what": "x was edited", "at": 7.0}}
    assert not drift.spoilt(left)
    drift.left(left, (), Document((), ()))
    other = replace(left, pid=left.pid + 1)
    assert drift.found(other, file=replace(edited, reshaped=False)) == [
        "HAProxy was restarted or reloaded",
        "x was edited",
    ]
    assert not drift.spoilt(other), "its members are put right at run time"
    drift.left(left, (), Document((), ()))
    assert len(drift.found(other, file=edited)) == 2
    assert "loaded with a file" in drift.spoilt(other)[""]
    drift.left(other, (), Document((), ()))
    assert drift.spoilt(other), "until there is another process"
    drift.left(replace(left, pid=left.pid + 2), (), Document((), ()))
    assert not drift.spoilt(replace(left, pid=left.pid + 2))


def test_whose_a_slot_was_is_known_as_long_as_it_is_leaving():
    drain, slot = Drain(60, Clock()), ("web", "slot1")
    one = Section("backend web", (), "", (Member("a:80", "10.0.0.1", 80, slot="slot1"),), ("slot1", "slot2"))
    drain.met({"web": one})
    assert drain.node(slot) is None, "it is a member"
    drain.note([(slot, SERVER)])
    assert drain.node(slot) == "a:80"
    drain.met({"web": one.having(())})
    drain.note([(slot, SERVER)])
    assert drain.node(slot) == "a:80"
    drain.note([])
    drain.met({"web": one.having(())})
    drain.note([(slot, SERVER)])
    assert drain.node(slot) is None, "it is another one's, of whom nothing is known"


def test_two_ends_soon_after_a_start_are_none_by_chance():
    now = [100.0]
    trial = Trial(lambda: now[0])
    assert not trial.is_lost("x"), "it was never begun"
    trial.begin("x")
    for _ in range(3):
        assert not trial.is_lost("x"), "it is one end, however often it is asked for"
    trial.begin("x")
    for _ in range(3):
        assert trial.is_lost("x")
    assert not trial.is_lost("y")
    trial.begin("x")
    now[0] += SOON
    assert not trial.is_lost("x"), "it has lived"
    trial.begin("x")
    assert not trial.is_lost("x"), "which counts anew"
    trial.begin("y")
    assert not trial.is_lost("y")
    trial.begin("y")
    assert trial.is_lost("y")
    trial.forget()
    assert not trial.is_lost("y"), "there is nothing else to run"
