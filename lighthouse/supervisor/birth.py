"""What a worker's next generation is born with."""

from __future__ import annotations

from lighthouse.ipc.boot import Boot, handover_topic
from lighthouse.supervisor.core import Core
from lighthouse.supervisor.place import Place


def birth(core: Core, name: str, place: Place) -> Boot:
    """Begin the next generation of a worker: its identity, configuration, deadlines, and the state that is kept for it."""
    worker, settings = core.workers[name], core.settings
    return Boot(
        id=name,
        kind=worker.spec.kind,
        generation=core.lives.next_generation(name),
        config=worker.blob,
        kept=core.store.birthright(core.plan, worker.spec),
        handover=core.store.snapshots.get(handover_topic(name), b""),
        heartbeat=settings.heartbeat.interval,
        call_deadline=settings.deadlines.call,
        log_path=str(place.log_path(name)),
        log_max_bytes=settings.logs.max_bytes,
        log_backups=settings.logs.backups,
    )
