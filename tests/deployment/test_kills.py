"""A site, then the coordinator, killed in the middle of a run over TLS."""

from __future__ import annotations

import pytest
from rich.console import Console

from simulations.benchmarks import kills

SITE_THEN_COORDINATOR = 76
"""A seed that kills hospital-1 after a third of a run's time, then the coordinator after a quarter."""

pytestmark = [pytest.mark.deployment, pytest.mark.timeout(600)]


def test_a_killed_site_and_a_killed_coordinator_cost_no_tree() -> None:
    found = kills.run(Console(quiet=True), kills=2, seed=SITE_THEN_COORDINATOR)
    assert found["survived"] == found["kills"] == 2
    assert found["resumed"], "neither kill cut the run"
