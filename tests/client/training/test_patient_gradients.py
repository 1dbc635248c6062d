"""A patient's gradient is that of all own records, clipped once, however the records are put into batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from opacus.layers import DPLSTM
from torch import Tensor, nn

from client.training import patient_gradients
from client.training.patient_gradients import Losses, clipped_sum, recorded
from common.exceptions import ModelError

RECORDS = 23
OWNERS = np.array([0] * 11 + [1] * 3 + [2] * 1 + [3] * 6 + [4] * 2)
OWN = [np.flatnonzero(patient == OWNERS) for patient in range(5)]


class Series(nn.Module):
    """A recurrent network over three steps."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = DPLSTM(2, 4, batch_first=True)
        self.head = nn.Linear(4, 2)

    def forward(self, values: Tensor) -> Tensor:
        return torch.as_tensor(self.head(self.memory(values.view(-1, 3, 2))[0][:, -1]))


class Own(nn.Module):
    """A layer whose parameter is its own, as in a state space model."""

    def __init__(self) -> None:
        super().__init__()
        self.decay = nn.Parameter(torch.randn(6))

    def forward(self, values: Tensor) -> Tensor:
        return torch.exp(self.decay) * values


def film() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 2, 3)),
        nn.Conv2d(1, 4, 2, padding=1),
        nn.GroupNorm(2, 4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(48, 2),
    )


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "table": lambda: nn.Sequential(nn.Linear(6, 5), nn.LayerNorm(5), nn.Tanh(), nn.Linear(5, 2)),
    "film": film,
    "series": Series,
    "own parameters": lambda: nn.Sequential(Own(), nn.Linear(6, 2)),
}


def problem(name: str, seed: int = 3) -> tuple[nn.Module, Losses]:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = NETWORKS[name]()
        values, labels = torch.randn(RECORDS, 6), torch.randint(0, 2, (RECORDS, 2)).float()

    def losses(called: Callable[..., Any], records: NDArray[np.int64]) -> Tensor:
        logits = called(values[torch.from_numpy(records)])
        each = nn.functional.binary_cross_entropy_with_logits(
            logits, labels[torch.from_numpy(records)], reduction="none"
        )
        return each.sum(1)

    return network, losses


def one_by_one(network: nn.Module, losses: Losses, clipping_norm: float) -> list[Tensor]:
    """The definition: a backward pass a patient, without hooks."""
    total = [torch.zeros_like(parameter) for parameter in network.parameters()]
    for own in OWN:
        network.zero_grad()
        losses(network, own).sum().backward()
        gradients = [parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None]
        norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()
        for summed, gradient in zip(total, gradients, strict=True):
            summed += gradient * min(1.0, clipping_norm / float(norm))
    network.zero_grad()
    return total


def flat(tensors: list[Tensor]) -> Tensor:
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


@pytest.mark.parametrize("at_once", [1, 4, 1000])
@pytest.mark.parametrize("clipping_norm", [0.3, 1e6])
@pytest.mark.parametrize("name", NETWORKS)
def test_sums_are_those_of_one_backward_pass_a_patient(name: str, clipping_norm: float, at_once: int) -> None:
    network, losses = problem(name)
    expected = one_by_one(network, losses, clipping_norm)
    with recorded(network) as hooked:
        found = clipped_sum(hooked, losses, OWN, clipping_norm, at_once)
    assert (flat(found) - flat(expected)).abs().max() <= 1e-5
    assert flat(expected).norm() > 0.1  # not trivially equal


@settings(max_examples=25)
@given(st.floats(1e-3, 10), st.integers(0, 1000), st.sampled_from(["table", "film"]))
def test_no_patient_pulls_more_than_the_bound(clipping_norm: float, seed: int, name: str) -> None:
    network, losses = problem(name, seed)
    with recorded(network) as hooked:
        for own in OWN:
            alone = flat(clipped_sum(hooked, lambda *a: 1000 * losses(*a), [own], clipping_norm, 4)).double()
            assert alone.norm() <= clipping_norm * (1 + 1e-6)
            assert alone.norm() >= clipping_norm * (1 - 1e-5)


def test_clipping_is_a_patients_not_a_records() -> None:
    """Positive control: clipping records, the patient with eleven of them would pull eleven times as far."""
    network, losses = problem("table")
    with recorded(network) as hooked:
        records = [flat(clipped_sum(hooked, losses, [own], 1e-3, 4)).norm() for own in OWN[0].reshape(-1, 1)]
        together = flat(clipped_sum(hooked, losses, [OWN[0]], 1e-3, 4)).norm()
    assert float(together) == pytest.approx(1e-3, rel=1e-5)
    assert float(sum(records)) == pytest.approx(11e-3, rel=1e-5)


def test_nobody_is_a_sum_too() -> None:
    network, losses = problem("table")
    with recorded(network) as hooked:
        found = clipped_sum(hooked, losses, [], 1.0, 4)
    assert [tensor.shape for tensor in found] == [parameter.shape for parameter in network.parameters()]
    assert not flat(found).any()


def test_a_gradient_that_is_not_finite_counts_as_nothing() -> None:
    network, losses = problem("table")

    def broken(called: Callable[..., Any], records: NDArray[np.int64]) -> Tensor:
        return losses(called, records) * torch.from_numpy(np.where(OWNERS[records] == 1, np.inf, 1.0)).float()

    with recorded(network) as hooked:
        found = flat(clipped_sum(hooked, broken, OWN, 1.0, 4))
        others = flat(clipped_sum(hooked, losses, [OWN[k] for k in (0, 2, 3, 4)], 1.0, 4))
    assert found.isfinite().all()
    assert (found - others).abs().max() <= 1e-6


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_one_infinite_number_is_enough_to_count_as_nothing(value: float) -> None:
    gradients = torch.tensor([[value, 1.0], [3.0, 4.0]])
    (added,) = patient_gradients._clipped([gradients], 1.0)
    assert added.tolist() == pytest.approx([0.6, 0.8])


def test_memory_is_bounded_by_physical_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    network, losses = problem("table")
    seen: list[int] = []
    groups: list[int] = []

    def counted(called: Callable[..., Any], records: NDArray[np.int64]) -> Tensor:
        seen.append(len(records))
        return losses(called, records)

    inner = patient_gradients._summed
    monkeypatch.setattr(patient_gradients, "_summed", lambda *a: groups.append(len(a[2])) or inner(*a))
    with recorded(network) as hooked:
        clipped_sum(hooked, counted, OWN, 1.0, 4)
    assert sum(seen) == RECORDS
    assert max(seen) == 4
    assert groups == [1, 2, 1, 1]  # 11 | 3 + 1 | 6 | 2


def test_frozen_parameters_get_nothing_and_stay() -> None:
    network, losses = problem("table")
    first = network[0]
    for parameter in first.parameters():
        parameter.requires_grad = False
    with recorded(network) as hooked:
        found = clipped_sum(hooked, losses, OWN, 1e6, 4)
    assert len(found) == 4
    assert all(parameter.grad is None for parameter in first.parameters())


def test_a_part_that_no_record_reaches_gets_zero() -> None:
    network, losses = problem("table")
    both = nn.ModuleDict({"used": network, "unused": nn.Linear(3, 3)})
    both.forward = lambda values: both["used"](values)  # type: ignore[method-assign]
    with recorded(both) as hooked:
        found = clipped_sum(hooked, losses, OWN, 1e6, 4)
    assert [bool(tensor.any()) for tensor in found][-2:] == [False, False]
    assert all(tensor.any() for tensor in found[:-2])


def test_the_network_is_left_as_it_was() -> None:
    network, losses = problem("table")
    names = list(network.state_dict())
    with recorded(network) as hooked:
        clipped_sum(hooked, losses, OWN, 1.0, 4)
    assert list(network.state_dict()) == names
    assert not any(hasattr(parameter, "grad_sample") for parameter in network.parameters())
    assert not any(module._forward_hooks or module._backward_hooks for module in network.modules())


class Half(nn.Module):
    """Shows its layer half of the records."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 2)

    def forward(self, values: Tensor) -> Tensor:
        shown = self.layer(values[: len(values) // 2])
        return torch.cat([shown, torch.zeros(len(values) - len(shown), 2)])


class Aside(nn.Module):
    """Uses a layer's parameter without calling the layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 2)

    def forward(self, values: Tensor) -> Tensor:
        return nn.functional.linear(values, self.layer.weight)


@pytest.mark.parametrize("network", [Half(), Aside()])
def test_gradients_that_are_not_a_records_are_refused(network: nn.Module) -> None:
    _, losses = problem("table")
    with recorded(network) as hooked, pytest.raises(ModelError, match="outside its layer"):
        clipped_sum(hooked, losses, OWN, 1.0, 100)


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(6), nn.LSTM(6, 2)])
def test_layers_without_a_gradient_a_record_are_refused(layer: nn.Module) -> None:
    with pytest.raises(ModelError, match="differential privacy"), recorded(nn.Sequential(nn.Linear(6, 6), layer)):
        pass
