"""Aggregation rules by hand, by property, and against Flower's own where Flower's means the same."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.common import Metadata
from flwr.serverapp import strategy as flower
from hypothesis import given, settings
from hypothesis import strategies as st

from common.exceptions import PlanError, QuorumError
from strategies import base
from strategies.weights.update import Trained, Update, Weights

CURRENT = {"w": np.array([1.0, -2.0], np.float32)}
CHANGES = st.lists(
    st.lists(st.floats(-4, 4, width=32), min_size=2, max_size=2).map(lambda v: np.array(v, np.float32)),
    min_size=5,
    max_size=8,
)


def after(name: str, changes, shares=None, state: Weights = {}, **options: float):  # noqa: B006
    updates = {
        f"site-{index}": Update(share, {"w": np.array(change, np.float32)}, {"w": np.array(change, np.float32)})
        for index, (change, share) in enumerate(zip(changes, shares or [1.0] * len(changes), strict=True))
    }
    trained = Trained(CURRENT, updates, state)
    return base.find_for_weights(name).aggregate(trained, base.options(name, options))


def by_flower(strategy, changes, rounds: int = 1) -> list[np.ndarray]:
    """Run Flower's strategy on the same changes round after round; the weights after each."""
    current, found = dict(CURRENT), []
    for number in range(1, rounds + 1):
        strategy.current_arrays = current
        replies = []
        for index, change in enumerate(changes):
            arrays = ArrayRecord({"w": Array(current["w"] + change)})
            content = RecordDict({"arrays": arrays, "metrics": MetricRecord({"num-examples": 1})})
            metadata = Metadata(1, str(index), index + 1, 0, "", "", 0.0, 1000.0, "train")
            replies.append(Message(metadata=metadata, content=content))
        arrays, _ = strategy.aggregate_train(number, replies)
        current = {name: array.numpy() for name, array in arrays.items()}
        found.append(current["w"])
    return found


def test_fedavg_by_hand():
    weights, state = after("fedavg", [[1, 0], [0, 2], [1, 1], [2, 1]], shares=[1, 1, 1, 5])
    np.testing.assert_allclose(weights["w"], [1 + (1 + 0 + 1 + 10) / 8, -2 + (0 + 2 + 1 + 5) / 8])
    assert not state


@given(changes=CHANGES)
def test_fedavg_is_flowers(changes):
    (expected,) = by_flower(flower.FedAvg(), changes)
    np.testing.assert_allclose(after("fedavg", changes)[0]["w"], expected, atol=1e-5)


@given(changes=CHANGES)
def test_fedmedian_is_flowers(changes):
    (expected,) = by_flower(flower.FedMedian(), changes)
    np.testing.assert_allclose(after("fedmedian", changes)[0]["w"], expected, atol=1e-5)


def test_trimming_by_hand():
    changes = [[-100, 1], [1, 1], [2, 1], [3, 1], [100, 1]]
    np.testing.assert_allclose(after("fedtrimmedmean", changes)[0]["w"], [1 + 2, -2 + 1])
    three = [[0, 0], [1, 1], [1000, -1000]]
    np.testing.assert_allclose(after("fedtrimmedmean", three)[0]["w"], [1 + 1, -2 + 0])
    np.testing.assert_allclose(after("fedtrimmedmean", [[1, 1], [3, 3]])[0]["w"], [1 + 2, -2 + 2])


@given(changes=CHANGES)
def test_trimming_is_flowers_where_nothing_is_rounded(changes):
    five = changes[:5]
    (expected,) = by_flower(flower.FedTrimmedAvg(beta=0.2), five)
    np.testing.assert_allclose(after("fedtrimmedmean", five)[0]["w"], expected, atol=1e-5)


@given(changes=CHANGES)
def test_krum_is_flowers(changes):
    if len({change.tobytes() for change in changes}) < len(changes):
        return  # between equal updates either may be chosen
    (expected,) = by_flower(flower.Krum(num_malicious_nodes=1), changes)
    scores = [np.linalg.norm(CURRENT["w"] + change - expected) for change in changes]
    assert min(scores) < 1e-5
    chosen = after("krum", changes)[0]["w"]
    near = np.sort([[np.sum((a - b) ** 2) for b in changes] for a in changes], axis=1)[:, 1 : len(changes) - 2].sum(1)
    best = near.min()
    assert near[np.argmin([np.abs(CURRENT["w"] + c - chosen).sum() for c in changes])] == pytest.approx(best, abs=1e-4)


def test_krum_needs_its_number_of_sites():
    with pytest.raises(QuorumError, match="needs 5 answers; of w it got 4"):
        after("krum", [[0, 0]] * 4)
    assert after("krum", [[0, 1]] * 5)[0]["w"].tolist() == [1, -1]


@pytest.mark.parametrize(
    ("name", "theirs"), [("fedyogi", flower.FedYogi), ("fedadagrad", flower.FedAdagrad), ("fedadam", flower.FedAdam)]
)
@settings(max_examples=20)
@given(changes=CHANGES)
def test_adaptive_steps_are_flowers_from_the_same_start(name, theirs, changes):
    """Flower starts the second moment at 0, the paper at tau squared; FedAdam corrects a bias, the paper does not."""
    options = {"server_rate": 0.1, "beta1": 0.5, "beta2": 0.9, "adaptivity": 0.01}
    their_options = {"eta": 0.1, "beta_1": 0.5, "beta_2": 0.9, "tau": 0.01}
    if name == "fedadagrad":
        del options["beta2"], options["beta1"], their_options["beta_1"], their_options["beta_2"]
    strategy = theirs(**their_options)
    strategy.v_t = {"w": np.full(2, 0.01**2, np.float32)}
    expected = by_flower(strategy, changes)[0] - CURRENT["w"]
    if name == "fedadam":
        expected = expected / (np.sqrt(1 - 0.9**2) / (1 - 0.5**2))
    weights, state = after(name, changes, **options)
    np.testing.assert_allclose(weights["w"] - CURRENT["w"], expected, atol=2e-5)
    assert set(state) == {"first/w", "second/w"}


def test_adaptive_steps_by_hand_over_two_rounds():
    options = {"server_rate": 1.0, "beta1": 0.5, "beta2": 0.5, "adaptivity": 1.0}
    weights, state = after("fedadam", [[2, 0]], **options)
    first, second = 0.5 * 2, 0.5 * 1 + 0.5 * 4
    np.testing.assert_allclose(weights["w"], [1 + first / (np.sqrt(second) + 1), -2], rtol=1e-6)
    weights, state = after("fedadam", [[0, 0]], state=state, **options)
    np.testing.assert_allclose(weights["w"], [1 + 0.5 * first / (np.sqrt(0.5 * second) + 1), -2], rtol=1e-6)
    np.testing.assert_allclose(state["second/w"], [0.5 * second, 0.25])


@pytest.mark.parametrize("name", ["fedmedian", "fedtrimmedmean", "krum"])
def test_one_liar_of_five_moves_a_robust_rule_little_and_the_mean_far(name):
    honest = [[1.0, 1.0], [1.1, 0.9], [0.9, 1.1], [1.0, 1.05]]
    lying = [*honest, [1e6, -1e6]]
    assert np.abs(after(name, lying)[0]["w"] - [2, -1]).max() < 0.2
    assert np.abs(after("fedavg", lying)[0]["w"] - [2, -1]).max() > 1e5


def test_rules_for_sites():
    rules: Mapping[str, object] = {name: base.find_for_weights(name) for name in base.names(trees=False)}
    asked = {name: module.rule(base.options(name, {})) for name, module in rules.items()}  # type: ignore[attr-defined]
    assert asked["fedprox"].proximal == 0.01
    assert (asked["fedbn"].keeps, asked["fedper"].keeps) == ("normalisation", "head")
    assert asked["scaffold"].controlled
    assert asked["ditto"].personal == 0.1
    plain = {name for name, rule in asked.items() if rule == asked["fedavg"]}
    assert plain == {"fedavg", "fedadam", "fedyogi", "fedadagrad", "fedmedian", "fedtrimmedmean", "krum"}


def test_options_out_of_bounds():
    with pytest.raises(PlanError, match="strategy fedprox: options unknown or out of bounds: proximal; its options"):
        base.options("fedprox", {"proximal": -1.0})


@pytest.mark.parametrize("name", ["fedadam", "fedyogi", "fedadagrad", "scaffold"])
def test_a_running_variance_is_averaged_and_never_falls_below_zero(name):
    current = {"norm.running_var": np.array([0.01], np.float32), "w": np.array([0.01], np.float32)}
    change = {key: np.array([-0.009], np.float32) for key in current}
    updates = {site: Update(1.0, change, change) for site in ("alder", "birch")}
    options = base.options(name, {"server_rate": 10.0})
    for statistics in (frozenset(), frozenset({"norm.running_var"})):
        trained = Trained(current, updates, {}, statistics)
        weights, _ = base.find_for_weights(name).aggregate(trained, options)
        if statistics:
            np.testing.assert_allclose(weights["norm.running_var"], [0.001], atol=1e-6)
        else:
            assert weights["norm.running_var"] < 0, "stepped like a weight it would be no variance"
        assert weights["w"] < 0
