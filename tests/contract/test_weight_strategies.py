"""What every aggregation rule for weights promises, whatever it is called."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.exceptions import PlanError
from strategies import base
from strategies.weights.update import Trained, Update

EVERY = pytest.mark.parametrize("name", base.names(trees=False))
PARAMETERS = {"encoders.series.weight": (2, 3), "encoders.table.bias": (4,), "head.weight": (1, 5)}


def drawn(seed: int, scale: float = 1.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: (scale * rng.normal(size=shape)).astype(np.float32) for name, shape in PARAMETERS.items()}


def trained(changes: dict[str, dict[str, np.ndarray]], state=None) -> Trained:
    updates = {site: Update(1.0 + index, change, change) for index, (site, change) in enumerate(changes.items())}
    return Trained(drawn(0), updates, state or {})


def aggregated(name: str, given_: Trained):
    return base.find_for_weights(name).aggregate(given_, base.options(name, {}))


def five(scale: float = 1.0) -> dict[str, dict[str, np.ndarray]]:
    return {site: drawn(number, scale) for number, site in enumerate(("alder", "birch", "cedar", "elm", "fir"), 1)}


def test_the_strategies_for_weights_are_modules_of_the_package():
    assert {"fedavg", "fedprox", "fedadam", "fedyogi", "fedadagrad", "fedmedian", "fedtrimmedmean", "krum"} <= set(
        base.names(trees=False)
    )
    assert {"scaffold", "fedbn", "fedper", "ditto"} <= set(base.names(trees=False))


@pytest.mark.parametrize("name", ["fedxgb_bagging", "base", "weights", "", "os", "weights.mean"])
def test_an_unknown_name_is_refused_with_the_known_ones(name):
    with pytest.raises(PlanError, match="known for weights: ditto, fedadagrad"):
        base.find_for_weights(name)


@EVERY
def test_unknown_options_are_refused(name):
    with pytest.raises(PlanError, match="unknown or out of bounds: momentum_of_the_moon"):
        base.options(name, {"momentum_of_the_moon": 1.0})


@EVERY
def test_shapes_types_and_names_stay(name):
    weights, _ = aggregated(name, trained(five()))
    assert {key: (value.shape, value.dtype) for key, value in weights.items()} == {
        key: (shape, np.dtype(np.float32)) for key, shape in PARAMETERS.items()
    }
    assert all(np.isfinite(value).all() for value in weights.values())


@EVERY
@given(order=st.permutations(["alder", "birch", "cedar", "elm", "fir"]))
def test_it_does_not_depend_on_who_answered_first(name, order):
    whole = trained(five())
    shuffled = Trained(whole.current, {site: whole.updates[site] for site in order}, whole.state)
    for one, other in zip(aggregated(name, whole), aggregated(name, shuffled), strict=True):
        assert {key: value.tobytes() for key, value in one.items()} == {k: v.tobytes() for k, v in other.items()}


@EVERY
def test_nothing_given_is_changed(name):
    whole = trained(five())
    before = {key: value.copy() for key, value in whole.current.items()}
    state = aggregated(name, whole)[1]
    kept = {key: np.array(value) for key, value in state.items()}
    aggregated(name, trained(five(), state))
    assert all(np.array_equal(value, before[key]) for key, value in whole.current.items())
    assert all(np.array_equal(value, kept[key]) for key, value in state.items())


@EVERY
def test_a_parameter_that_nobody_trained_stays(name):
    changes = {site: {"head.weight": change["head.weight"]} for site, change in five().items()}
    weights, _ = aggregated(name, trained(changes))
    for key in ("encoders.series.weight", "encoders.table.bias"):
        assert weights[key].tobytes() == drawn(0)[key].tobytes()
    assert not np.array_equal(weights["head.weight"], drawn(0)["head.weight"])


@pytest.mark.parametrize("name", sorted({*base.names(trees=False)} - {"krum"}))  # which four are too few for
def test_a_module_counts_the_sites_that_trained_it(name):
    """A site without films: the others' film encoder is aggregated as if they were alone."""
    changes = five()
    without = {key: value for key, value in changes["fir"].items() if key != "encoders.series.weight"}
    partial, _ = aggregated(name, trained({**changes, "fir": without}))
    alone, _ = aggregated(name, trained({site: changes[site] for site in ("alder", "birch", "cedar", "elm")}))
    assert partial["encoders.series.weight"].tobytes() == alone["encoders.series.weight"].tobytes()


@EVERY
def test_no_change_changes_nothing(name):
    still = {site: {key: np.zeros(shape, np.float32) for key, shape in PARAMETERS.items()} for site in five()}
    weights, _ = aggregated(name, trained(still))
    assert all(np.array_equal(value, drawn(0)[key]) for key, value in weights.items())


@EVERY
def test_all_sites_agreeing_move_the_weights_their_way(name):
    same = drawn(7)
    weights, _ = aggregated(name, trained(dict.fromkeys(five(), same)))
    for key, value in weights.items():
        assert np.array_equal(np.sign(value - drawn(0)[key]), np.sign(same[key]))
