"""What can go wrong with HAProxy.

    BalancerError
    ├── NotRunningError            nothing listens at the socket
    ├── NoAnswerError              something listens, but did not answer in time
    │   └── BrokenOffError         it closed the connection before its answer was complete, as a process that ends does
    ├── NoAccessError              the permissions of the socket keep us out
    ├── UnfinishedError            a reload that was asked for has not ended
    ├── HeldUpError                no new configuration can come into force; what runs is as it was
    │   ├── UnwrittenError         the disk does not take a file
    │   └── UndecidedError         ``haproxy -c`` has not come to a judgement
    │       └── LateError          it had no time to: the reconciliation is all but over, and the next one goes on
    ├── RejectedError              HAProxy refuses a configuration, or cannot start with it
    │   ├── UnjudgedError          files of HAProxy's owner are in the way of judging ours
    │   ├── TakenError             another program has a port
    │   ├── UnstartedError         it accepts a configuration and does not start with it; its old processes go on
    │   └── EndedError             it accepts a configuration and does not live with it
    └── CommandError               HAProxy refuses a command
        ├── UnknownCommandError    this HAProxy has no such command
        ├── PermissionError        the socket has not the level ``admin``
        └── UnknownServerError     no such backend or server

The names of the last three are those of lighthouse 1.0, which calls `CommandError` `HAProxyControlError`.
"""

from __future__ import annotations

from collections.abc import Mapping

from lighthouse.errors import BalancerError


class NotRunningError(BalancerError):
    """Nothing listens at the socket."""


class NoAnswerError(BalancerError):
    """Something listens at the socket, but gave no complete answer before the deadline."""


class BrokenOffError(NoAnswerError):
    """The connection was closed before the answer was complete."""


class NoAccessError(BalancerError):
    """The permissions of the socket, or of a directory on the way to it, keep us out."""


class UnfinishedError(BalancerError):
    """A reload that was asked for has not ended in time, or has not begun."""


class HeldUpError(BalancerError):
    """No new configuration can come into force. It lies at none of its lines, and what runs is as it was."""


class UnwrittenError(HeldUpError):
    """A file cannot be written; the one that was there is as it was."""


class UndecidedError(HeldUpError):
    """``haproxy -c`` was killed, at its deadline for instance, or could not work; nothing was said about the configuration."""


class LateError(UndecidedError):
    """The time of a reconciliation ended before the judging did; the next one goes on, and nothing is the cause but time."""


class RejectedError(BalancerError):
    """HAProxy refuses a configuration or cannot start with it; the text is its own reason, on one line.

    ``places`` tells what it says about which section, by the section's header, as far as it names one.
    """

    def __init__(self, text: str, places: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.places: Mapping[str, str] = places or {}


class UnjudgedError(RejectedError):
    """Nothing was said about our file: HAProxy stops at one of its owner's, which it refuses or we may not read."""


class UnstartedError(RejectedError):
    """HAProxy has accepted a configuration and could not start with it; its old processes serve on.

    Where it could not listen they refused all connections meanwhile, for two seconds.
    """


class EndedError(RejectedError):
    """HAProxy has accepted a configuration and ended at once with it, its old processes too."""


class TakenError(RejectedError):
    """Another program has a port that is needed; it may be free at any moment."""


class CommandError(BalancerError):
    """HAProxy refuses a command; the text is its answer."""


HAProxyControlError = CommandError


class UnknownCommandError(CommandError):
    """HAProxy, of this version, has no such command."""


class PermissionError(CommandError):  # noqa: A001  the name of lighthouse 1.0, which callers import from here
    """The socket does not grant the level ``admin``."""


class UnknownServerError(CommandError):
    """No such backend or server."""
