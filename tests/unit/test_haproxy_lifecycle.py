"""Whose answer counts while one worker takes over from another: sockets that say what a real HAProxy says for milliseconds only."""

from itertools import chain, repeat

import pytest

from lighthouse.haproxy.deadline import Deadline
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.errors import EndedError, NotRunningError
from lighthouse.haproxy.lifecycle import Lifecycle
from lighthouse.haproxy.processes import Processes
from lighthouse.haproxy.running import Running
from lighthouse.haproxy.stanzas.section import Section

DOCUMENT = Document((), (Section("global"),))
OLD, NEW = Running(DOCUMENT.skeleton, pid=10), Running(DOCUMENT.skeleton, pid=11)
OTHER = Running("other", pid=12)
MASTER = Processes(master=1, worker=11, reloads=1, failed=0, uptime=9, old_workers=1)


class Answers:
    """Both sockets: who answers at the one, in turn, and the last for ever; what the master says, None if there is none."""

    def __init__(self, *workers, master=MASTER):
        self.master_socket_file = "/s.master" if master else ""
        self._workers = chain(workers, repeat(workers[-1]))
        self._master = master

    def running(self, _deadline):
        worker = next(self._workers)
        if worker is None:
            raise NotRunningError("nobody listens")
        return worker

    def processes(self, _deadline):
        return self._master

    def is_loading(self, _worker, _deadline):
        return False


def test_the_old_worker_is_not_believed_while_the_new_one_is_there():
    assert Lifecycle(Answers(OLD, OLD, NEW), None).current(Deadline(30)) == (NEW, MASTER)
    assert Lifecycle(Answers(OLD, NEW, master=None), None).current(Deadline(30)) == (OLD, None), "nobody tells"


def test_an_old_worker_that_goes_on_to_answer_is_what_there_is():
    assert Lifecycle(Answers(OLD), None).current(Deadline(0.02)) == (OLD, MASTER)


@pytest.mark.parametrize(
    ("workers", "master", "needs_master"),
    [
        ((OLD, OLD, NEW), None, False),  # one without a master: it may be the same configuration that is loaded again
        ((OLD, OLD, NEW), MASTER, True),
        ((None, None, NEW), MASTER, True),
        ((OTHER, OTHER, NEW), None, False),
    ],
)
def test_a_process_is_ready_when_another_one_answers_with_the_document(workers, master, needs_master):
    lifecycle = Lifecycle(Answers(*workers, master=master), None)
    assert lifecycle.ready(DOCUMENT, [OLD.pid], Deadline(30), master=needs_master) == (NEW, master)


@pytest.mark.parametrize("worker", [OLD, OTHER, NEW])
def test_it_is_not_ready_while_none_does_or_its_master_is_silent(worker):
    assert Lifecycle(Answers(worker, master=None), None).ready(DOCUMENT, [OLD.pid], Deadline(0.02)) is None


def test_one_that_ended_is_not_waited_for():
    with pytest.raises(EndedError):
        Lifecycle(Answers(None), None).ready(DOCUMENT, [], Deadline(30), gone=lambda: True)
