"""The benchmark of private steps: both ways train the same network on the same batch, and the figures add up."""

from __future__ import annotations

import io

import pytest
import torch
from rich.console import Console

from client.training import gradient, private
from simulations.benchmarks import dp


@pytest.fixture
def two_threads():
    """Compute with another number of threads than the benchmark."""
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


@pytest.mark.usefixtures("two_threads")
def test_it_prints_the_figures_it_returns():
    console = Console(record=True, width=160, file=io.StringIO())
    cases = {
        "small table": dp.Case("tabular", 4, (3,), aim=1e9),
        "small series": dp.Case("lstm", 4, (5, 2), aim=1e-9),
        "irregular series": dp.Case("ssm", 4, (5, 2)),
        "frozen films": dp.Case("densenet121", 2, (32, 32), frozen=True),
        "adapted films": dp.Case("densenet121", 2, (32, 32), frozen=True, adapters=4),
    }
    found = dp.run(console, cases, repeats=1)
    text = console.export_text()
    assert list(found) == list(cases)
    for figures in found.values():
        assert figures["ratio"] == pytest.approx(figures["private"] / figures["plain"])
        assert all(f"{figures[name]:.4f}" in text for name in ("plain", "private"))
    assert "small table: at most 1e+09 plain steps: met" in text
    assert "small series: at most 1e-09 plain steps: missed" in text
    assert torch.get_num_threads() == 2


def test_both_ways_see_the_whole_batch_and_take_the_same_steps(monkeypatch):
    steps = {"plain": [], "private": []}
    monkeypatch.setattr(gradient, "_adjust", lambda trained, *_: steps["plain"].append(len(trained)), raising=True)
    real = private.clipped_sum

    def summed(hooked, losses, records, *others):
        steps["private"].append(len(records))
        return real(hooked, losses, records, *others)

    monkeypatch.setattr(private, "clipped_sum", summed)
    dp.measure(dp.Case("tabular", 4, (3,)), repeats=2)
    assert len(steps["plain"]) == len(steps["private"]) == 3 * dp.STEPS
    assert set(steps["private"]) == {4}
