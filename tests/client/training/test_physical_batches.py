"""Gradients of single records of a large network fit into memory, whatever batch a plan asks for."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the extra 'encoders' is not installed")

from client.training import private_round  # noqa: E402
from client.training.private_round import MOST_GRADIENTS, records_at_once  # noqa: E402


def network(trained, resting=0):
    sides = {"trained": (trained, True), "resting": (resting, False)}
    return torch.nn.ModuleDict(
        {
            name: torch.nn.Linear(size, 1, bias=False).requires_grad_(learns)
            for name, (size, learns) in sides.items()
            if size
        }
    )


@pytest.mark.parametrize(("parameters", "wanted", "records"), [(10, 64, 64), (1 << 20, 10_000, 256), (1 << 26, 64, 4)])
def test_a_large_network_has_fewer_records_at_once(parameters, wanted, records):
    with torch.device("meta"):
        found = records_at_once(network(parameters), wanted)
    assert found == records
    assert found * 4 * parameters <= MOST_GRADIENTS


def test_one_record_is_always_taken(monkeypatch):
    monkeypatch.setattr(private_round, "MOST_GRADIENTS", 100)
    assert records_at_once(network(1000), 64) == 1


def test_what_rests_has_no_gradients(monkeypatch):
    monkeypatch.setattr(private_round, "MOST_GRADIENTS", 400)
    assert records_at_once(network(10, resting=100_000), 64) == 10
    assert records_at_once(network(0), 64) == 64
