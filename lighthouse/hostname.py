"""The name of this host, where the configuration gives none."""

from __future__ import annotations

import socket

from lighthouse.errors import LighthouseError

_NO_SUCH_NAME = {
    socket.gaierror: (socket.EAI_NONAME, socket.EAI_NODATA),
    socket.herror: (1, 4),  # HOST_NOT_FOUND and NO_DATA of netdb.h
}


def own_name() -> str:
    """The fully qualified one. Asks the resolver; raises `LighthouseError` while that fails.

    `socket.getfqdn` gives the short name then. That is another name: what is announced under the full one would be withdrawn.
    And where the resolver says `localhost`, as `/etc/hosts` often has it, it is the kernel's name: all hosts are called that.
    """
    name = socket.gethostname()
    try:
        found, aliases, _ = socket.gethostbyaddr(name)
    except OSError as error:
        if error.errno in _NO_SUCH_NAME.get(type(error), ()):
            return name
        raise LighthouseError(
            f"the full name of this host, {name}, is not known ({error.strerror or error}): "
            "set `hostname` in lighthouse.yaml, or mend the resolver"
        ) from error
    names = [one for one in (found, *aliases) if one.partition(".")[0] != "localhost"]
    return next((full for full in names if "." in full), next(iter(names), name))
