"""Setting up logging in a process."""

from __future__ import annotations

import contextlib
import logging
from typing import Any

from lighthouse.identity import shown
from lighthouse.log import ContextFilter
from lighthouse.log.formatter import LineFormatter

log = logging.getLogger(__name__)

_configured = False
"""Whether a configuration was applied in this process, which another one, or none, has to undo."""


def configure(program: str, config: dict[str, Any] | None = None) -> None:
    """Log as `config`, the content of ``logging.yaml``, says, or else to standard error; `program` names this process.

    `config` is for `logging.config.dictConfig`; ``version`` may be left out, and loggers that exist stay enabled unless it says
    otherwise. A `config` that is refused is logged as an error, to standard error, and never raises.
    """
    ContextFilter.program = program
    global _configured  # noqa: PLW0603 - logging itself is global to a process
    if _configured:
        _forget()
        _configured = False
    if config is None:
        _log_to_stderr()
        return
    _configured = True
    try:
        from logging.config import dictConfig

        dictConfig({"version": 1, "disable_existing_loggers": False, **config})
    except Exception as error:  # noqa: BLE001 - it calls the factories that the file names, which may raise anything; logs go on
        _forget()
        _log_to_stderr()
        log.error("logging.yaml is refused, so that logs go to standard error: %s", _reason(error))


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]  # a forked process inherits its parent's, which are its parent's to close
    if (
        root.level != logging.INFO
    ):  # setting it visits every logger, whose pages a forked process would then no longer share
        root.setLevel(logging.INFO)


def _forget() -> None:
    """Undo what a half-done configuration left on any logger."""
    root = logging.getLogger()
    others = [logger for logger in root.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
    for logger in (root, *others):
        for handler in list(logger.handlers):
            logger.removeHandler(handler)
            with contextlib.suppress(Exception):  # a handler from outside; it is out of use whatever it says
                handler.close()
        logger.filters.clear()
        logger.setLevel(logging.NOTSET)
        logger.propagate = True
        logger.disabled = False


def _reason(error: BaseException) -> str:
    """What went wrong, with its cause: dictConfig tells only the name of the part in the outer message."""
    text = f"{type(error).__name__}: {error}"
    if error.__cause__ is not None:
        text += f", because of {_reason(error.__cause__)}"
    return shown(text, 300)
