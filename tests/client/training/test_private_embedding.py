"""Under differential privacy no patient has a say in how another's film is embedded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'encoders' is not installed")

from client.features import runtimes  # noqa: E402
from client.features.embedding import Means  # noqa: E402
from client.features.runtimes import Runtimes  # noqa: E402
from client.features.shelf import Shelf  # noqa: E402
from client.inputs.table import TableInput  # noqa: E402
from client.training.examples import Examples  # noqa: E402
from client.training.preparing import ready  # noqa: E402
from common.clinical.features import Features  # noqa: E402
from common.crypto.at_rest import SiteKey  # noqa: E402
from common.encoders.base import Settings, Shape  # noqa: E402
from common.encoders.network import Network, Part, assemble  # noqa: E402
from common.network_stages import EncoderStage  # noqa: E402

PRIVACY = {"noise_multiplier": 2.0, "delta": 1e-3, "sample_rate": 0.5, "steps": 2}
ROWS = 12


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Make another way always the fastest, just off eager, and count how often it was tried."""
    tried: list[int] = []

    def ways(encoder: Any, batch: Any, *_: Any) -> dict[str, Any]:
        def made() -> Any:
            tried.append(len(batch[0]))
            plain = runtimes._eager(encoder, torch.device("cpu"))
            return lambda given: (plain(given) * np.float32(1.0001)).astype(np.float32)

        return {"nearly": made}

    monkeypatch.setattr(runtimes, "candidates", ways)
    monkeypatch.setattr(runtimes, "_MEASURING", -1.0)
    monkeypatch.setattr(runtimes, "_timed", lambda run, batch: (run(batch), 0.01 if tried else 1.0))
    return tried


def embedded(folder: Path, privacy: dict[str, Any] | None) -> np.ndarray:
    stage = EncoderStage.model_validate(
        {"kind": "encoder", "name": "net", "encoders": {"table": "tabular"}, "frozen": ("table",), "width": 8}
        | {"rounds": 1, "privacy": privacy}
    )
    values = np.random.default_rng(3).normal(139, 5, (ROWS, 2)).astype(np.float32)
    given = TableInput(Features(values, ("sodium", "age"), ("", "")))
    examples = Examples({"table": given}, np.zeros((ROWS, 1), np.int8), np.array([f"p{row}" for row in range(ROWS)]))
    network: Network = assemble({"table": Part("tabular", Shape(2), Settings(8), True)}, 1, 1)
    means = Means(Shelf(folder, SiteKey(bytes(32))), Runtimes(folder / "runtimes.json"), torch.device("cpu"))
    prepared, _ = ready(examples, network, stage, lambda name: {}, means)
    return prepared.inputs["table"].values


def test_the_first_rows_choose_no_way_for_the_others(tmp_path: Path, measured: list[int]) -> None:
    usual = embedded(tmp_path, None)
    assert measured, "control: without privacy another way is measured and taken"
    tries = len(measured)
    private = embedded(tmp_path, PRIVACY)
    assert len(measured) == tries
    assert not np.array_equal(private, usual), "nor are embeddings taken from the shelf that another way has made"
    np.testing.assert_allclose(private, usual, rtol=1e-3)
    np.testing.assert_array_equal(embedded(tmp_path / "alone", PRIVACY), private)
