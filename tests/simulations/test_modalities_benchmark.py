"""The benchmark 'modalities': what it makes of films, and that it tells a signal from none."""

from __future__ import annotations

import numpy as np
import pytest
from rich.console import Console

from simulations.benchmarks import modalities
from simulations.benchmarks.modalities import GREY, SIDE, ZONES, Cases, describe, measure


def test_films_by_hand() -> None:
    flat = np.full((1, 1, SIDE, SIDE), 256, np.float32)
    assert np.abs(describe(flat)).max() == 0
    half = flat.copy()
    half[..., : SIDE // 2] = -256
    means = describe(half)[0, : GREY * GREY].reshape(GREY, GREY)
    assert (means[:, : GREY // 2] == -0.25).all()
    assert (means[:, GREY // 2 :] == 0.25).all()
    chequered = flat * np.where(np.indices((SIDE, SIDE)).sum(axis=0) % 2, 1, -1)
    features = describe(chequered)
    assert features.shape == (1, GREY * GREY + ZONES * ZONES)
    assert features[0, GREY * GREY :] == pytest.approx(0.25)
    assert np.abs(features[0, : GREY * GREY]).max() == 0


def cases(signal: float) -> Cases:
    rng = np.random.default_rng(1)
    truth = rng.random(300) < 0.4
    films, records = rng.normal(0, 1, (300, 60)), rng.normal(0, 1, (300, 4))
    films[:, :20] += signal * truth[:, None] * 0.5
    records[:, 0] += signal * truth
    person = np.array([f"p{i // 2}" for i in range(300)])
    return Cases(person, films.astype(np.float32), records.astype(np.float32), truth[:, None].astype(np.int8))


def test_a_signal_is_found_and_nothing_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"BOOTSTRAPS": 100, "INNER_FOLDS": 2, "FOLDS": 3}.items():
        monkeypatch.setattr(modalities, name, value)
    found, nothing = measure(cases(1.0), 0), measure(cases(0.0), 0)
    assert found["both"].value > max(found["films"].value, found["records"].value)
    assert min(found["films"].low, found["records"].low) > 0.55
    assert all(interval.low < 0.58 for interval in nothing.values())


def test_it_runs_from_files_to_a_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = measure(cases(1.0), 0)
    monkeypatch.setattr(modalities, "measure", lambda *_: figures)
    console = Console(record=True, width=160)
    found = modalities.run(console, 1, 14)
    text = console.export_text()
    assert "SYNTHETIC" in text
    assert "both together best: met" in text
    assert found["means"]["both"] == pytest.approx(figures["both"].value)  # type: ignore[index]
