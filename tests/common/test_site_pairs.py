"""How much of an overall AUROC is the site: by hand, as a property, and against all pairs counted one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.score_histogram import ScoreHistogram, score_bins
from common.site_pairs import Parts, alone, parts, share_within, within

BINS = 64


def site(negatives: list[int], positives: list[int]) -> ScoreHistogram:
    """Scores by bin, each row in the bin it names."""
    low, high = (np.bincount(rows, minlength=BINS).astype(np.int64) for rows in (negatives, positives))
    return ScoreHistogram(low, high)


rows = st.lists(st.integers(0, BINS - 1), max_size=6)
some_sites = st.lists(st.builds(site, rows, rows), min_size=1, max_size=4).filter(
    lambda found: any(one.negatives.any() for one in found) and any(one.positives.any() for one in found)
)


def counted(sites: list[ScoreHistogram], scores: dict[int, float] | None = None) -> Parts:
    """Look at every pair; a tie counts half. ``scores`` replaces each row's score by its site's."""
    won: dict[bool, list[float]] = {True: [], False: []}
    for here, one in enumerate(sites):
        for there, other in enumerate(sites):
            for low in np.repeat(np.arange(BINS), one.negatives):
                for high in np.repeat(np.arange(BINS), other.positives):
                    a, b = (scores[here], scores[there]) if scores else (low, high)
                    won[here == there].append(0.5 if a == b else float(b > a))
    mean = {same: float(np.mean(values)) if values else None for same, values in won.items()}
    return Parts(float(np.mean(won[True] + won[False])), mean[True], mean[False])


def test_two_sites_by_hand() -> None:
    sites = [site([5, 9], [9]), site([20], [30, 10])]
    # Of one site: (9 ties 9, 9 over 5) 1.5 of 2, and (30 over 20, 10 not) 1 of 2. Of two: 9 not over 20; 30 and 10
    # over 5 and 9, all four.
    assert parts(sites) == Parts(
        whole=pytest.approx(6.5 / 9), within=pytest.approx(2.5 / 4), between=pytest.approx(0.8)
    )
    # The prevalences are 1/3 and 2/3: 4 of the 5 pairs of two sites are in order.
    assert alone(sites) == Parts(whole=pytest.approx(6 / 9), within=0.5, between=pytest.approx(0.8))
    assert share_within(sites) == pytest.approx(4 / 9)


@given(some_sites)
def test_as_counted_pair_by_pair(sites: list[ScoreHistogram]) -> None:
    def close(found: Parts, expected: Parts) -> None:
        for name in ("whole", "within", "between"):
            one, other = getattr(found, name), getattr(expected, name)
            assert (one is None) == (other is None)
            assert one is None or one == pytest.approx(other, abs=1e-9)

    close(parts(sites), counted(sites))
    prevalence = {
        place: one.positives.sum() / max(1, one.negatives.sum() + one.positives.sum())
        for place, one in enumerate(sites)
    }
    close(alone(sites), counted(sites, prevalence))


@given(some_sites)
def test_the_site_alone_is_never_worse_than_chance(sites: list[ScoreHistogram]) -> None:
    assert alone(sites).whole >= 0.5 - 1e-12


def test_equal_prevalences_tell_nothing_and_a_site_of_one_class_everything() -> None:
    same = [site([1, 2], [3]), site([1, 2, 3, 4], [5, 6])]
    assert alone(same).whole == pytest.approx(0.5)
    assert alone([site([1, 2], []), site([], [3])]) == Parts(whole=1.0, within=None, between=1.0)


def test_the_interval_is_of_the_pairs_within_sites() -> None:
    rng = np.random.default_rng(3)
    labels = np.arange(400) % 2
    good = [
        score_bins(labels, 1 / (1 + np.exp(-(shift + rng.normal(1.5 * labels, 1.0)))), BINS) for shift in (-4.0, 2.0)
    ]
    found = within(good, np.random.default_rng(1), 400)
    assert found is not None
    assert found.value == parts(good).within
    assert found.low < found.value < found.high
    assert 0.03 < found.high - found.low < 0.1, "about 4 standard errors of 200 against 200"
    assert within([site([1], []), site([], [3])], rng) is None


def test_a_missing_class_is_refused() -> None:
    with pytest.raises(ValueError, match="both classes"):
        alone([site([1], []), site([2], [])])
