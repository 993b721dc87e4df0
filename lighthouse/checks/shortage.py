"""What this host lacks, as against what is wrong with the service: such a check counts for nothing."""

from __future__ import annotations

import errno

from lighthouse.errors import ResourceError

_SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})


def shortage(error: BaseException, *more: int) -> ResourceError | None:
    """The error to raise instead where an `OSError` tells of a shortage on this host; `more` are codes that mean one here."""
    if not isinstance(error, OSError) or error.errno not in (*_SHORT, *more):
        return None
    return ResourceError(f"this host is short of descriptors, memory or processes ({error.strerror}): see its limits")
