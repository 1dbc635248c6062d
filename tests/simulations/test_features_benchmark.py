"""The features benchmark compares like with like: the same films, the same network, in the same run."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

torch = pytest.importorskip("torch", reason="the extra 'encoders' is not installed")
pytest.importorskip("skimage")

from simulations.benchmarks import features, images  # noqa: E402


def test_it_prints_the_figures_it_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "draw", lambda seed, real=images.draw: real(seed, 300, 360))
    monkeypatch.setattr(features.Runtimes, "fastest", lambda _, encoder, *rest, rows: lambda one: encoder(*one).numpy())
    console = Console(record=True, width=160, file=io.StringIO())
    with torch.inference_mode():
        found = features.run(console, films=2, repeats=1)
    text = console.export_text()
    assert found["gain"] == pytest.approx(found["ours"] / found["usual"])  # type: ignore[operator]
    assert 0.9 < found["cosine"] <= 1  # type: ignore[operator]
    assert f"{found['gain']:.1f}" in text
    assert "aim:" in text


def test_both_ways_read_the_same_film(tmp_path: Path) -> None:
    from client.preprocessing.images import Form, prepare

    images.write_jpeg(images.draw(4, 800, 900), tmp_path / "a.jpeg")
    usual, ours = features.read_usually(tmp_path / "a.jpeg"), prepare(tmp_path / "a.jpeg", 1, Form())
    assert usual.shape == ours.shape == (1, 224, 224)
    assert np.abs(usual - ours).mean() < 10
