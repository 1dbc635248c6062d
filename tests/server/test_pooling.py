"""Tables put together are what numpy counts over everybody; estimates keep every sum that was told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.clinical.variables import Variable, variables
from common.disclosure import runs, suppress, withhold
from server.pooling import QUANTILES, estimate, pool, quantiles

AGE, VENT, GENDER = variables(("age", "vent", "gender=Female", "gender=Male"), "all", {})


def table(ages: np.ndarray) -> list[int]:
    cell = np.where(np.isnan(ages), 0, 1 + np.searchsorted(AGE.edges, ages, side="right"))
    return np.bincount(cell, minlength=AGE.cells).tolist()


@pytest.fixture(scope="module")
def sites() -> dict[str, np.ndarray]:
    """Three sites whose every bin is empty or large: nothing has to be withheld."""
    rng = np.random.default_rng(4)
    drawn = {f"site-{k}": rng.uniform(20 + 5 * k, 85, 4000) for k in range(3)}
    return {site: np.concatenate([ages, np.full(100, np.nan)]) for site, ages in drawn.items()}


def pooled(sites, *, variable: Variable = AGE, noised: bool = False):
    known = {site: ages[~np.isnan(ages)] for site, ages in sites.items()}
    moments = {} if noised else {site: (ages.mean(), ages.std()) for site, ages in known.items()}
    tables = {site: table(ages) for site, ages in sites.items()}
    told = tables if noised else {site: withhold(cells) for site, cells in tables.items()}
    return pool(variable, told, moments, minimum=dict.fromkeys(sites, 11), noised=noised)


def test_nothing_withheld_is_the_histogram_of_everybody(sites):
    whole = np.concatenate(list(sites.values()))
    found = pooled(sites)
    assert all(min(each.cells) >= 0 for each in found.sites)  # control: nothing is withheld
    counts, _ = np.histogram(whole, AGE.edges)
    assert list(found.cells[2:-1]) == counts.tolist()
    assert found.cells[0] == np.isnan(whole).sum() == 300


def test_moments_and_quantiles_of_everybody(sites):
    whole = np.concatenate(list(sites.values()))
    whole = whole[~np.isnan(whole)]
    found = pooled(sites)
    np.testing.assert_allclose((found.mean, found.deviation), (whole.mean(), whole.std()), rtol=1e-9)
    np.testing.assert_allclose(found.quantiles, np.quantile(whole, QUANTILES), atol=0.5)  # bins are 5 wide
    rough = pooled(sites, noised=True)  # as if noise had been nil: moments from the bins
    np.testing.assert_allclose((rough.mean, rough.deviation), (whole.mean(), whole.std()), rtol=0.01)


def test_a_mean_comes_only_from_the_sites_that_tell_theirs(sites):
    tables = {site: withhold(table(ages)) for site, ages in sites.items()}
    found = pool(AGE, tables, {"site-1": (50.0, 3.0)}, minimum=dict.fromkeys(sites, 11), noised=False)
    assert (found.mean, found.deviation) == (50.0, 3.0)
    assert pool(AGE, tables, {}, minimum=dict.fromkeys(sites, 11), noised=False).mean is None


def test_values_are_known_by_their_cells():
    found = pool(VENT, {"a": [0, 75, 25], "b": [10, 50, 50]}, {}, minimum={"a": 3, "b": 3}, noised=False)
    assert (found.cells, found.mean) == ((10, 125, 75), 0.375)
    assert found.deviation == pytest.approx(np.std([0] * 125 + [1] * 75))
    categories = pool(GENDER, {"a": [0, 30, 20]}, {}, minimum={"a": 11}, noised=False)
    assert (categories.cells, categories.mean, categories.quantiles) == ((0, 30, 20), None, ())


def test_noise_cancels_before_negative_counts_are_cut_off():
    found = pool(VENT, {"a": [-4, 50, 20], "b": [3, -30, 25]}, {}, minimum={"a": 11, "b": 11}, noised=True)
    assert found.cells == (0, 20, 45)
    assert found.mean == pytest.approx(45 / 65)
    empty = pool(VENT, {"a": [0, -5, 2]}, {}, minimum={"a": 11}, noised=True)
    assert (empty.mean, empty.deviation) == (None, None)


def test_nobody_told_anything():
    found = pool(AGE, {}, {}, minimum={}, noised=False)
    assert (found.sites, set(found.cells), found.mean, found.quantiles) == ((), {0.0}, None, ())


def test_estimates_by_hand():
    assert estimate([0, 30, 0, 12], 11).tolist() == [0, 30, 0, 12]
    assert estimate([-1, 1200], 11).tolist() == [5.5, 1194.5]
    assert estimate([0, 1200, -2], 11).tolist() == [0, 1194.5, 5.5]
    assert estimate([-1, -1, 12, 40], 11).tolist() == [4, 4, 4, 40]
    assert estimate([-1, -1, 100, -2], 11).tolist() == [2.75, 2.75, 89, 5.5]


tables = st.lists(st.one_of(st.integers(0, 3), st.integers(0, 300), st.just(0)), min_size=1, max_size=12)


@given(tables, st.integers(3, 11))
def test_estimates_keep_what_was_told_and_are_no_further_off_than_a_few_small_counts(cells, minimum):
    if suppress(sum(cells), minimum) is None:
        return
    told = withhold(cells, minimum)
    found = estimate(told, minimum)
    assert (found >= 0).all()
    for run in runs(told):
        inside = slice(run.first, run.last + 1)
        assert found[inside].sum() == pytest.approx(run.total)
        assert np.abs(found[inside] - cells[inside]).max() <= 4 * minimum


def test_quantiles_by_hand():
    assert quantiles(np.array([0.0, 10, 10, 0]), (0.0, 1.0, 2.0)) == pytest.approx((0.1, 0.5, 1.0, 1.5, 1.9))
    assert quantiles(np.array([50.0, 0, 0, 50]), (0.0, 1.0, 2.0)) == (0.0, 0.0, 0.0, 2.0, 2.0)
    assert quantiles(np.array([0.0, 0, 8, 0]), (0.0, 1.0, 2.0)) == pytest.approx((1.05, 1.25, 1.5, 1.75, 1.95))


@given(st.lists(st.integers(0, 50), min_size=4, max_size=12).filter(any))
def test_quantiles_rise_and_stay_inside(cells):
    edges = tuple(np.linspace(-3, 4, len(cells) - 1))
    found = quantiles(np.array(cells, float), edges)
    assert list(found) == sorted(found)
    assert edges[0] <= found[0]
    assert found[-1] <= edges[-1]
