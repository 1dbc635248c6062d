"""The image benchmark compares like with like: the same films, the same cut, in the same run."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from simulations.benchmarks import images


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Films of a third of the sides."""
    monkeypatch.setattr(images, "draw", lambda seed, real=images.draw: real(seed, 833, 1000))


def test_it_prints_the_figures_it_returns(small: None) -> None:
    console = Console(record=True, width=160, file=io.StringIO())
    found = images.run(console, films=2, repeats=1)
    text = console.export_text()
    assert list(found) == ["JPEG", "DICOM"]
    for figures in found.values():
        assert isinstance(figures, dict)
        assert figures["gain"] == pytest.approx(figures["one worker"] / figures["whole"])
        assert 0 < figures["mean off"] < 10
        assert figures["mean off"] <= figures["most off"] < 80
        for name in ("whole", "one worker", "gain", "mean off", "most off"):
            assert f"{figures[name]:.1f}" in text
    assert text.count("aim for") == 2


def test_both_ways_read_what_was_drawn(tmp_path: Path) -> None:
    film = images.draw(4, 40, 50)
    images.write_jpeg(film, tmp_path / "a.jpeg")
    images.write_dicom(film, tmp_path / "a.dicom")
    assert np.abs(images.whole_dicom(tmp_path / "a.dicom") - film).max() < 1 / 4095
    assert np.abs(images.whole_jpeg(tmp_path / "a.jpeg") - film).mean() < 0.01
    assert film.min() >= 0
    assert film.max() <= 1
    assert not np.array_equal(film, images.draw(5, 40, 50))


def test_the_whole_way_is_what_scikit_image_does() -> None:
    transform = pytest.importorskip("skimage.transform")
    film = images.draw(6, 300, 340)
    expected = transform.resize(film[20:320] * 2048 - 1024, (224, 224), anti_aliasing=True, preserve_range=True)
    assert np.abs(images.resize_whole(film) - expected).max() < 1e-3
