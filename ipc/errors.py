"""The wire's own errors."""


class ProtocolError(Exception):
    """The peer sent something that is not a legal frame or message.

    The stream cannot be trusted from here on: close it. There is no resynchronising inside a stream.
    """


class Overflow(Exception):  # noqa: N818 - it names what happened, like BlockingIOError
    """More control frames wait for the peer than it may leave unread: it no longer reads."""
