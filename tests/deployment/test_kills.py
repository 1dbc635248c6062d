"""A site, then the coordinator, killed in the middle of a run over TLS."""

from __future__ import annotations

import pytest
from rich.console import Console

from simulations.benchmarks import kills

pytestmark = [pytest.mark.deployment, pytest.mark.timeout(600)]


def test_a_killed_site_and_a_killed_coordinator_cost_no_tree() -> None:
    found = kills.run(Console(quiet=True), kills=2)
    assert found["survived"] == found["kills"] == 2
