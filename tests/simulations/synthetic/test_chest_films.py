"""Drawn chest films show what they are told to show, where a reader would look for it, and are the same every time."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from simulations.synthetic.chest_anatomy import Build, Signs, build
from simulations.synthetic.chest_films import Scanner, draw
from simulations.synthetic.film_brushes import axes, cloud, edge, mirrored, strokes
from simulations.synthetic.film_brushes import draw as put

Film = NDArray[np.float64]
BODY = Build(male=True, width=1, height=1, spacing=0.165, phase=0.1, heart=1, course=5)
WELL = Signs()
SIZE = 160


def film(signs: Signs = WELL, seed: int = 1, **how: object) -> Film:
    """Average over three draws, so that noise and position matter less."""
    films = [draw(BODY, signs, np.random.default_rng((seed, i)), size=SIZE, **how) for i in range(3)]  # type: ignore[arg-type]
    return np.mean(films, axis=0)


NORMAL = film()


def region(pixels: Film, left: float, top: float, right: float, bottom: float) -> Film:
    """Cut out a part, in the frame from -1 to 1."""
    a, b, c, d = (round((edge + 1) / 2 * SIZE) for edge in (left, top, right, bottom))
    return pixels[b:d, a:c]


def heart_width(pixels: Film) -> int:
    """Bright pixels across the chest at the level of the heart, between the lungs' dark middles."""
    line = region(pixels, -0.75, 0.34, 0.75, 0.4).mean(axis=0)
    return int((line > (line.min() + line.max()) / 2).sum())


def floor_height(pixels: Film) -> int:
    """Row below which the right lung ends."""
    line = region(pixels, -0.42, 0, -0.32, 1).mean(axis=1)
    return int(np.argmax(np.diff(line)))


def roughness(pixels: Film) -> float:
    fine = pixels[1:-1, 1:-1] - (pixels[:-2, 1:-1] + pixels[2:, 1:-1] + pixels[1:-1, :-2] + pixels[1:-1, 2:]) / 4
    return float(fine.std())


def test_a_normal_film_has_dark_lungs_a_bright_middle_and_a_black_corner() -> None:
    lungs = [region(NORMAL, side - 0.12, -0.2, side + 0.12, 0.2).mean() for side in (-0.5, 0.5)]
    middle = region(NORMAL, -0.05, 0.1, 0.05, 0.4).mean()
    belly = region(NORMAL, -0.4, 0.8, 0.4, 0.95).mean()
    assert max(lungs) < 0.5 * min(middle, belly)
    assert region(NORMAL, -1, -1, -0.8, -0.85).mean() < 20


def test_a_large_heart_is_wide() -> None:
    assert heart_width(film(Signs(heart=1))) > 1.25 * heart_width(NORMAL)
    assert heart_width(film(Signs(hyperinflation=1))) < 0.9 * heart_width(NORMAL)


@pytest.mark.parametrize(("sign", "side"), [("fluid_right", -1), ("fluid_left", 1)])
def test_fluid_whitens_the_angle_of_its_side_first(sign: str, side: int) -> None:
    def angle(pixels: Film, of: int) -> float:
        corner = (0.68, 0.52, 0.74, 0.6) if of > 0 else (-0.74, 0.52, -0.68, 0.6)
        return float(region(pixels, *corner).mean())

    little, much = film(Signs(**{sign: 0.25})), film(Signs(**{sign: 0.8}))
    assert angle(little, side) > angle(NORMAL, side) + 25
    assert abs(angle(little, -side) - angle(NORMAL, -side)) < 12
    middle = (0.35, 0.1, 0.5, 0.25) if side > 0 else (-0.5, 0.1, -0.35, 0.25)
    assert region(little, *middle).mean() < region(NORMAL, *middle).mean() + 12
    assert region(much, *middle).mean() > region(NORMAL, *middle).mean() + 40


def test_hyperinflation_pushes_the_diaphragm_down_and_flattens_it() -> None:
    inflated = film(Signs(hyperinflation=1))
    assert floor_height(inflated) > floor_height(NORMAL) + 4
    outer = np.diff(region(inflated, -0.72, 0.3, -0.66, 1).mean(axis=1)).argmax() - round(0.3 * SIZE / 2)
    inner = np.diff(region(inflated, -0.36, 0.3, -0.3, 1).mean(axis=1)).argmax() - round(0.3 * SIZE / 2)
    assert abs(int(outer) - int(inner)) <= 4


@pytest.mark.parametrize(
    ("sign", "where", "elsewhere"),
    [
        ("reticulation", (0.4, 0.15, 0.65, 0.35), (-0.3, -0.55, -0.2, -0.45)),
        ("nodules", (0.28, -0.5, 0.5, -0.2), (-0.9, 0.7, -0.7, 0.9)),
        ("tramlines", (-0.6, 0.1, -0.25, 0.4), (0.2, -0.55, 0.3, -0.45)),
    ],
)
def test_fine_signs_roughen_their_zone(sign: str, where: tuple[float, ...], elsewhere: tuple[float, ...]) -> None:
    sick = Signs(**{sign: 1.2})
    films = [
        draw(BODY, signs, np.random.default_rng(i), size=SIZE, scanner=Scanner(noise=0)).astype(np.float64)
        for signs in (Signs(), sick)
        for i in range(3)
    ]
    here = [roughness(region(one, *where)) for one in films]
    there = [roughness(region(one, *elsewhere)) for one in films]
    assert min(here[3:]) > max(here[:3])
    assert np.mean(here[3:]) > 1.1 * np.mean(here[:3])
    assert max(there[3:]) < 1.1 * max(there[:3])


def test_swollen_hila_consolidation_and_congestion_are_bright() -> None:
    hila = [(-0.32, -0.12, -0.22, 0.08), (0.22, -0.12, 0.32, 0.08)]
    for where in hila:
        assert region(film(Signs(hila=1)), *where).mean() > region(NORMAL, *where).mean() + 15
        assert region(film(Signs(congestion=1)), *where).mean() > region(NORMAL, *where).mean() + 15
    lungs = (0.25, -0.5, 0.6, 0.45)
    lungs_too = (-0.6, -0.5, -0.25, 0.45)
    sick = draw(BODY, Signs(consolidation=1), np.random.default_rng(2), size=SIZE).astype(np.float64)
    well = draw(BODY, Signs(), np.random.default_rng(2), size=SIZE).astype(np.float64)
    brighter = [np.quantile(region(sick, *side) - region(well, *side), 0.9) for side in (lungs, lungs_too)]
    assert max(brighter) > 35
    assert min(brighter) < 15, "of one lung only"


def test_a_collapsed_lung_leaves_a_dark_rim() -> None:
    for seed in range(4):
        torn = draw(BODY, Signs(collapse=1), np.random.default_rng(seed), size=SIZE, scanner=Scanner(noise=0))
        well = draw(BODY, Signs(), np.random.default_rng(seed), size=SIZE, scanner=Scanner(noise=0))
        changed = [
            region(torn.astype(np.float64) - well, *where).mean()
            for where in ((-0.62, -0.2, -0.56, 0.0), (0.56, -0.2, 0.62, 0.0))
        ]
        assert min(changed) < max(changed) - 3


def test_tubes_lie_in_the_windpipe() -> None:
    where = (-0.04, -0.8, 0.06, -0.4)
    assert roughness(region(film(Signs(tubes=1)), *where)) > 1.5 * roughness(region(NORMAL, *where))


def test_signs_grow() -> None:
    widths = [heart_width(film(Signs(heart=extent))) for extent in (0, 0.5, 1, 1.5)]
    assert widths == sorted(set(widths))
    floors = [floor_height(film(Signs(hyperinflation=extent))) for extent in (0, 0.5, 1)]
    assert floors == sorted(set(floors))


def test_people_keep_their_chest_and_films_differ() -> None:
    one, other = build(np.random.default_rng(1), True), build(np.random.default_rng(2), True)
    assert one == build(np.random.default_rng(1), True) != other
    films = [draw(body, Signs(), np.random.default_rng(3), size=SIZE) for body in (one, one, other)]
    assert np.array_equal(films[0], films[1])
    assert not np.array_equal(films[0], films[2])
    assert not np.array_equal(films[0], draw(one, Signs(), np.random.default_rng(4), size=SIZE))


def test_a_bedside_film_is_noisier_and_its_heart_wider() -> None:
    lying = film(lying=True)
    assert heart_width(lying) > heart_width(NORMAL)
    assert floor_height(lying) < floor_height(NORMAL)


def test_a_scanner_shows_the_same_chest_differently() -> None:
    other = draw(
        BODY, Signs(), np.random.default_rng(1), size=SIZE, scanner=Scanner(contrast=0.6, border=0.05, marker=True)
    )
    usual = draw(BODY, Signs(), np.random.default_rng(1), size=SIZE)
    assert other.std() < usual.std()
    assert other[:6].max() == other[:, -6:].max() == 0
    assert other[10:20, -18:-8].max() == 255


def test_the_same_film_in_another_process() -> None:
    code = (
        "import hashlib, numpy as np\n"
        "from simulations.synthetic.chest_anatomy import Build, Signs\n"
        "from simulations.synthetic.chest_films import draw\n"
        "body = Build(male=True, width=1, height=1, spacing=0.165, phase=0.1, heart=1, course=5)\n"
        "film = draw(body, Signs(nodules=1, fluid_left=0.5), np.random.default_rng(8))\n"
        "print(film.shape, film.dtype, hashlib.sha256(film.tobytes()).hexdigest())"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    here = draw(BODY, Signs(nodules=1, fluid_left=0.5), np.random.default_rng(8))
    assert there == f"(320, 320) uint8 {hashlib.sha256(here.tobytes()).hexdigest()}"


# --- what films are drawn with


def test_an_edge_by_hand() -> None:
    distance = np.array([-1.0, -0.05, 0.0, 0.025, 1.0], np.float32)
    assert edge(distance, 0.1).tolist() == pytest.approx([0, 0, 0.5, 3 * 0.75**2 - 2 * 0.75**3, 1])
    assert edge(distance, 0.1).dtype == np.float32


def test_dots_against_the_formula() -> None:
    x, y = axes(64)
    x = x + 0.05 * y + np.float32(0.01)
    dots = np.array([[0.1, -0.2, 0.06, 0.7], [-0.93, 0.5, 0.1, 1.0], [0.4, 0.4, 0.02, -0.3], [3.0, 0.0, 0.1, 1.0]])
    expected = np.zeros((64, 64))
    for at_x, at_y, thickness, strength in dots[:3]:
        # Distances across are measured along the row of the dot.
        row = (at_y - y[0, 0]) / (y[1, 0] - y[0, 0])
        column = (at_x - x[0, 0] - (x[1, 0] - x[0, 0]) * row) / (x[0, 1] - x[0, 0])
        spread = max(thickness / (x[0, 1] - x[0, 0]), 0.6)
        rows, columns = np.mgrid[:64, :64]
        far = ((rows - row) ** 2 + (columns - column) ** 2) / spread**2
        expected += strength * np.exp(-far / 2)
    drawn = put(dots, x, y)
    # Beyond two standard deviations nothing is drawn.
    assert np.abs(drawn - expected).max() < 0.14
    peaks = [np.unravel_index(np.argmax(np.abs(one)), one.shape) for one in (drawn, expected)]
    assert peaks[0] == peaks[1]
    assert drawn.sum() == pytest.approx(expected.sum(), rel=0.12)


def test_strokes_begin_where_they_are_told_and_taper() -> None:
    dots = strokes(np.array([[0.1, 0.2]]), np.array([0.0]), np.array([0.5]), 0.02, 0.4, np.zeros(1))
    assert dots[0, :2] == pytest.approx([0.1, 0.2], abs=0.01)
    assert dots[-1, :2] == pytest.approx([0.6, 0.2], abs=1e-9)
    assert dots[0, 2:].tolist() == pytest.approx([0.02, 0.4])
    assert dots[-1, 2:].tolist() == pytest.approx([0.01, 0.2])
    assert strokes(np.empty((0, 2)), *[np.empty(0)] * 2, 0.1, 0.1, np.empty(0)).shape == (0, 4)
    turned = mirrored(dots, np.arange(len(dots)) == 0)
    assert (turned[0, 0], turned[1, 0]) == (-dots[0, 0], dots[1, 0])


def test_clouds_are_smooth_and_centred() -> None:
    drawn = np.stack([cloud(np.random.default_rng(i), 80, 8) for i in range(30)])
    assert abs(float(drawn.mean())) < 0.1
    assert np.abs(np.diff(drawn, axis=1)).mean() < 0.2 * drawn.std()
