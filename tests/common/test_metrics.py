"""Metrics by hand, by their properties and against scikit-learn."""

from __future__ import annotations

import time
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from common import metrics

LABELS = [0, 0, 1, 1]
PROBABILITIES = [0.1, 0.4, 0.4, 0.8]

rows = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20), st.integers(0, 3)), min_size=2, max_size=40).filter(
    lambda table: {label for label, _, weight in table if weight} == {0, 1}
)


def columns(table):
    labels, twentieths, weights = np.array(table).T
    return labels, twentieths / 20, weights


def test_four_rows_by_hand():
    # Pairs: .4>.1 one, .4=.4 half, .8>.1 one, .8>.4 one.
    assert metrics.auroc(LABELS, PROBABILITIES) == 3.5 / 4
    # From the top: recall 1/2 at precision 1, then recall 1/2 more at precision 2/3.
    assert metrics.auprc(LABELS, PROBABILITIES) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    # Thresholds .8, .4, .1: (Se, +P) are (1/2, 1), (1, 2/3), (1, 1/2).
    assert metrics.min_se_ppv(LABELS, PROBABILITIES) == pytest.approx(2 / 3)
    assert metrics.brier(LABELS, PROBABILITIES) == pytest.approx((0.01 + 0.16 + 0.36 + 0.04) / 4)
    assert metrics.log_loss(LABELS, PROBABILITIES) == pytest.approx(-np.log(0.9 * 0.6 * 0.4 * 0.8) / 4)
    # Bins of a tenth: {.1: none died}, {.4, .4: one of two died}, {.8: died}.
    assert metrics.expected_calibration_error(LABELS, PROBABILITIES) == pytest.approx((0.1 + 2 * 0.1 + 0.2) / 4)


@given(rows)
def test_agrees_with_scikit_learn(table):
    labels, probabilities, weights = columns(table)
    options = {"sample_weight": weights}
    assert metrics.auroc(labels, probabilities, weights) == pytest.approx(
        reference.roc_auc_score(labels, probabilities, **options)
    )
    assert metrics.auprc(labels, probabilities, weights) == pytest.approx(
        reference.average_precision_score(labels, probabilities, **options)
    )
    precision, recall, _ = reference.precision_recall_curve(labels, probabilities, **options)
    assert metrics.min_se_ppv(labels, probabilities, weights) == pytest.approx(np.minimum(precision, recall).max())
    assert metrics.brier(labels, probabilities, weights) == pytest.approx(
        reference.brier_score_loss(labels, probabilities, **options)
    )
    assert metrics.log_loss(labels, probabilities, weights) == pytest.approx(
        reference.log_loss(labels, probabilities, labels=[0, 1], **options)
    )


@given(rows)
def test_a_weight_is_a_repetition(table):
    labels, probabilities, weights = columns(table)
    repeated = np.repeat(labels, weights), np.repeat(probabilities, weights)
    assert metrics.auroc(labels, probabilities, weights) == pytest.approx(metrics.auroc(*repeated))
    assert metrics.auprc(labels, probabilities, weights) == pytest.approx(metrics.auprc(*repeated))
    assert metrics.brier(labels, probabilities, weights) == pytest.approx(metrics.brier(*repeated))
    assert metrics.log_loss(labels, probabilities, weights) == pytest.approx(metrics.log_loss(*repeated))
    assert metrics.expected_calibration_error(labels, probabilities, weights=weights) == pytest.approx(
        metrics.expected_calibration_error(*repeated)
    )


@given(rows)
def test_ranking_metrics_see_the_order_only(table):
    labels, scores, weights = columns(table)
    assert metrics.auroc(labels, np.exp(scores), weights) == metrics.auroc(labels, scores, weights)
    assert metrics.auprc(labels, 7 * scores - 3, weights) == metrics.auprc(labels, scores, weights)
    assert metrics.auroc(labels, -scores, weights) == pytest.approx(1 - metrics.auroc(labels, scores, weights))


def test_calibration_error_by_a_second_way():
    rng = np.random.default_rng(3)
    probabilities = np.r_[rng.random(500), 0.0, 0.1, 0.3, 0.7, 1.0]
    labels = rng.random(505) < probabilities**2
    expected = 0.0
    for b in range(10):
        held = (probabilities >= b / 10) & ((probabilities < (b + 1) / 10) | (b == 9))
        expected += held.mean() * abs(labels[held].mean() - probabilities[held].mean())
    assert metrics.expected_calibration_error(labels, probabilities) == pytest.approx(expected)


def test_no_calibration_error_when_risk_is_met():
    labels, probabilities = np.repeat([0, 1, 0, 1], [9, 1, 2, 8]), np.repeat([0.1, 0.8], 10)
    assert metrics.expected_calibration_error(labels, probabilities) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("metric", [metrics.auroc, metrics.auprc])
@pytest.mark.parametrize(("labels", "weights"), [([0, 0], None), ([1, 1], None), ([0, 1], [0, 3]), ([0, 1], [1, 0])])
def test_one_class_has_no_ranking(metric, labels, weights):
    with pytest.raises(ValueError, match="both classes"):
        metric(labels, [0.2, 0.6], weights)


@pytest.mark.parametrize(
    ("labels", "probabilities", "weights"),
    [
        ([0, 2], [0.1, 0.2], None),
        ([0, 1], [0.1, np.nan], None),
        ([0, 1], [0.1, 1.1], None),
        ([0, 1], [0.1], None),
        ([0, 1], [0.1, 0.2], [1, -1]),
        ([0, 1], [0.1, 0.2], [0, 0]),
        ([0, 1], [0.1, 0.2], [1, np.inf]),
        ([], [], None),
    ],
)
def test_malformed_input_is_refused(labels, probabilities, weights):
    with pytest.raises(ValueError, match=r"must|needed"):
        metrics.brier(labels, probabilities, weights)


def cohort(size, seed=5):
    rng = np.random.default_rng(seed)
    probabilities = rng.beta(1, 8, size)
    return (rng.random(size) < probabilities).astype(np.int8), probabilities, rng.integers(0, size // 2, size)


def test_bootstrap_values_are_the_metrics_and_inside_their_interval():
    labels, probabilities, patients = cohort(600)
    intervals = metrics.bootstrap_intervals(labels, probabilities, patients, np.random.default_rng(1))
    assert intervals["auroc"].value == pytest.approx(metrics.auroc(labels, probabilities))
    assert intervals["auprc"].value == pytest.approx(metrics.auprc(labels, probabilities))
    assert intervals["min_se_ppv"].value == pytest.approx(metrics.min_se_ppv(labels, probabilities))
    assert intervals["brier"].value == pytest.approx(metrics.brier(labels, probabilities))
    assert intervals["ece"].value == pytest.approx(metrics.expected_calibration_error(labels, probabilities))
    for name in ("auroc", "auprc", "brier"):
        assert intervals[name].low < intervals[name].value < intervals[name].high
        assert intervals[name].replicates == 1000


def test_bootstrap_repeats_by_seed_and_does_not_depend_on_its_batches(monkeypatch):
    table = cohort(200)
    whole = metrics.bootstrap_intervals(*table, np.random.default_rng(1), repetitions=50)
    monkeypatch.setattr(metrics, "_BATCH_CELLS", 200 * 7)
    batched = metrics.bootstrap_intervals(*table, np.random.default_rng(1), repetitions=50)
    other = metrics.bootstrap_intervals(*table, np.random.default_rng(2), repetitions=50)
    for name, interval in whole.items():
        assert astuple(batched[name]) == pytest.approx(astuple(interval), rel=1e-12)
        assert astuple(other[name]) != pytest.approx(astuple(interval), rel=1e-6)


def test_bootstrap_of_the_brier_score_has_the_textbook_width():
    labels, probabilities, _ = cohort(800)
    interval = metrics.bootstrap_intervals(labels, probabilities, np.arange(800), np.random.default_rng(1))["brier"]
    standard_error = ((probabilities - labels) ** 2).std() / np.sqrt(800)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * standard_error, rel=0.1)


def test_bootstrap_resamples_persons_not_rows():
    labels, probabilities, _ = cohort(200)
    copied = [np.repeat(column, 4) for column in (labels, probabilities, np.arange(200))]
    by_person = metrics.bootstrap_intervals(*copied, np.random.default_rng(1))["auroc"]
    by_row = metrics.bootstrap_intervals(*copied[:2], np.arange(800), np.random.default_rng(1))["auroc"]
    # Four copies of a row add no knowledge: rows taken as independent look twice as sure.
    assert (by_person.high - by_person.low) / (by_row.high - by_row.low) == pytest.approx(2, rel=0.15)


def test_replicates_that_lose_a_class_are_left_out_and_counted():
    labels, probabilities = np.array([1, 0, 0, 0]), np.array([0.9, 0.2, 0.3, 0.4])
    intervals = metrics.bootstrap_intervals(labels, probabilities, np.arange(4), np.random.default_rng(0))
    # The one positive is missed with chance (3/4)^4, drawn alone with chance (1/4)^4.
    kept = 1000 * (1 - 0.75**4 - 0.25**4)
    assert intervals["auroc"].replicates == pytest.approx(kept, abs=60)
    assert intervals["auprc"].replicates == intervals["auroc"].replicates
    assert intervals["brier"].replicates == 1000
    assert (intervals["auroc"].low, intervals["auroc"].high) == (1.0, 1.0)


def test_no_usable_replicate_is_an_error():
    with pytest.raises(ValueError, match="no bootstrap replicate"):
        metrics.percentile_interval(0.5, np.array([np.nan, np.nan]), 0.95)


@given(st.floats(0.5, 0.99))
@settings(max_examples=20)
def test_percentiles_hold_their_level(level):
    interval = metrics.percentile_interval(0.5, np.r_[np.linspace(0, 1, 1001), np.nan], level)
    assert interval.high - interval.low == pytest.approx(level)
    assert interval.replicates == 1001


def test_a_thousand_replicates_are_fast():
    table = cohort(2000)
    started = time.process_time()
    metrics.bootstrap_intervals(*table, np.random.default_rng(0))
    assert time.process_time() - started < 1.5
