"""Eighteen findings beside the embedding: torchxrayvision's layout, its operating points, exact under autocast."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the extra 'encoders' is not installed")

from common.encoders.base import Settings, Shape  # noqa: E402
from common.encoders.densenet121 import build as build_plain  # noqa: E402
from common.encoders.densenet121 import load_pretrained as load_plain  # noqa: E402
from common.encoders.densenet121_findings import COLUMNS, Findings, at_points, build, load_pretrained  # noqa: E402
from common.exceptions import ModelError  # noqa: E402
from common.network_stages import EncoderStage, FeaturesStage  # noqa: E402
from common.networks.building import build as build_network  # noqa: E402
from common.networks.building import feature_columns  # noqa: E402
from common.networks.sharing import learnt  # noqa: E402

SHAPE, SETTINGS = Shape(1, (32, 32)), Settings(dropout=0.0)


@cache
def drawn() -> dict[str, torch.Tensor]:
    """As a file in torchxrayvision's layout; scores far from 0 and 1."""
    torch.manual_seed(4)
    made = build(SHAPE, SETTINGS).state_dict()
    classifier = {"classifier.weight": made["classifier.weight"] / 9000, "classifier.bias": torch.linspace(-2, 2, 18)}
    return {name: value for name, value in {**made, **classifier}.items() if name != "points"}


def state(**extra: torch.Tensor) -> dict[str, torch.Tensor]:
    return {**drawn(), **extra}


@pytest.fixture(scope="module")
def film() -> torch.Tensor:
    return torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(1)) * 2048 - 1024


def filled(given: dict[str, torch.Tensor]) -> Findings:
    network = build(SHAPE, SETTINGS).eval()
    load_pretrained(network, given)
    return network


def test_names_are_torchxrayvisions_in_its_order() -> None:
    assert len(COLUMNS) == len(set(COLUMNS)) == 18
    assert (COLUMNS[0], COLUMNS[8], COLUMNS[17]) == ("Atelectasis", "Pneumonia", "Enlarged Cardiomediastinum")


def test_the_embedding_comes_first_and_then_the_classifiers_scores(film: torch.Tensor) -> None:
    plain = build_plain(SHAPE, SETTINGS).eval()
    load_plain(plain, state())
    with torch.inference_mode():
        found, embedding = filled(state())(film), plain(film)
    torch.testing.assert_close(found[:, :1024], embedding)
    expected = (embedding @ state()["classifier.weight"].T + state()["classifier.bias"]).sigmoid()
    torch.testing.assert_close(found[:, 1024:], expected, atol=1e-6, rtol=1e-6)


def test_operating_points_of_the_file_are_used(film: torch.Tensor) -> None:
    points = torch.linspace(0.1, 0.9, 18)
    points[3] = torch.nan
    with torch.inference_mode():
        plain, bent = (filled(given)(film)[:, 1024:] for given in (state(), state(op_threshs=points)))
    assert (bent[:, 3] == 0.5).all()
    others = [place for place in range(18) if place != 3]
    torch.testing.assert_close(bent[:, others], at_points(plain[:, others], points[others]), atol=1e-6, rtol=0)
    assert not torch.allclose(plain[:, others], bent[:, others], atol=0.05)


def test_points_by_hand() -> None:
    found = at_points(torch.tensor([[0.1, 0.2, 0.6, 0.9]]), torch.tensor([0.2, 0.2, 0.2, 0.0]))
    torch.testing.assert_close(found, torch.tensor([[0.25, 0.5, 0.75, 0.5]]))


@given(st.floats(0.01, 0.99), st.floats(0, 1), st.floats(0, 1))
def test_points_keep_the_order_and_the_ends(point: float, one: float, other: float) -> None:
    chances = torch.tensor([sorted((one, other))], dtype=torch.float64).T
    low, high = at_points(chances, torch.tensor([point], dtype=torch.float64))[:, 0].tolist()
    assert 0 <= low <= high <= 1
    assert (high >= 0.5) == (max(one, other) >= point) or abs(max(one, other) - point) < 1e-12


def test_scores_are_not_rounded_by_autocast(film: torch.Tensor) -> None:
    """Of the embedding as it came out of autocast, the scores are those of single precision."""
    network = filled(state())
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        found = network(film)
    expected = (found[:, :1024] @ state()["classifier.weight"].T + state()["classifier.bias"]).sigmoid()
    torch.testing.assert_close(found[:, 1024:], expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    "wrong",
    [
        {"classifier.weight": torch.zeros(17, 1024)},
        {"classifier.weight": None, "classifier.bias": None},
        {"op_threshs": torch.ones(18)},
        {"op_threshs": torch.full((18,), -0.1)},
        {"op_threshs": torch.full((3,), 0.5)},
    ],
)
def test_other_weights_are_refused(wrong: dict[str, torch.Tensor | None]) -> None:
    with pytest.raises(ModelError):
        filled({name: value for name, value in {**state(), **wrong}.items() if value is not None})


def test_columns_are_named_by_finding_and_points_never_travel() -> None:
    fields = {"kind": "encoder", "name": "x", "rounds": 1, "width": 16, "size": 32}
    stage = EncoderStage(**fields, encoders={"images": "densenet121_findings", "table": "tabular"})  # type: ignore[arg-type]
    network = build_network(stage, {"table": ("age", "sodium")}, 1, seed=1, fold=0)
    features = FeaturesStage(kind="features", name="film", encoder="x")
    names = feature_columns(features, stage, network.widths, ("mortality",))
    assert len(set(names)) == len(names) == network.head.in_features == 1024 + 18 + 16
    assert names[:2] == ("0", "1")
    assert names[1024:1042] == COLUMNS
    assert (names[1042], names[-1]) == ("1042", "1057")
    assert not any(name.endswith("points") for name in learnt(network))
