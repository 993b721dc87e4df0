"""Listeners that cannot listen, among any that come, go and move: against a model of which ports others have."""

from hypothesis import given, settings
from hypothesis import strategies as st

from lighthouse.haproxy.binds import places_of
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.parting import part_ports
from lighthouse.haproxy.stanzas.section import Section


def document(listeners):
    """By name, whether it is a cluster's, and its port."""
    frontends, backends, proxies = [], [], []
    for name, (is_cluster, port) in sorted(listeners.items()):
        bind = f"bind 127.0.0.1:{port}"
        if is_cluster:
            frontends.append(Section(f"frontend {name}:in", (bind, f"default_backend {name}")))
            backends.append(Section(f"backend {name}", (), ""))
        else:
            proxies.append(Section(f"listen {name}", (bind, "server s 192.0.2.1:1")))
    return Document((), (Section("global"), *frontends, *backends, *proxies))


def ports(found):
    return {header: place.port for header, place in places_of(found)}


def taken_by(others):
    return lambda found: {header: f"{header}: taken" for header, port in ports(found).items() if port in others}


LISTENERS = st.dictionaries(st.sampled_from("abc"), st.tuples(st.booleans(), st.integers(1, 4)), max_size=3).filter(
    lambda found: len(found) == len({port for _, port in found.values()})
)


@settings(max_examples=400, deadline=None)
@given(LISTENERS, st.none() | LISTENERS, st.sets(st.integers(1, 4), max_size=2), st.booleans())
def test_nobody_who_listens_is_left_out_and_no_port_is_shared(new, old, others, start):
    wanted, good = document(new), document(old) if old is not None else None
    before = ports(good) if good else {}
    if not start:
        others = others - set(before.values())  # HAProxy has its own
    verdict = part_ports(wanted, good, taken_by(others), drop=start)
    there = ports(verdict.document)
    assert not taken_by(others)(verdict.document)
    assert len(there) == len(set(there.values()))
    for header, port in ports(wanted).items():
        if there.get(header) != port:
            assert port in others or port in there.values(), "it waits for somebody"
        if header in before and not start:
            assert header in there, "it stays where it was, at least"


def test_who_takes_over_the_port_of_a_listener_that_cannot_move_waits_for_it():
    good = document({"old": (False, 1), "peer": (False, 2)})
    wanted = document({"old": (False, 3), "web": (True, 1), "peer": (False, 2)})
    verdict = part_ports(wanted, good, taken_by({3}))
    assert ports(verdict.document) == {"listen old": 1, "listen peer": 2}
    assert verdict.apart == {
        "listen old": "listen old: taken",
        "web": "frontend web:in: 127.0.0.1:1 is still that of listen old, which is set apart",
    }
    assert ports(part_ports(wanted, good, taken_by(())).document) == ports(wanted)
