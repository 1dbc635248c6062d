"""Adapters inside a frozen encoder, trained with noise, from the plan to trees and predictions. SYNTHETIC."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the extra 'encoders' is not installed")

from safetensors.torch import load_file  # noqa: E402

from client.datasets.base import ALL  # noqa: E402
from client.predicting.predicting import of_folder, of_kit  # noqa: E402
from common.encoders.base import Settings, Shape, find  # noqa: E402
from common.exceptions import PlanError  # noqa: E402
from common.networks.building import require  # noqa: E402
from common.networks.pretrained import digest_as  # noqa: E402
from common.plan import read  # noqa: E402
from tests.reading import cache_in  # noqa: E402
from tests.simulations.one_hospital import BEGINNING, generated, predicted, study  # noqa: E402

ENCODER = "densenet121"
PLAN = (
    'name = "adapted"\ntitle = "Adapters, and records"'
    + BEGINNING
    + """
[[stages]]
kind = "encoder"
name = "films"
encoders = {{ images = "densenet121" }}
frozen = ["images"]
pretrained = {{ images = "{digest}" }}
adapters = 4
rounds = 2
size = 32
[stages.training]
learning_rate = 0.002
[stages.privacy]
noise_multiplier = 1.0
delta = 1e-3
sample_rate = 0.5
steps = 2
[[stages]]
kind = "features"
name = "cxr"
encoder = "films"
[[stages]]
kind = "boosting"
strategy = "fedxgb_bagging"
name = "both"
rounds = 2
inputs = ["table", "cxr"]
[[stages]]
kind = "evaluate"
share = "curves"
bootstraps = 100
"""
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a file of weights, drawn at random, whose normalisation knows the statistics of some films."""
    torch.manual_seed(1)
    encoder = find(ENCODER).build(Shape(1), Settings(dropout=0.0))
    with torch.no_grad():
        encoder.train()(torch.rand(16, 1, 32, 32) * 2048 - 1024)
    file = tmp_path_factory.mktemp("weights") / "densenet.pth"
    torch.save(dict(encoder.state_dict()), file)
    return file


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generated(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, data: Path, weights: Path) -> Path:
    plan = tmp_path_factory.mktemp("study") / "films.toml"
    plan.write_text(PLAN.format(digest=digest_as(ENCODER, torch.load(weights, weights_only=True))))
    return study(plan, data, **{ENCODER: weights})


def test_the_head_and_the_adapters_are_released_and_nothing_of_the_backbone(run: Path) -> None:
    released = load_file(next(run.glob("films-seed*.safetensors")))
    adapters = [f"encoders.images.adapters.{level}.{part}.weight" for level in range(4) for part in ("down", "up")]
    assert sorted(released) == sorted(["head.weight", "head.bias", *adapters])
    assert all(tensor.abs().max() > 0 for tensor in released.values()), "the way back began with zeros"


def test_predictions_agree_with_and_without_a_kit(run: Path, data: Path, weights: Path, tmp_path: Path) -> None:
    of_kit(run, run / "sites" / "hospital-1", tmp_path / "kit.csv")
    cache = cache_in(tmp_path / "cache")
    of_folder(run, data / "hospital-1", None, ALL, cache, tmp_path / "data.csv", weights={ENCODER: weights})
    found, same = predicted(tmp_path / "kit.csv"), predicted(tmp_path / "data.csv")
    assert {model for _, _, model in found} == {"films", "both"}
    assert found.keys() == same.keys()
    assert max(abs(found[row] - same[row]) for row in found) <= 1e-6
    assert len({round(value, 6) for (_, _, model), value in found.items() if model == "films"}) > 3


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('frozen = ["images"]\npretrained = { images = "D" }', "", "'adapters' stand inside 'frozen' encoders"),
        ("adapters = 4", "adapters = 300", "adapters"),
        ("adapters = 4", "adapters = -1", "adapters"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    digest = "0" * 64
    text = PLAN.format(digest=digest)
    (tmp_path / "adapted.toml").write_text(text.replace(old.replace('"D"', f'"{digest}"'), new))
    assert tomllib.loads((tmp_path / "adapted.toml").read_text()) != tomllib.loads(text)
    with pytest.raises(PlanError, match=said):
        read(str(tmp_path / "adapted.toml"))


def test_findings_are_not_adapted(tmp_path: Path) -> None:
    (tmp_path / "adapted.toml").write_text(PLAN.format(digest="0" * 64).replace("densenet121", "densenet121_findings"))
    with pytest.raises(PlanError, match="findings of densenet121_findings would be findings no more"):
        require(read(str(tmp_path / "adapted.toml")).encoder("films"))
