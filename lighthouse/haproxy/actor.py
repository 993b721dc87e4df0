"""What all who bring a configuration into force work with."""

from __future__ import annotations

from lighthouse.haproxy.deadline import Deadline
from lighthouse.haproxy.outcome import Account
from lighthouse.haproxy.proposals import Proposals
from lighthouse.haproxy.reader import Reader
from lighthouse.haproxy.tools import Tools


class Actor:
    """Acts in one reconciliation, within its deadline, and notes what it did in its account."""

    def __init__(
        self, tools: Tools, account: Account, reader: Reader, proposals: Proposals, deadline: Deadline
    ) -> None:
        self._tools = tools
        self._account = account
        self._reader = reader
        self._proposals = proposals
        self._deadline = deadline
