"""The own name and addresses of a discovery worker, kept fresh while everything else goes on.

They are looked up on a lane of their own. A resolver may be slow, away or hang for ever: that delays and changes nothing, and
the status says so. A worker that is started meanwhile goes on with what its predecessor reported.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from lighthouse.ipc.errors import ProtocolError
from lighthouse.ipc.messages import unpack
from lighthouse.workers.announcing import Addresses, find_addresses
from lighthouse.workers.lanes import Outcome
from lighthouse.workers.plugins import why
from lighthouse.workers.runtime import Runtime

LANE = "address"
RETRY = 1.0  # seconds after a look that found not everything
PERIOD = 60.0  # seconds; interfaces and names get other addresses while we run
SLOW = 20.0  # seconds until it is said that no answer came
FOR_EVER = 10 * 365 * 86400.0  # seconds; a hanging resolver is no reason to end a worker that does the rest of its work

log = logging.getLogger(__name__)


class OwnAddress:
    """``addresses`` is what is known, None before anything is; ``problem`` why not more. `changed` is called after each look."""

    def __init__(self, runtime: Runtime, changed: Callable[[], None]) -> None:
        self._runtime = runtime
        self._changed = changed
        self._config: Mapping[str, Any] = {}
        self._asked: Any = None
        self._looking = False
        self.addresses: Addresses | None = None
        self.problem: str | None = None

    def remember(self, report: bytes) -> None:
        """Begin with what an earlier generation reported."""
        try:
            self.addresses = Addresses.reported(unpack(report))
        except (AttributeError, KeyError, ProtocolError, TypeError):
            log.warning("the addresses that the earlier generation reported cannot be read")

    def configure(self, config: Mapping[str, Any]) -> None:
        """Look for what `config` needs, if that is something else than before."""
        self._config = config
        services = config.get("services", ())
        asked = services and [config["hostname"], config["advertise"], {i["name"]: i["advertise"] for i in services}]
        if asked != self._asked:
            self._asked = asked
            self._look()

    @property
    def pending(self) -> bool:
        """Whether nothing is known yet, and a look is under way."""
        return self._looking and self.addresses is None

    def stop(self, *, wait: bool) -> None:
        """Look no more; but with `wait`, one that is `pending` goes on."""
        if not (wait and self.pending):
            self.configure({})

    def _look(self) -> None:
        self._runtime.lanes.abandon(LANE)  # what hangs there has nothing to say any more
        self._looking = bool(self._asked)
        if not self._asked:
            self._runtime.cancel(LANE)
            self.problem = None
            return
        asked = self._asked
        self._runtime.call(
            "find the own address",
            partial(find_addresses, self._config),
            partial(self._found, asked),
            lane=LANE,
            allowed=FOR_EVER,
        )
        self._runtime.after(SLOW, self._late, name=LANE)

    def _late(self) -> None:
        self._tell(f"the resolver has not told the address of this host for {SLOW:g} s, and is still waited for")

    def _found(self, asked: Any, outcome: Outcome) -> None:
        """What is not found is looked for again soon, and what is known changes only to something else that is."""
        if asked is not self._asked:
            return
        self._looking = False
        if outcome.error is None:
            found = outcome.value.after(self.addresses)
            if found != self.addresses:
                log.info("announcing as %s: %s", found.hostname, found.report())
            self.addresses = found
            problem = "; ".join(found.problems) or None
        else:
            problem = why(outcome.error)
        self._runtime.after(RETRY if problem else PERIOD, self._look, name=LANE)
        self._tell(problem)

    def _tell(self, problem: str | None) -> None:
        self.problem = problem
        self._changed()
