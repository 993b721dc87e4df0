"""A plugin's configuration as its worker gets it: judged by the declared options, with defaults."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

from lighthouse.config.document import parse
from lighthouse.config.problems import Problems
from lighthouse.config.schema import Schema
from lighthouse.workers.plugins import load


def judged(reference: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Raises what the plugin raises, or `lighthouse.config.problems.RefusedError`."""
    plugin = load(reference)
    problems = Problems("configuration of the plugin under test", parse(json.dumps(config, indent=1)))
    schema = Schema(plugin.options or {}, open_ended=plugin.options is None)
    values = schema.read(dict(config), problems)
    problems.raise_any()
    plugin.validate_config(copy.deepcopy(values))
    return values or {}
