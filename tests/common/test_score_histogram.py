"""Binned scores against the exact metrics they stand for."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from common import metrics
from common import score_histogram as binned

BINS = 64

tables = st.lists(
    st.tuples(st.integers(0, 1), st.floats(0, 1) | st.floats(0, 0.02) | st.sampled_from([0.1, 0.3, 0.6, 0.7])),
    min_size=2,
    max_size=60,
).filter(lambda table: {label for label, _ in table} == {0, 1})


def columns(table):
    labels, probabilities = zip(*table, strict=True)
    return np.array(labels, dtype=np.int8), np.array(probabilities)


def cohort(size, seed=0, prevalence=0.05):
    """Predict a rare outcome with calibrated log-odds spread by one unit and a half."""
    rng = np.random.default_rng(seed)
    probabilities = 1 / (1 + np.exp(-rng.normal(np.log(prevalence), 1.5, size)))
    return (rng.random(size) < probabilities).astype(np.int8), probabilities


def histogram(negatives, positives):
    """Place counts {bin: count} on the smallest grid."""
    columns = np.zeros((2, BINS), dtype=np.int64)
    for column, counts in zip(columns, (negatives, positives), strict=True):
        for bin_, count in counts.items():
            column[bin_] = count
    return binned.ScoreHistogram(*columns)


@pytest.mark.parametrize("bins", [64, 65, 100, 128, 256, 1000])
def test_grid_rises_and_holds_every_tenth(bins):
    border = binned.edges(bins)
    assert border.shape == (bins + 1,)
    assert (border[0], border[-1]) == (0, 1)
    assert (np.diff(border) > 0).all()
    assert set(np.arange(1, 10) / 10) <= set(border)


def test_four_rows_by_hand():
    counts = histogram({10: 1, 20: 1}, {20: 1, 40: 1})
    assert binned.metrics(counts)["auroc"] == 3.5 / 4
    # From the top: a positive, then two tied rows of which the positive is second or third.
    assert binned.metrics(counts)["auprc"] == pytest.approx((1 + (2 / 2 + 2 / 3) / 2) / 2)
    assert binned.auroc_binning_error(counts) == 0.5 / 4
    centre = (binned.edges(BINS)[:-1] + binned.edges(BINS)[1:]) / 2
    squares = centre[10] ** 2 + centre[20] ** 2 + (1 - centre[20]) ** 2 + (1 - centre[40]) ** 2
    assert binned.metrics(counts)["brier"] == pytest.approx(squares / 4)
    false, true = binned.roc_points(counts)
    assert np.unique(np.c_[false, true], axis=0).tolist() == [[0, 0], [0, 0.5], [0.5, 1], [1, 1]]
    recall, precision = binned.precision_recall_points(counts)
    assert np.unique(np.c_[recall, precision], axis=0) == pytest.approx(np.array([[0.5, 1], [1, 0.5], [1, 2 / 3]]))


@given(tables)
def test_binned_metrics_keep_their_bounds(table):
    labels, probabilities = columns(table)
    counts = binned.score_bins(labels, probabilities, BINS)
    got = binned.metrics(counts)
    slack = 1e-9
    assert abs(got["auroc"] - metrics.auroc(labels, probabilities)) <= binned.auroc_binning_error(counts) + slack
    half_widths = np.diff(binned.edges(BINS)) / 2
    half_width = ((counts.negatives + counts.positives) * half_widths).sum() / len(labels)
    assert abs(got["ece"] - metrics.expected_calibration_error(labels, probabilities)) <= half_width + slack
    assert abs(got["brier"] - metrics.brier(labels, probabilities)) <= 2 * half_width + slack
    assert got["min_se_ppv"] <= metrics.min_se_ppv(labels, probabilities) + slack


@given(tables)
def test_scores_at_bin_centres_lose_nothing(table):
    labels, probabilities = columns(table)
    border = binned.edges(BINS)
    centred = ((border[:-1] + border[1:]) / 2)[np.searchsorted(border[1:-1], probabilities, side="right")]
    got = binned.metrics(binned.score_bins(labels, probabilities, BINS))
    assert got["auroc"] == pytest.approx(metrics.auroc(labels, centred))
    assert got["brier"] == pytest.approx(metrics.brier(labels, centred))
    assert got["ece"] == pytest.approx(metrics.expected_calibration_error(labels, centred))
    assert got["auroc"] == pytest.approx(roc_auc_score(labels, centred))
    assert got["min_se_ppv"] == pytest.approx(metrics.min_se_ppv(labels, centred))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=3))
def test_average_precision_is_the_mean_over_all_orders_within_bins(cells):
    counts = histogram(*({10 + i: cell[label] for i, cell in enumerate(cells)} for label in (0, 1)))
    orders = [set(permutations([0] * n + [1] * p)) for n, p in reversed(cells)]
    ranked = [np.concatenate(order) for order in product(*orders)]
    if not {0, 1} <= set(ranked[0].tolist()):
        return
    exact = [metrics.auprc(labels, -np.arange(len(labels))) for labels in ranked]
    assert binned.metrics(counts)["auprc"] == pytest.approx(np.mean(exact))


def test_average_precision_of_many_tied_rows_is_that_of_shuffled_rows():
    upper, lower = np.repeat([1, 0], [50, 150]), np.repeat([1, 0], [30, 270])
    rng = np.random.default_rng(0)
    ranked = [np.r_[rng.permutation(upper), rng.permutation(lower)] for _ in range(400)]
    exact = [metrics.auprc(labels, -np.arange(500)) for labels in ranked]
    got = binned.metrics(histogram({9: 150, 7: 270}, {9: 50, 7: 30}))["auprc"]
    assert abs(got - np.mean(exact)) < 4 * np.std(exact) / np.sqrt(400)
    assert binned.metrics(histogram({7: 900_000}, {7: 100_000}))["auprc"] == pytest.approx(0.1, abs=2e-5)


@given(tables, st.integers(1, 4))
def test_sites_add_up(table, sites):
    labels, probabilities = columns(table)
    parts = [binned.score_bins(labels[i::sites], probabilities[i::sites], BINS) for i in range(sites)]
    whole = binned.score_bins(labels, probabilities, BINS)
    assert (binned.merge(parts).negatives == whole.negatives).all()
    assert (binned.merge(parts).positives == whole.positives).all()


@pytest.mark.parametrize("prevalence", [0.01, 0.05, 0.2])
def test_default_grid_is_fine_enough_for_rare_outcomes(prevalence):
    labels, probabilities = cohort(20_000, prevalence=prevalence)
    counts = binned.score_bins(labels, probabilities)
    got = binned.metrics(counts)
    assert binned.auroc_binning_error(counts) < 0.012
    assert got["auroc"] == pytest.approx(metrics.auroc(labels, probabilities), abs=0.001)
    assert got["auprc"] == pytest.approx(metrics.auprc(labels, probabilities), abs=0.003)
    assert got["brier"] == pytest.approx(metrics.brier(labels, probabilities), abs=0.001)
    assert got["ece"] == pytest.approx(metrics.expected_calibration_error(labels, probabilities), abs=0.001)


def test_roc_area_under_the_points_is_the_auroc():
    counts = binned.score_bins(*cohort(2000))
    false, true = binned.roc_points(counts)
    assert np.trapezoid(true, false) == pytest.approx(binned.metrics(counts)["auroc"])
    recall, precision = binned.precision_recall_points(counts)
    steps = np.diff(recall, prepend=0) @ precision
    assert steps == pytest.approx(binned.metrics(counts)["auprc"], abs=0.02)


def test_calibration_groups_are_nearly_equal_and_follow_the_risk():
    labels, probabilities = cohort(20_000)
    table = binned.calibration(binned.score_bins(labels, probabilities, 256))
    assert table.rows.sum() == 20_000
    assert len(table.rows) == 10
    assert np.abs(table.rows - 2000).max() < 500
    assert (np.diff(table.predicted) > 0).all()
    assert table.rows @ table.observed == pytest.approx(labels.sum())
    assert table.rows @ table.predicted == pytest.approx(probabilities.sum(), rel=0.01)
    # The labels were drawn with these probabilities: four standard errors hold each of ten groups.
    error = np.sqrt(table.predicted * (1 - table.predicted) / table.rows)
    assert (np.abs(table.observed - table.predicted) < 4 * error + 0.002).all()


def test_calibration_of_one_bin_is_one_group():
    table = binned.calibration(histogram({5: 30}, {5: 10}))
    assert (table.rows.tolist(), table.observed.tolist()) == ([40], [0.25])


def test_bootstrap_of_counts_agrees_with_bootstrap_of_rows():
    labels, probabilities = cohort(3000)
    sites = [binned.score_bins(labels[i::3], probabilities[i::3]) for i in range(3)]
    by_count = binned.bootstrap_histogram(sites, np.random.default_rng(0))
    by_row = metrics.bootstrap_intervals(labels, probabilities, np.arange(3000), np.random.default_rng(0))
    assert by_count["auroc"].value == binned.metrics(binned.merge(sites))["auroc"]
    assert by_count["auroc"].replicates == 1000
    width = {name: interval.high - interval.low for name, interval in by_count.items()}
    assert width["auroc"] == pytest.approx(by_row["auroc"].high - by_row["auroc"].low, rel=0.15)
    assert by_count["auroc"].low < by_count["auroc"].value < by_count["auroc"].high
    # Prevalence is held fixed, so what depends on it looks surer than when patients are redrawn.
    assert width["brier"] < by_row["brier"].high - by_row["brier"].low


def test_bootstrap_of_counts_repeats_by_seed_and_takes_a_site_of_one_class():
    sites = [binned.score_bins(*cohort(500)), histogram({3: 20}, {}), histogram({}, {})]
    sites[1:] = [binned.ScoreHistogram(np.pad(s.negatives, (0, 64)), np.pad(s.positives, (0, 64))) for s in sites[1:]]
    first = binned.bootstrap_histogram(sites, np.random.default_rng(4), repetitions=50)
    assert first == binned.bootstrap_histogram(sites, np.random.default_rng(4), repetitions=50)
    assert first != binned.bootstrap_histogram(sites, np.random.default_rng(5), repetitions=50)


@pytest.mark.parametrize(
    "function", [binned.metrics, binned.auroc_binning_error, binned.roc_points, binned.calibration]
)
def test_one_class_is_refused(function):
    with pytest.raises(ValueError, match="both classes"):
        function(histogram({1: 5}, {}))


@pytest.mark.parametrize(
    "counts",
    [
        np.zeros(BINS, dtype=np.float64),
        np.zeros(BINS - 1, dtype=np.int64),
        np.zeros((BINS, 1), dtype=np.int64),
        np.zeros(BINS + 1, dtype=np.int64),
        np.full(BINS, -1),
        np.full(BINS, 2**62),
    ],
)
def test_what_is_no_histogram_is_refused(counts):
    with pytest.raises(ValueError, match=r"counts|grid"):
        binned.ScoreHistogram(np.zeros(BINS, dtype=np.int64), counts)


def test_unlike_grids_and_malformed_rows_are_refused():
    with pytest.raises(ValueError, match="same grid"):
        binned.merge([binned.score_bins([0, 1], [0.1, 0.2], bins) for bins in (64, 65)])
    with pytest.raises(ValueError, match="exist"):
        binned.merge([])
    for labels, probabilities in (([0, 1], [0.1, np.nan]), ([0, 2], [0.1, 0.2]), ([0, 1], [0.1]), ([0, 1], [0, 1.5])):
        with pytest.raises(ValueError, match="must"):
            binned.score_bins(labels, probabilities)
