"""The metrics that tasks name: by hand, by their properties and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from common.exceptions import PlanError
from common.task_metrics import Predictions, find, hits, of_labels
from common.tasks.base import find as task
from common.tasks.base import names

CODES = Predictions(
    labels=np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]], np.int8),
    scores=np.array([[4.0, 3, 2, 1], [1, 4, 3, 2], [4, 3, 2, 1], [4, 3, 2, 1]]),
)
CLASSES = Predictions(
    labels=np.eye(3, dtype=np.int8)[[0, 0, 1, 2]],
    scores=np.eye(3)[[0, 1, 1, 0]],
    amount=np.array([0.9, 1.9, 5.0, 9.9]),
    levels=np.array([1.0, 4.0, 10.0]),
)


def classes_of(true: list[int], predicted: list[int], amount: object = None) -> Predictions:
    return Predictions(np.eye(5, dtype=np.int8)[true], np.eye(5)[predicted], amount, np.arange(5) * 10.0)  # type: ignore[arg-type]


# By hand, on four rows


def test_ranked_codes_by_hand() -> None:
    # Of the two codes named, 2, 2 and 0 are true, of 2, 3 and 1 true codes; the fourth visit has none.
    found, true = hits(CODES, 2)
    assert (found.tolist(), true.tolist()) == ([2, 2, 0], [2, 3, 1])
    assert find("visit_precision_at_2")(CODES) == pytest.approx((2 / 2 + 2 / 2 + 0 / 1) / 3)
    assert find("visit_recall_at_2")(CODES) == pytest.approx((2 / 2 + 2 / 3 + 0 / 1) / 3)
    assert find("code_accuracy_at_2")(CODES) == pytest.approx(4 / 6)
    assert find("code_precision_at_2")(CODES) == pytest.approx(4 / 6)
    assert find("code_precision_at_1")(CODES) == pytest.approx(2 / 3)
    assert find("visit_precision_at_4")(CODES) == 1


def test_tied_codes_count_by_chance() -> None:
    tied = Predictions(np.array([[1, 0, 0, 1]], np.int8), np.array([[5.0, 2, 2, 2]]))
    assert hits(tied, 2)[0].tolist() == [1 + 1 / 3]
    assert hits(tied, 3)[0].tolist() == [pytest.approx(1 + 2 / 3)]


def test_classes_by_hand() -> None:
    # Off by 0, 1, 0, 2 classes: 3/4. By chance: rows 1/2, 1/4, 1/4 and columns 1/2, 1/2, 0, one or two apart.
    by_chance = 1 / 4 * 1 + 1 / 8 * 1 + 1 / 8 * 2 + 1 / 8 * 1
    assert find("linear_kappa")(CLASSES) == pytest.approx(1 - (3 / 4) / by_chance)
    off = [0.1, 2.1, 1.0, 8.9]
    assert find("mad")(CLASSES) == pytest.approx(sum(off) / 4)
    assert find("mse")(CLASSES) == pytest.approx(sum(each**2 for each in off) / 4)
    assert find("mape")(CLASSES) == pytest.approx(100 * (0.1 / 1.0 + 2.1 / 2.0 + 1.0 / 5.1 + 8.9 / 10.0) / 4)


def test_areas_are_means_over_the_labels_that_have_both_classes() -> None:
    labels = np.array([[0, 1, 0], [0, 1, -1], [1, 1, 0], [1, 1, 1]], np.int8)
    scores = np.array([[0.1, 0.1, 0.9], [0.4, 0.2, 0.0], [0.4, 0.3, 0.1], [0.8, 0.4, 0.5]])
    found = Predictions(labels, scores)
    # The first label: 3.5 of 4 pairs in order; the third, one row unknown: 1 of 2.
    assert find("auroc")(found) == pytest.approx((3.5 / 4 + 1 / 2) / 2)
    assert np.isnan(of_labels(found, lambda *_: 1.0)).tolist() == [False, True, False]


# Properties, and scikit-learn


@st.composite
def ranked(draw: st.DrawFn) -> Predictions:
    rows, width = draw(st.integers(1, 6)), draw(st.integers(2, 8))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = (rng.random((rows, width)) < draw(st.floats(0.1, 0.9))).astype(np.int8)
    labels[0, 0] = 1
    return Predictions(labels, rng.permutation(rows * width).reshape(rows, width).astype(float))


@given(ranked(), st.data())
def test_ranked_codes_are_those_of_sorting(found: Predictions, data: st.DataObject) -> None:
    width = found.labels.shape[1]
    k = data.draw(st.integers(1, width))
    visits = [
        (set(np.flatnonzero(labels)), set(sorted(range(width), key=lambda c: -scores[c])[:k]))
        for labels, scores in zip(found.labels, found.scores.tolist(), strict=True)
        if labels.any()
    ]
    together = [len(true & named) for true, named in visits]
    sizes = [len(true) for true, _ in visits]
    assert find(f"visit_precision_at_{k}")(found) == pytest.approx(
        np.mean([n / min(k, size) for n, size in zip(together, sizes, strict=True)])
    )
    assert find(f"code_accuracy_at_{k}")(found) == pytest.approx(sum(together) / sum(sizes))
    # scikit-learn's recall and precision over what is named, by visit and over all.
    true = found.labels[found.labels.any(axis=1)]
    named = np.array([[column in chosen for column in range(width)] for _, chosen in visits])
    assert find(f"visit_recall_at_{k}")(found) == pytest.approx(reference.recall_score(true, named, average="samples"))
    assert find(f"code_precision_at_{k}")(found) == pytest.approx(
        reference.precision_score(true, named, average="micro")
    )


@given(ranked(), st.integers(0, 2**32 - 1))
def test_the_order_of_the_codes_does_not_matter(found: Predictions, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(found.labels.shape[1])
    coarse = Predictions(found.labels, np.floor(found.scores / 3))
    moved = Predictions(coarse.labels[:, order], coarse.scores[:, order])
    for name in ("visit_precision_at_2", "code_accuracy_at_2"):
        assert find(name)(moved) == pytest.approx(find(name)(coarse))
        assert 0 <= find(name)(coarse) <= 1


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=30))
def test_kappa_is_that_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    true, predicted = map(list, zip(*pairs, strict=True))
    found = classes_of(true, predicted)
    if len({*true, *predicted}) == 1:
        with pytest.raises(ValueError, match="one class only"):
            find("linear_kappa")(found)
        return
    expected = reference.cohen_kappa_score(true, predicted, labels=range(5), weights="linear")
    assert find("linear_kappa")(found) == pytest.approx(expected)
    backwards = classes_of([4 - each for each in true], [4 - each for each in predicted])
    assert find("linear_kappa")(backwards) == pytest.approx(find("linear_kappa")(found))
    assert find("linear_kappa")(found) <= 1


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(0, 200)), min_size=1, max_size=30))
def test_errors_are_those_of_scikit_learn(rows: list[tuple[int, float]]) -> None:
    predicted, hours = (list(column) for column in zip(*rows, strict=True))
    found, levels = classes_of(predicted, predicted, np.array(hours)), [10.0 * each for each in predicted]
    assert find("mad")(found) == pytest.approx(reference.mean_absolute_error(hours, levels))
    assert find("mse")(found) == pytest.approx(reference.mean_squared_error(hours, levels))
    shifted = [np.array(each) + 0.1 for each in (hours, levels)]
    assert find("mape")(found) == pytest.approx(100 * reference.mean_absolute_percentage_error(*shifted))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_areas_are_the_macro_averages_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.eye(3), 1 - np.eye(3), rng.integers(0, 2, (20, 3))]).astype(np.int8)
    scores = rng.integers(0, 9, labels.shape) / 8
    found = Predictions(labels, scores)
    assert find("auroc")(found) == pytest.approx(reference.roc_auc_score(labels, scores, average="macro"))
    assert find("auprc")(found) == pytest.approx(reference.average_precision_score(labels, scores, average="macro"))


# What has no meaning is refused


@pytest.mark.parametrize("name", ["accuracy", "visit_precision_at_0", "visit_precision", "hits_at_20", ""])
def test_an_unknown_name_is_refused(name: str) -> None:
    with pytest.raises(PlanError, match=r"no metric '.*known metrics: auroc, .*visit_precision_at_k"):
        find(name)


REFUSALS = {
    "more codes named than there are": ("visit_precision_at_5", CODES, "fewer than 5"),
    "no visit with a code": (
        "visit_precision_at_1",
        Predictions(np.zeros((2, 2), np.int8), np.zeros((2, 2))),
        "no visit has",
    ),
    "unknown codes": ("code_accuracy_at_1", Predictions(np.array([[1, -1]], np.int8), np.zeros((1, 2))), "cannot be"),
    "a row in two classes": ("linear_kappa", CODES, "exactly one class"),
    "no true numbers": ("mad", Predictions(CLASSES.labels, CLASSES.scores), "true numbers"),
    "one class only": ("auroc", Predictions(np.ones((3, 1), np.int8), np.zeros((3, 1))), "both classes"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_has_no_meaning_is_refused(case: str) -> None:
    name, predictions, message = REFUSALS[case]
    with pytest.raises(ValueError, match=message):
        find(name)(predictions)


@pytest.mark.parametrize(
    ("labels", "scores"),
    [(np.zeros((2, 3)), np.zeros((2, 2))), (np.zeros(2), np.zeros(2)), (np.zeros((0, 2)), np.zeros((0, 2)))],
)
def test_parts_that_do_not_fit_are_refused(labels: object, scores: object) -> None:
    with pytest.raises(ValueError, match="one shape"):
        Predictions(labels, scores)  # type: ignore[arg-type]


def test_scores_are_finite() -> None:
    with pytest.raises(ValueError, match="finite"):
        Predictions(np.zeros((1, 1), np.int8), np.array([[np.nan]]))


@pytest.mark.parametrize("name", names())
def test_every_task_is_reported_by_metrics_that_there_are(name: str) -> None:
    asked = task(name)
    rows, k = 40, len(asked.labels)
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 2, (rows, k)).astype(np.int8)
    if asked.kind == "multiclass":
        labels = np.eye(k, dtype=np.int8)[rng.integers(0, k, rows)]
    amount = rng.random(rows) * 400 if asked.levels else None
    predictions = Predictions(labels, rng.random((rows, k)), amount, np.array(asked.levels) if asked.levels else None)
    assert len(asked.levels) in (0, k)
    assert all(np.isfinite(find(metric)(predictions)) for metric in asked.metrics)
