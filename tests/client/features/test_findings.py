from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the extra 'encoders' is not installed")

from client.features.findings import at_points, classifier  # noqa: E402
from common.encoders.densenet121 import FINDINGS, Findings  # noqa: E402
from common.exceptions import ModelError  # noqa: E402


def state(**extra: torch.Tensor) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(3)
    weight, bias = torch.randn(18, 1024, generator=draw) / 9000, torch.randn(18, generator=draw)
    return {"classifier.weight": weight, "classifier.bias": bias, **extra}


def test_points_by_hand() -> None:
    found = at_points(np.array([[0.1, 0.2, 0.6, 0.9]]), np.array([0.2, 0.2, 0.2, np.nan]))
    np.testing.assert_allclose(found, [[0.25, 0.5, 0.75, 0.5]])


@given(st.floats(0.01, 0.99), st.floats(0, 1), st.floats(0, 1))
def test_points_keep_the_order_and_the_ends(point: float, one: float, other: float) -> None:
    low, high = at_points(np.array([sorted((one, other))]).T, np.array([point]))[:, 0]
    assert 0 <= low <= high <= 1
    assert (high >= 0.5) == (max(one, other) >= point) or abs(max(one, other) - point) < 1e-12


def test_scores_against_the_network_with_its_classifier() -> None:
    network = Findings().eval()
    network.load_state_dict({**network.state_dict(), **state()})
    with torch.inference_mode():
        embedding, logits = network.findings(torch.rand(2, 1, 32, 32) * 2048 - 1024)
    found = classifier(state()).scores(embedding.numpy())
    assert found.shape == (2, len(FINDINGS))
    np.testing.assert_allclose(found, logits.sigmoid().numpy(), atol=1e-5)


def test_operating_points_of_the_file_are_used() -> None:
    points = torch.linspace(0.1, 0.9, 18)
    points[3] = torch.nan
    embedding = np.random.default_rng(1).random((5, 1024)).astype(np.float32)
    plain, bent = classifier(state()), classifier(state(op_threshs=points))
    expected = at_points(plain.scores(embedding).astype(np.float64), points.double().numpy())
    np.testing.assert_allclose(bent.scores(embedding), expected, atol=1e-6)
    assert (bent.scores(embedding)[:, 3] == 0.5).all()


@pytest.mark.parametrize(
    "wrong",
    [{}, {"classifier.weight": torch.zeros(17, 1024)}, {"op_threshs": torch.zeros(18)}, {"op_threshs": torch.ones(3)}],
)
def test_other_layers_are_refused(wrong: dict[str, torch.Tensor]) -> None:
    with pytest.raises(ModelError):
        classifier({**state(), **wrong} if wrong else {})
