"""The demonstration of leakage finds a gain where it must and none where it must not, on noise of known shape."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

import simulations.__main__ as simulate_line
from client.preprocessing.splits import assert_disjoint
from common import command_line
from common.exceptions import ConfigurationError, DataError
from simulations.leakage.measuring import ARMS, METRICS, divide, predicted, scores
from simulations.leakage.noise import ADMISSIONS, DISEASES, OF_ONE_PATIENT, Noise, draw
from simulations.leakage.summary import MEAN, conclusion, estimate, summarise
from simulations.studies import leakage
from simulations.studies.base import find, names

COMMON = (DISEASES[0], DISEASES[5])
FILMS, ROWS, PATIENTS = ARMS


def figure(found: object, arm: str, disease: str, metric: str) -> tuple[float, float, float]:
    assert isinstance(found, dict)
    mean, low, high = found[arm][disease][metric]
    return mean, low, high


def test_records_seem_to_help_under_random_rows_and_not_under_a_split_by_patient(tmp_path: Path) -> None:
    console = Console(record=True, width=160, file=io.StringIO())
    found = leakage.run(console, tmp_path, admissions=1500, seeds=(1, 2, 3), diseases=COMMON)
    films, rows, patients = (figure(found, arm.title, MEAN, "F1")[0] for arm in ARMS)
    assert rows > 2 * max(films, patients)
    assert rows > 0.35
    assert figure(found, ROWS.title, MEAN, "AUROC")[1] > 0.65
    for arm in (FILMS, PATIENTS):
        _, low, high = figure(found, arm.title, MEAN, "AUROC")
        assert low <= 0.5 <= high
        assert high - low < 0.15
    shown, page = console.export_text(), (tmp_path / "leakage.html").read_text(encoding="utf-8")
    mean, low, high = figure(found, ROWS.title, "pneumonia", "AUROC")
    precision, recall, f1 = (100 * figure(found, ROWS.title, "pneumonia", metric)[0] for metric in METRICS[:3])
    for text in (shown, page):
        for said in (
            f"{mean:.2f} ({low:.2f} to {high:.2f})",
            f"{precision:.1f} / {recall:.1f} / {f1:.1f}",
            "70.6 / 36.4 / 48.0",
            "There is nothing to find",
        ):
            assert said in " ".join(text.split())
    assert page.count("<svg") == 1
    assert not re.search(r"https?://(?!www\.w3\.org)|<script|<link|url\((?!#)", page)


def test_a_seed_is_repeated_exactly_and_another_draws_anew() -> None:
    one, again, other = (draw(np.random.default_rng(seed), 300) for seed in (1, 1, 2))
    for name in ("patients", "films", "records", "labels"):
        np.testing.assert_array_equal(getattr(one, name), getattr(again, name))
        assert not np.array_equal(getattr(one, name), getattr(other, name), equal_nan=name in ("films", "records"))


def test_the_data_have_the_published_shape() -> None:
    noise = draw(np.random.default_rng(5), 30_000)
    _, person, count = np.unique(noise.patients, return_inverse=True, return_counts=True)
    assert count[person].mean() == pytest.approx(OF_ONE_PATIENT, rel=0.05)
    assert noise.labels.mean(axis=0) == pytest.approx([disease.prevalence for disease in DISEASES], abs=0.01)
    missing = np.isnan(noise.records).mean(axis=0)
    assert missing[3:7] * ADMISSIONS == pytest.approx([26_234, 20_749, 20_801, 2_543], rel=0.1)
    assert not missing[[0, 1, 2, 9, 10]].any()
    assert (noise.films.shape[1], noise.records.shape[1]) == (18, 11)


def test_merging_on_the_patient_by_hand() -> None:
    label = np.array([[1], [0], [0], [1]], np.int8)
    record, film = (np.arange(4, dtype=np.float32)[:, None] + start for start in (0, 10))
    merged = Noise(np.array(["b", "b", "a", "b"]), film, record, label).merged_on_patient()
    assert merged.records.ravel().tolist() == [3, 3, 2, 3]
    assert merged.labels.ravel().tolist() == [1, 1, 0, 1]
    assert merged.films.ravel().tolist() == [10, 11, 12, 13]


def test_only_the_split_by_patient_keeps_patients_apart() -> None:
    noise = draw(np.random.default_rng(3), 2000)
    for seed in range(5):
        by_patient, by_row = divide(noise, PATIENTS, seed), divide(noise, ROWS, seed)
        assert_disjoint(noise.patients, by_patient)
        with pytest.raises(DataError, match="split by patient"):
            assert_disjoint(noise.patients, by_row)
        assert by_row.held_out.sum() == 700
        assert by_patient.held_out.mean() == pytest.approx(0.35, abs=0.08)


def test_scores_by_hand() -> None:
    labels, probabilities = np.array([1, 0, 1, 0], np.int8), np.array([0.9, 0.8, 0.3, 0.1], np.float32)
    assert scores(labels, probabilities) == pytest.approx((1 / 2, 1 / 2, 1 / 2, 3 / 4))
    assert scores(labels, probabilities / 2)[:3] == (0, 0, 0)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 10)), min_size=4, max_size=30))
def test_scores_are_those_of_scikit_learn(rows: list[tuple[int, int]]) -> None:
    from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

    labels = np.array([0, 1, *(label for label, _ in rows)], np.int8)
    probabilities = np.array([5, 5, *(p for _, p in rows)], np.float32) / 10
    expected = precision_recall_fscore_support(labels, probabilities > 0.5, average="binary", zero_division=0)[:3]
    assert scores(labels, probabilities) == pytest.approx((*expected, roc_auc_score(labels, probabilities)))


def test_the_learner_is_xgboost_with_its_defaults() -> None:
    from xgboost import XGBClassifier

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 4)).astype(np.float32), (rng.random(300) < 0.3).astype(np.int8)
    expected = XGBClassifier(n_jobs=1).fit(x[:200], y[:200]).predict_proba(x[200:])[:, 1]
    np.testing.assert_allclose(predicted(x[:200], y[:200], x[200:]), expected, atol=1e-6)


def test_an_interval_by_hand_and_as_scipy_has_it() -> None:
    from scipy import stats

    found = estimate(np.array([1.0, 2.0, 3.0, 4.0]))
    half = 3.182446 * np.sqrt(5 / 3) / 2  # Student's t for 3 degrees of freedom; standard deviation; root of four
    assert found == pytest.approx((2.5, 2.5 - half, 2.5 + half))
    assert found[1:] == pytest.approx(stats.t.interval(0.95, 3, loc=2.5, scale=np.sqrt(5 / 3) / 2))


@pytest.mark.parametrize(("area", "said"), [(0.5, "which includes 0.5"), (0.8, "which does not include 0.5")])
def test_the_conclusion_says_what_was_found(area: float, said: str) -> None:
    figures = np.full((2, len(ARMS), 2, len(METRICS)), 0.25)
    figures[:, 2, :, 3] = [[area - 0.01], [area + 0.01]]
    figures[:, 1, :, 2] = [[0.4], [0.6]]
    text = conclusion(summarise(figures, COMMON))
    assert "from 25.0% to 50.0%" in text
    assert said in text


def test_a_study_is_found_by_the_name_of_its_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "leakage" in names()
    with pytest.raises(ConfigurationError, match=r"unknown study 'nosuch'; known: leakage"):
        find("nosuch")
    with pytest.raises(SystemExit) as ended:
        command_line.run(simulate_line.app, ["study", "nosuch", "--to", str(tmp_path / "new")])
    assert ended.value.code == 1
    assert not (tmp_path / "new").exists()
    assert "known: leakage" in capsys.readouterr().err


def test_the_command_runs_a_study_into_its_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ran: list[Path] = []
    monkeypatch.setattr(leakage, "run", lambda _console, folder: ran.append(folder))
    command_line_arguments = ["study", "leakage", "--to", str(tmp_path / "new")]
    with pytest.raises(SystemExit) as ended:
        command_line.run(simulate_line.app, command_line_arguments)
    assert not ended.value.code
    assert ran == [tmp_path / "new"]
    assert ran[0].is_dir()
