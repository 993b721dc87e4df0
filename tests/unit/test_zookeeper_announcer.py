"""The announcements of a host, against a model of ZooKeeper."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighthouse.discovery import Announcement, Wanted
from lighthouse.node import MAX_RECORD, Node
from lighthouse.service import Service
from lighthouse.zookeeper.announcer import DISPUTE, RETRY, Announcer
from lighthouse.zookeeper.messages import READS, Answer, Changed, Failure, Found, Kind
from lighthouse.zookeeper.ownership import Act, Whose, decide, whose
from support.zookeeper_model import OTHERS, OURS, Model

OLD = 7  # a session that was ours


def node(host="me", ip="10.0.0.1", port=80, **metadata):
    return Node(host, ip, port, metadata)


def item(wanted=Wanted.UP, service="web", **options):
    made = node(**options)
    return Announcement(Service(service, (made.port,)), made.port, wanted, made)


def record(**options):
    return node(**options).serialize().encode()


class Host:
    """An announcer with the model behind it."""

    def __init__(self, model, base="/s", sessions=()):
        self.model = model
        self.base = base
        self.now = 0.0
        self.announcer = Announcer()
        self.sessions = {OURS, *sessions}
        self.open()

    def open(self):
        self.announcer.opened(self.model.session, self.sessions)

    def want(self, *items, base=None, record="lighthouse"):
        self.announcer.want(items, base or self.base, record)
        return self

    def ask(self, most=100):
        for request in list(self.announcer.requests(self.now, most)):
            self.model.ask(request)

    def take(self, most=1000):
        for _ in range(min(most, len(self.model.out))):
            message = self.model.out.pop(0)
            if isinstance(message, Changed):
                self.announcer.event(message)
            else:
                self.announcer.take(message, self.now)

    def settle(self):
        for _ in range(100):
            self.ask()
            if not self.model.out:
                return self
            self.take()
        raise AssertionError("it does not come to rest")

    def writes(self):
        return [request.kind for request in self.model.asked if request.kind not in READS]


@pytest.fixture
def model():
    return Model("/s", "/s/web")


@pytest.fixture
def host(model):
    return Host(model)


PATH = "/s/web/me:80"

# Decisions


@pytest.mark.parametrize(
    ("wanted", "owner", "act"),
    [
        (Wanted.UP, Whose.NOBODY, Act.CREATE),
        (Wanted.UP, Whose.OURS, Act.SET),
        (Wanted.UP, Whose.LEFTOVER, Act.REPLACE),
        (Wanted.UP, Whose.ANOTHER, Act.CLASH),
        (Wanted.HOLD, Whose.NOBODY, Act.LEAVE),
        (Wanted.HOLD, Whose.OURS, Act.LEAVE),
        (Wanted.HOLD, Whose.LEFTOVER, Act.ADOPT),
        (Wanted.HOLD, Whose.ANOTHER, Act.LEAVE),
        (Wanted.LEAVING, Whose.NOBODY, Act.LEAVE),
        (Wanted.LEAVING, Whose.OURS, Act.SET),
        (Wanted.LEAVING, Whose.LEFTOVER, Act.REPLACE),
        (Wanted.LEAVING, Whose.ANOTHER, Act.LEAVE),
        (Wanted.DOWN, Whose.NOBODY, Act.LEAVE),
        (Wanted.DOWN, Whose.OURS, Act.DELETE),
        (Wanted.DOWN, Whose.LEFTOVER, Act.DELETE),
        (Wanted.DOWN, Whose.ANOTHER, Act.LEAVE),
    ],
)
def test_the_table_of_acts(wanted, owner, act):
    assert decide(owner, wanted, same=False, stood=False) is act


def test_what_stood_and_is_held_comes_back_and_what_is_right_is_left():
    assert decide(Whose.NOBODY, Wanted.HOLD, same=False, stood=True) is Act.CREATE
    assert decide(Whose.OURS, Wanted.UP, same=True, stood=True) is Act.LEAVE


def test_nothing_is_ever_done_to_another_hosts_znode():
    for wanted, same, stood in itertools.product(Wanted, (False, True), (False, True)):
        assert decide(Whose.ANOTHER, wanted, same=same, stood=stood) in (Act.LEAVE, Act.CLASH)


@pytest.mark.parametrize(
    ("owner", "content", "expected"),
    [
        (OURS, b"whatever", Whose.OURS),
        (OLD, b"whatever", Whose.LEFTOVER),
        (OTHERS, record(), Whose.LEFTOVER),
        (0, record(), Whose.LEFTOVER),
        (OTHERS, record(host="renamed", old="metadata"), Whose.LEFTOVER),
        (OTHERS, record(ip="10.0.0.2"), Whose.ANOTHER),
        (OTHERS, record(port=81), Whose.ANOTHER),
        (OTHERS, b"{", Whose.ANOTHER),
        (OTHERS, b'{"host": "10.0.0.1", "port": 80, "name": "nerve"}', Whose.LEFTOVER),
        (OTHERS, b'{"host": "me", "port": 80}', Whose.LEFTOVER),
        (OTHERS, b'{"host": "you", "port": 80}', Whose.ANOTHER),
    ],
)
def test_whose_a_znode_is(owner, content, expected):
    assert whose(Found(content, owner, 0, 0), node(), OURS, {OURS, OLD}) is expected


def test_without_an_announcement_of_ours_only_the_session_tells():
    assert whose(Found(record(), OTHERS, 0, 0), None, OURS, {OURS, OLD}) is Whose.ANOTHER
    assert whose(Found(b"", OLD, 0, 0), None, OURS, {OURS, OLD}) is Whose.LEFTOVER
    assert whose(None, None, OURS, {OURS}) is Whose.NOBODY


# Announcing


def test_what_is_wanted_is_made_with_its_parents_and_looked_at():
    model = Model()
    host = Host(model, "/a/b").want(item(), item(port=81)).settle()
    assert model.names("/a/b/web") == ["me:80", "me:81"]
    assert model.znodes["/a/b/web/me:80"].data == record()
    assert host.announcer.settled
    assert host.announcer.standing == 2
    asked = len(model.asked)
    host.want(item(), item(port=81)).settle()
    assert len(model.asked) == asked, "nothing is asked while nothing changes"


def test_down_hold_and_unwanted(host, model):
    host.want(item(), item(port=81), item(port=82), item(Wanted.HOLD, port=83)).settle()
    host.want(item(Wanted.DOWN), item(Wanted.HOLD, port=81, changed=True)).settle()
    assert model.names("/s/web") == ["me:81"]
    assert model.znodes["/s/web/me:81"].data == record(port=81)
    assert host.announcer.settled


def test_what_somebody_else_withdrew_does_not_come_back_to_be_held(host, model):
    host.want(item()).settle()
    model.delete(PATH)
    host.want(item(Wanted.DOWN)).take()
    host.settle()
    host.want(item(Wanted.HOLD)).settle()
    assert PATH not in model.znodes


def test_what_is_altered_or_deleted_is_made_good(host, model):
    host.want(item()).settle()
    model.set(PATH, b"spoilt")
    host.take()
    host.settle()
    assert model.znodes[PATH].data == record()
    model.delete(PATH)
    host.take()
    host.settle()
    assert model.znodes[PATH].data == record()


def test_a_leftover_is_replaced_and_another_host_is_not(model):
    model.create(PATH, record(), OTHERS)
    model.create("/s/web/me:81", record(ip="10.9.9.9", port=81), OTHERS)
    host = Host(model).want(item(), item(port=81)).settle()
    assert model.znodes[PATH].owner == OURS
    assert model.znodes["/s/web/me:81"].owner == OTHERS
    assert host.announcer.takeovers == 1
    assert "announced by another host" in host.announcer.problems[0]
    assert host.announcer.settled, "nothing more can be done"
    model.delete("/s/web/me:81")
    host.take()
    host.settle()
    assert model.znodes["/s/web/me:81"].owner == OURS
    assert host.announcer.problems == []


def test_two_that_take_the_same_from_each_other_slow_down(host, model):
    host.want(item()).settle()
    for _ in range(20):
        model.delete(PATH)
        model.create(PATH, record(), OTHERS)
        host.take()
        host.settle()
    assert host.announcer.takeovers == 3
    assert "taken from this host again and again" in host.announcer.problems[0]
    host.now += DISPUTE
    host.settle()
    assert host.announcer.takeovers == 4


def test_a_dispute_may_last_and_is_forgotten_when_it_is_over(host, model):
    host.want(item()).settle()
    for _ in range(1100):
        model.delete(PATH)
        model.create(PATH, record(), OTHERS)
        host.take()
        host.now += DISPUTE
        host.settle()
    assert host.announcer.takeovers == 1100
    assert len(host.announcer.problems) == 1
    host.now += 2 * DISPUTE
    host.settle()
    assert host.announcer.problems == []
    assert model.znodes[PATH].owner == OURS


def test_a_refusal_is_told_and_tried_again_later(host, model):
    host.want(item())
    host.ask()
    host.take()
    host.ask()
    model.out[:] = [Answer(answer.request, Failure.DENIED) for answer in model.out]
    model.delete(PATH)
    host.take()
    host.settle()
    assert "no permission" in host.announcer.problems[0]
    assert PATH not in model.znodes
    host.now += RETRY
    host.settle()
    assert PATH in model.znodes
    assert host.announcer.problems == []


def test_what_cannot_be_a_record_is_told_and_the_rest_goes_on(host, model):
    host.want(item(port=81, text="x" * MAX_RECORD), item()).settle()
    assert model.names("/s/web") == ["me:80"]
    assert "larger" in host.announcer.problems[0]


def test_a_record_that_grew_too_large_leaves_the_last_one_in_force(host, model):
    host.want(item()).settle()
    host.want(item(text="x" * MAX_RECORD)).settle()
    assert model.znodes[PATH].data == record()
    assert "larger" in host.announcer.problems[0]
    host.want(item(Wanted.DOWN, text="x" * MAX_RECORD)).settle()
    assert PATH not in model.znodes
    assert host.announcer.problems == []


def test_what_may_not_be_withdrawn_is_told_as_that(host, model):
    host.want(item(Wanted.DOWN))
    host.ask()
    model.out[:] = [Answer(answer.request, Failure.DENIED) for answer in model.out]
    host.take()
    assert "cannot be withdrawn" in host.announcer.problems[0]


# Generations and sessions


def test_the_next_generation_holds_until_it_is_told(host, model):
    host.want(item(), item(service="web", port=81)).settle()
    handed = host.announcer.handed_over()
    again = Host(model)
    again.announcer.resume(handed)
    again.settle()
    assert again.writes() == host.writes(), "it only looked"
    again.want(item()).settle()
    assert model.names("/s/web") == ["me:80"]


def test_a_new_session_makes_everything_anew_what_is_held_too(host, model):
    host.want(item(), item(port=81), item(port=82)).settle()
    host.want(item(), item(Wanted.HOLD, port=81), item(Wanted.DOWN, port=82)).settle()
    model.expire(OURS)
    model.session = 9
    host.sessions = {9, OURS}
    host.open()
    model.out.clear()
    host.settle()
    assert model.names("/s/web") == ["me:80", "me:81"]
    assert {model.znodes[f"/s/web/me:{port}"].owner for port in (80, 81)} == {9}


def test_znodes_of_our_former_session_are_taken_over_before_they_go(host, model):
    host.want(item(), item(Wanted.HOLD, port=81)).settle()
    model.create("/s/web/me:81", b"as it was", OURS)
    model.session = 9
    host.sessions = {9, OURS}
    host.open()
    host.settle()
    model.expire(OURS)
    assert model.names("/s/web") == ["me:80", "me:81"]
    assert model.znodes["/s/web/me:81"].data == b"as it was"


# Another path, another name


def test_at_another_path_the_new_comes_before_the_old_goes(host, model):
    host.want(item(), item(port=81)).settle()
    host.want(item(), item(Wanted.HOLD, port=81), base="/t").settle()
    order = [(request.kind, request.path) for request in model.asked if request.kind in (Kind.CREATE, Kind.DELETE)]
    for port in (80, 81):
        assert f"/s/web/me:{port}" not in model.znodes
        assert order.index((Kind.DELETE, f"/s/web/me:{port}")) > order.index((Kind.CREATE, f"/t/web/me:{port}"))


def test_what_cannot_be_made_at_the_new_path_stays_at_the_old(host, model):
    host.want(item()).settle()
    for path in ("/t", "/t/web"):
        model.create(path)
    model.create("/t/web/me:80", record(ip="10.9.9.9"), OTHERS)
    host.want(item(), base="/t").settle()
    assert model.znodes[PATH].owner == OURS
    assert host.announcer.settled, "the reason is told, and nothing is waited for"
    assert len(host.announcer.problems) == 1


def test_what_is_wanted_no_more_is_no_problem_any_more(host, model):
    host.want(item())
    host.ask()
    host.take()
    host.ask()
    model.out[:] = [Answer(answer.request, Failure.DENIED) for answer in model.out]
    host.take()
    assert "no permission" in host.announcer.problems[0]
    host.want(item(), base="/t").settle()
    assert host.announcer.problems == []


def test_under_another_name_the_new_comes_before_the_old_goes(host, model):
    host.want(item()).settle()
    host.want(item(host="renamed")).settle()
    assert model.names("/s/web") == ["renamed:80"]
    assert host.writes()[-2:] == [Kind.CREATE, Kind.DELETE]


# Anything


STEP = st.one_of(
    st.tuples(st.just("want"), st.sampled_from(Wanted), st.integers(0, 2)),
    st.tuples(
        st.sampled_from(["base", "ask", "ask one", "take", "take one", "drop", "session", "audit", "later"]),
        st.none(),
        st.none(),
    ),
    st.tuples(st.sampled_from(["delete", "spoil", "leftover"]), st.sampled_from(["/s", "/t"]), st.integers(0, 2)),
)


@given(st.lists(STEP, max_size=50))
def test_whatever_happens_the_wanted_set_stands_in_the_end_and_nothing_else(steps):
    model = Model()
    theirs = "/s/web/them:80"
    for path in ("/s", "/s/web"):
        model.create(path)
    model.create(theirs, record(host="them", ip="10.0.0.2"), OTHERS)
    host = Host(model)
    wanted = dict.fromkeys(range(3), Wanted.DOWN)
    for what, which, n in steps:
        match what:
            case "want":
                wanted[n] = which
            case "base":
                host.base = "/t" if host.base == "/s" else "/s"
            case "ask":
                host.ask()
            case "ask one":
                host.ask(1)
            case "take":
                host.take()
            case "take one":
                host.take(1)
            case "drop" | "session":
                model.drop()
                host.announcer.lost()
                if what == "session":
                    model.expire(model.session)
                    model.session += 10
                    host.sessions = {*host.sessions, model.session}
                host.open()
            case "audit":
                host.announcer.audit()
            case "later":
                host.now += DISPUTE
            case "delete":
                model.delete(f"{which}/web/me:{n + 1}")
            case "spoil" if (found := model.znodes.get(f"{which}/web/me:{n + 1}")) and found.owner == model.session:
                model.set(f"{which}/web/me:{n + 1}", b"spoilt")
            case "leftover":
                model.create(f"{which}/web/me:{n + 1}", record(port=n + 1), OTHERS)
        host.want(*(item(state, port=n + 1) for n, state in wanted.items()))
    host.settle()
    for _ in range(10):
        host.now += DISPUTE
        host.announcer.audit()
        host.settle()
    standing = {name for name in model.names(f"{host.base}/web") if name != "them:80"}
    must = {f"me:{n + 1}" for n, state in wanted.items() if state is Wanted.UP}
    may = {f"me:{n + 1}" for n, state in wanted.items() if state is not Wanted.DOWN}
    assert must <= standing <= may
    assert {model.znodes[f"{host.base}/web/{name}"].owner for name in standing} <= {model.session}
    other = "/t" if host.base == "/s" else "/s"
    left = [
        path
        for path, found in model.znodes.items()
        if path.startswith(f"{other}/web/") and found.owner == model.session
    ]
    assert left == []
    assert model.znodes[theirs].owner == OTHERS
    assert host.announcer.settled
