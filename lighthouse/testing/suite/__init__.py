"""The whole suite. A plugin's author inherits it and defines the fixture ``registry``."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    *(
        f"lighthouse.testing.suite.{part}"
        for part in ("announcing", "common", "generations", "mass_loss", "outages", "watching")
    )
)

# After the line above, so that a failed assertion shows its values.
from lighthouse.testing.suite.announcing import Announcing  # noqa: E402
from lighthouse.testing.suite.generations import Generations  # noqa: E402
from lighthouse.testing.suite.mass_loss import MassLoss  # noqa: E402
from lighthouse.testing.suite.outages import Outages  # noqa: E402
from lighthouse.testing.suite.watching import Watching  # noqa: E402


class DiscoverySuite(Announcing, Watching, Generations, Outages, MassLoss):
    """All that a discovery owes; see docs/plugins.md for how to run it."""
