"""A batch divided over several devices gives the step of the whole; the processor, twice, stands for two cards."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from client.inputs.table import TableInput
from client.settings import SiteSettings
from client.training.devices import devices
from client.training.examples import Examples
from client.training.gradient import Controls, Schedule, train
from common.clinical.features import Features
from common.encoders.base import Settings, Shape
from common.encoders.network import Network, Part, assemble
from common.exceptions import ConfigurationError

CPU = torch.device("cpu")
RNG = np.random.default_rng(5)
N = 61
VALUES = RNG.normal(139, 5, (N, 2)).astype(np.float32)
LABELS = (VALUES[:, :1] > 139).astype(np.int8)
EXAMPLES = Examples(
    {"table": TableInput(Features(VALUES, ("sodium", "age"), ("", "")))}, LABELS, np.array([f"p{i}" for i in range(N)])
)


def trained(parts: int, schedule: Schedule, *, controls: Controls | None = None) -> Network:
    built = assemble({"table": Part("tabular", Shape(2), Settings(8, 1, 0.0))}, labels=1, seed=1)
    train(built, EXAMPLES, np.arange(N), schedule, seed=3, devices=[CPU] * parts, controls=controls)
    return built


def flat(module: nn.Module) -> np.ndarray:
    return np.concatenate([value.detach().numpy().ravel() for value in module.state_dict().values()])


@pytest.mark.parametrize("parts", [2, 3, 70])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_divided_or_whole_the_steps_are_the_same(parts: int, optimizer: str) -> None:
    """With more devices than rows, too; the last batch of an epoch is of one row."""
    schedule = Schedule(epochs=2, batch_size=20, learning_rate=0.01, optimizer=optimizer, proximal=0.1)  # type: ignore[arg-type]
    np.testing.assert_allclose(flat(trained(parts, schedule)), flat(trained(1, schedule)), atol=2e-6)


def test_each_device_computes_its_part(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    batch = Examples.batch
    monkeypatch.setattr(
        Examples, "batch", lambda self, rows, device: seen.append(len(rows)) or batch(self, rows, device)
    )
    trained(2, Schedule(epochs=1, batch_size=20, learning_rate=0.01))
    assert seen == [10, 10, 10, 10, 10, 10, 1]


def test_a_device_is_named_once_and_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert devices("cuda:1,cuda:0") == (torch.device("cuda:1"), torch.device("cuda:0"))
    assert devices("cuda") == devices("auto") == (torch.device("cuda:0"),)
    assert devices("cpu") == (CPU,)
    for setting, told in (
        ("cuda:2", "has 2 CUDA"),
        ("cuda,cuda:0", "names a device twice"),
        ("cuda:0,cuda:5", "has 2"),
    ):
        with pytest.raises(ConfigurationError, match=told):
            devices(setting)


@pytest.mark.parametrize("setting", ["auto,cuda:1", "cpu,cuda:0", "cuda:0,", "gpu", "cuda:0,cpu"])
def test_what_is_no_list_of_cards_is_no_setting(setting: str) -> None:
    data = {"source": "eicu", "folder": "tables"}
    with pytest.raises(ValueError, match="device"):
        SiteSettings.model_validate({"name": "alder", "data": data, "device": setting})
    assert SiteSettings.model_validate({"name": "alder", "data": data, "device": "cuda:0,cuda:1"}).device
