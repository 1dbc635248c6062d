"""Adaptive histogram equalisation: by hand, its properties, and against another implementation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from client.preprocessing.contrast import equalise


def test_four_pixels_by_hand() -> None:
    four = np.array([[0.1, 0.2], [0.2, 0.9]], np.float32)
    assert np.allclose(equalise(four, tiles=1, bins=10, limit=np.inf), [[0.25, 0.75], [0.75, 1.0]])
    # Limit 2: no bin above 2 * 4 / 10 = 0.8. Of 1, 2, 1 remain 0.8 each; 1.6 are spread, 0.16 a bin.
    shares = [(0.8 + 2 * 0.16) / 4, (1.6 + 3 * 0.16) / 4, (2.4 + 10 * 0.16) / 4]
    expected = [[shares[0], shares[1]], [shares[1], shares[2]]]
    assert np.allclose(equalise(four, tiles=1, bins=10, limit=2), expected)


@given(hnp.arrays(np.float32, (9, 9), elements=st.floats(0, 1, width=32)))
def test_one_tile_without_a_limit_is_plain_equalisation(grey: np.ndarray) -> None:
    level = np.minimum((grey.astype(np.float32) * 256).astype(int), 255)
    share = np.array([[(level <= one).mean() for one in row] for row in level])
    assert np.allclose(equalise(grey, tiles=1, limit=np.inf), share, atol=1e-6)


@given(
    hnp.arrays(np.float32, st.integers(1, 24).map(lambda n: (n, n)), elements=st.floats(0, 1, width=32)),
    st.integers(1, 8),
    st.floats(1, 10),
)
@settings(max_examples=60)
def test_values_stay_grey_and_one_tile_keeps_their_order(grey: np.ndarray, tiles: int, limit: float) -> None:
    found = equalise(grey, tiles=tiles, limit=limit)
    assert (found.dtype, found.shape) == (np.float32, grey.shape)
    assert found.min() >= 0
    assert found.max() <= 1
    alone = equalise(grey, tiles=1, limit=limit).ravel()[np.argsort(grey.ravel(), kind="stable")]
    assert (np.diff(alone) >= 0).all()


def test_the_limit_bounds_how_much_noise_is_amplified() -> None:
    noise = np.random.default_rng(5).normal(0.5, 0.01, (64, 64)).astype(np.float32)
    spreads = [equalise(noise, limit=limit).std() for limit in (1, 2, 4, np.inf)]
    assert spreads == sorted(spreads)
    # A bin holds no more than the limit and what is spread over all, at most once an even histogram's.
    assert all(spread < 1.1 * (limit + 1) * noise.std() for spread, limit in zip(spreads, (1, 2, 4), strict=False))
    assert spreads[-1] > 20 * noise.std()


def test_a_shadow_over_one_side_is_evened_out() -> None:
    texture = np.random.default_rng(6).random((96, 96)) * 0.2
    shadowed = (texture + np.linspace(0, 0.8, 96)[None]).astype(np.float32)
    halves = [equalise(shadowed, limit=np.inf)[:, part].mean() for part in (slice(16, 32), slice(64, 80))]
    assert abs(halves[0] - halves[1]) < 0.1 * abs(shadowed[:, 16:32].mean() - shadowed[:, 64:80].mean())


@pytest.mark.parametrize(("size", "tiles", "limit"), [(12, 3, 2.0), (13, 4, 1.5), (5, 5, np.inf)])
def test_it_agrees_with_a_walk_over_pixels(size: int, tiles: int, limit: float) -> None:
    grey = np.random.default_rng(size).beta(2, 5, (size, size)).astype(np.float32)
    level = np.minimum(grey * 16, 15).astype(int)
    tile = [i * tiles // size for i in range(size)]

    def share(row: int, column: int, of: int) -> float:
        found = [level[y, x] for y in range(size) for x in range(size) if (tile[y], tile[x]) == (row, column)]
        most = limit * len(found) / 16
        clipped = [min(found.count(one), most) for one in range(16)]
        spread = (len(found) - sum(clipped)) / 16
        return sum(one + spread for one in clipped[: of + 1]) / max(len(found), 1)

    def mixed(y: int, x: int) -> float:
        total = 0.0
        for row, across in weights(y):
            total += sum(across * down * share(row, column, level[y, x]) for column, down in weights(x))
        return total

    def weights(i: int) -> list[tuple[int, float]]:
        where = min(max((i + 0.5) * tiles / size - 0.5, 0), tiles - 1)
        below = min(int(where), tiles - 2)
        return [(below, below + 1 - where), (below + 1, where - below)]

    expected = [[mixed(y, x) for x in range(size)] for y in range(size)]
    assert np.allclose(equalise(grey, tiles, 16, limit), expected, atol=1e-6)


def test_no_tile_is_empty() -> None:
    grey = np.full((3, 3), 0.5, np.float32)
    assert np.array_equal(equalise(grey), equalise(grey, tiles=3))
    assert (equalise(grey) > 0.4).all()


def test_it_agrees_with_scikit_image() -> None:
    exposure = pytest.importorskip("skimage.exposure")
    y, x = np.mgrid[0:64, 0:64] / 64
    grey = (0.5 + 0.2 * np.sin(7 * x) * np.cos(9 * y) + np.random.default_rng(7).normal(0, 0.05, (64, 64))).clip(0, 1)
    found = equalise(grey.astype(np.float32), limit=np.inf)
    other = exposure.equalize_adapthist(grey, kernel_size=8, clip_limit=1.0)
    assert np.corrcoef(found.ravel(), other.ravel())[0, 1] > 0.95
