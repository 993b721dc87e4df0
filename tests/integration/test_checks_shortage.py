"""Checks on a host that is short of descriptors: that says nothing about the service."""

import errno
import os
import resource
from contextlib import contextmanager

import pytest

from lighthouse.checks.exec import ExecCheck
from lighthouse.checks.shortage import shortage
from lighthouse.checks.tcp import TCPCheck
from lighthouse.errors import ResourceError
from support.ports import free_port


def check(cls, **config):
    made = cls()
    made.service, made.host, made.port, made.timeout = "web", "127.0.0.1", free_port(), 20.0
    made.apply_config({name: option.default for name, option in cls.options.items()} | config)
    return made


@contextmanager
def descriptors(more):
    """Let this process open so many more."""
    fd = os.open("/dev/null", os.O_RDONLY)
    os.close(fd)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (fd + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("made", [check(TCPCheck), check(ExecCheck, command="true")], ids=["tcp", "exec"])
def test_a_check_that_gets_no_descriptor_is_none(made):
    with descriptors(0), pytest.raises(ResourceError, match="Too many open files"):
        made.perform()


@pytest.mark.parametrize("more", [2, 3, 4, 5, 6])
def test_a_command_that_cannot_be_followed_leaves_nothing(more):
    """Each of the descriptors that it takes may be the last."""
    made = check(ExecCheck, command="true")
    before = set(os.listdir("/proc/self/fd"))
    with descriptors(more):
        try:
            assert made.perform()
        except ResourceError as error:
            assert "Too many open files" in str(error)
    assert set(os.listdir("/proc/self/fd")) == before


def test_what_the_service_does_is_no_shortage():
    assert shortage(ConnectionRefusedError(errno.ECONNREFUSED, "refused")) is None
    assert shortage(ValueError()) is None
    assert shortage(BlockingIOError(errno.EAGAIN, "try again")) is None, "only where it is asked for"
    assert shortage(BlockingIOError(errno.EAGAIN, "try again"), errno.EAGAIN)
