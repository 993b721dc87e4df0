"""What one balancer keeps between two reconciliations: its hands and its memory."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field

from lighthouse.haproxy.config import HAProxyConfig
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.drain import Drain
from lighthouse.haproxy.drift import Drift
from lighthouse.haproxy.files import ConfigFile
from lighthouse.haproxy.lifecycle import Lifecycle
from lighthouse.haproxy.memory import Memory
from lighthouse.haproxy.options import HAProxySettings, Owner
from lighthouse.haproxy.pace import Pace
from lighthouse.haproxy.ports import Ports
from lighthouse.haproxy.process import HAProxyProcess
from lighthouse.haproxy.refusals import Refusals
from lighthouse.haproxy.resolver import NAMES, Names
from lighthouse.haproxy.service import ServiceLifecycle
from lighthouse.haproxy.sockets import Sockets
from lighthouse.haproxy.stanzas.global_ import stats_maxconn_of
from lighthouse.haproxy.stanzas.section import Section
from lighthouse.haproxy.trial import Trial


@dataclass(frozen=True, slots=True)
class Tools:
    """The means of one balancer: what it renders with, its hands, and what it remembers."""

    config: HAProxyConfig
    control: Sockets
    process: HAProxyProcess
    lifecycle: Lifecycle | ServiceLifecycle
    file: ConfigFile
    refusals: Refusals
    pace: Pace
    drain: Drain
    drift: Drift
    memory: Memory
    names: Names
    trial: Trial = field(default_factory=Trial)
    owner: Owner = Owner.LIGHTHOUSE
    static: dict[str, tuple[Section, str]] = field(default_factory=dict)

    def documents(self) -> list[Document]:
        """What is on disk, and behind it what ran last, should that be lost."""
        return [*self.file.documents(), *filter(None, [self.memory.ran])]

    def ports(self, *own: Document | None, held: bool = False) -> Ports:
        """Who tells where HAProxy can listen, if it listens where `own` do. What it could not start with lately is known."""

        def failed(key: str) -> str | None:
            known = self.refusals.listeners.get(key)
            return known.reason if known else None

        return Ports(*filter(None, own), held=held, failed=failed)

    def learn_static(self, section: Section, reason: str) -> None:
        """HAProxy refused a server at run time for a reason that the lines do not tell: the backend gets slots."""
        self.static[section.header] = section, reason

    def obstacle(self, section: Section) -> str | None:
        """What was learned about a backend with these very lines."""
        known = self.static.get(section.header)
        same = known is not None and (known[0].lines, known[0].template) == (section.lines, section.template)
        return known[1] if known and same else None


def tools_for(settings: HAProxySettings) -> Tools:
    """The means for these settings, with an empty memory."""
    room = stats_maxconn_of(settings.global_lines)
    control = Sockets(settings.socket_file, settings.master_socket_file, room)
    process = HAProxyProcess(settings)
    ours = settings.owner is Owner.LIGHTHOUSE
    return Tools(
        config=HAProxyConfig(settings),
        control=control,
        process=process,
        lifecycle=Lifecycle(control, process) if ours else ServiceLifecycle(settings, control, process),
        file=ConfigFile(settings.config_file),
        refusals=Refusals(files=(*settings.base_files, shutil.which(settings.binary) or settings.binary)),
        pace=Pace(settings.restart_interval, settings.max_old_workers),
        drain=Drain(settings.drain_timeout),
        drift=Drift(),
        memory=Memory(),
        names=NAMES,
        owner=settings.owner,
    )
