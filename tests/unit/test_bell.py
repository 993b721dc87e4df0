"""The descriptor by which a plugin calls."""

import os
import selectors

import pytest

from lighthouse.workers.bell import Bell


class Runtime:
    """The two calls of a worker's loop, with a real selector."""

    def __init__(self):
        self.selector = selectors.DefaultSelector()

    def watch(self, fd, function):
        self.selector.register(fd, selectors.EVENT_READ, function)

    def unwatch(self, fd):
        self.selector.unregister(fd)

    def turn(self):
        for key, _ in self.selector.select(0):
            key.data()


def test_it_rings_once_until_it_is_followed_again():
    runtime, rung = Runtime(), []
    bell, fd = Bell(runtime, lambda: rung.append(1)), os.eventfd(1)
    bell.follow(fd)
    runtime.turn()
    runtime.turn()
    assert rung == [1]
    bell.follow(fd)
    runtime.turn()
    assert rung == [1, 1]
    bell.follow(None)
    os.close(fd)
    runtime.selector.close()


def test_another_descriptor_under_the_same_number_is_followed():
    runtime, rung = Runtime(), []
    bell, fd = Bell(runtime, lambda: rung.append(1)), os.eventfd(0)
    bell.follow(fd)
    os.close(fd)
    assert os.eventfd(1) == fd, "the kernel gives the lowest free number"
    bell.follow(fd)
    runtime.turn()
    assert rung == [1]
    bell.drop()
    os.close(fd)
    runtime.selector.close()


@pytest.mark.parametrize("make", [lambda path: -1, lambda path: "fd", lambda path: os.open(path, os.O_RDONLY)])
def test_what_cannot_be_waited_for_costs_the_worker_nothing(tmp_path, caplog, make):
    runtime = Runtime()
    bell, fd = Bell(runtime, lambda: None), make(tmp_path)
    bell.follow(fd)
    bell.follow(fd)
    runtime.turn()
    assert len(caplog.records) == 1
    assert "cannot be waited for" in caplog.text
    bell.drop()
    runtime.selector.close()
    if isinstance(fd, int) and fd >= 0:
        os.close(fd)
