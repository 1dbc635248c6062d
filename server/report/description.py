"""What the sites' data looks like, as a reader meets it: shares, rows of tables, what differs most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from common.disclosure import WITH_NEXT, WITH_PREVIOUS, runs
from common.privacy.mechanisms import shares
from server.pooling import QUANTILES, estimate, loose
from server.report.drawing import short
from server.report.tables import ABSENT, Cell, Row, withheld
from server.results import Distribution, Results, TableAtSite

Floats = NDArray[np.float64]
QUANTILE_HEADS = tuple("Median" if each == 0.5 else f"{each:.0%}" for each in QUANTILES)


def lead(results: Results, units: str) -> str:
    """Say what was counted and what keeps a single patient from being seen."""
    description = results.description
    assert description
    if description.epsilon is None:
        return (
            f"Every site counted its {units} in the same public cells. A cell with 1 to {results.minimum_cell - 1} "
            "patients is told only together with a neighbouring one, so that no such count can be worked out. Means "
            "are rounded to three digits."
        )
    label, feature = shares(description.epsilon, len(description.labels), len(description.features))
    noise = f"standard deviation {_deviation(float(label)):.1f} in a count of an outcome"
    if description.features:
        noise += f", {_deviation(float(feature)):.1f} in a count of a feature"
    return (
        "Every site counted each patient once and added noise to every count (discrete Laplace, "
        f"{noise}). All that a site told here costs a patient epsilon = {description.epsilon:g} of pure differential "
        "privacy, whether the patient's data is there or not; nothing exact was told. The noise shows."
    )


def site_cells(table: TableAtSite, results: Results) -> Floats:
    """Return a site's cells, estimates where they were told together or with noise."""
    return np.maximum(table.cells, 0.0) if noised(results) else estimate(table.cells, results.minimum_cell)


def noised(results: Results) -> bool:
    """Whether what the sites told carries noise."""
    return results.description is not None and results.description.epsilon is not None


def small(table: TableAtSite, results: Results) -> NDArray[np.bool_]:
    """Tell which cells of a site are known to be few and not how many; (cells,) bool."""
    few = np.zeros(len(table.cells), np.bool_)
    for run in [] if noised(results) else runs(table.cells):
        few[run.first : run.last + 1] = run.last > run.first
        few[run.at] &= loose(run, results.minimum_cell)
    return few


def missing(table: TableAtSite, results: Results) -> float:
    """Share of a site's rows that lack the variable, about where withheld."""
    cells = site_cells(table, results)
    return float(cells[0] / max(cells.sum(), 1.0))


def missing_everywhere(variable: Distribution) -> float:
    """Share of all rows that lack the variable."""
    return variable.cells[0] / max(sum(variable.cells), 1.0)


def shift(table: TableAtSite, variable: Distribution, results: Results) -> float:
    """Measure how far a site's known values lie from those of all sites.

    Total variation distance, from 0 to 1, less what chance would make of so many rows (the mean distance
    of a sample, by the normal approximation), but not below 0. Cells told together count as one.
    """
    told = site_cells(table, results) if noised(results) else table.cells
    starts = [1, *(k for k in range(2, len(told)) if told[k - 1] != WITH_NEXT and told[k] != WITH_PREVIOUS)]
    cells = (site_cells(table, results), np.array(variable.cells))
    own, all_ = (np.add.reduceat(each, starts) for each in cells)
    if not own.sum() or not all_.sum():
        return 0.0
    here, everywhere = own / own.sum(), all_ / all_.sum()
    chance = np.sqrt(2 / np.pi * everywhere * (1 - everywhere) / own.sum()).sum() / 2
    return max(0.0, float(np.abs(here - everywhere).sum() / 2 - chance))


def shifts(variable: Distribution, results: Results) -> dict[str, float]:
    """Return the distance of every site."""
    return {table.site: shift(table, variable, results) for table in variable.sites}


def prevalence(results: Results, sites: Sequence[str]) -> list[Row]:
    """Share of rows with each label, over all sites and at each."""
    assert results.description
    return [row for label in results.description.labels for row in _shares(label, results, sites, of_label=True)]


def categories(results: Results, sites: Sequence[str]) -> list[Row]:
    """Share of each category and each value of the features that have few."""
    assert results.description
    few = [v for v in results.description.features if not v.continuous and (v.categories or v.values)]
    return [row for variable in few for row in _shares(variable, results, sites)]


def numbers(results: Results) -> list[Row]:
    """Missing share, mean and quantiles of each number over all sites."""
    return [
        Row(name(v), (
            Cell(f"{missing_everywhere(v):.1%}"),
            _mean(v.mean, v.deviation),
            *([Cell(_quantile(value, v)) for value in v.quantiles] or [Cell(ABSENT)] * len(QUANTILES)),
        ))
        for v in _continuous(results)
    ]  # fmt: skip


def means(results: Results, sites: Sequence[str]) -> list[Row]:
    """Mean and standard deviation of each number at each site; none where there is noise."""
    rows = []
    for variable in [] if noised(results) else _continuous(results):
        at = {table.site: _mean(table.mean, table.deviation) for table in variable.sites}
        rows.append(Row(name(variable), tuple(at.get(site, Cell(ABSENT)) for site in sites)))
    return rows


def _continuous(results: Results) -> list[Distribution]:
    assert results.description
    return [variable for variable in results.description.features if variable.continuous]


def number(value: float) -> str:
    """Write three significant digits without an exponent."""
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{float(f'{value:.3g}'):g}"
    return text.replace("-", "−")


def plain(variable: Distribution) -> str:
    """Name a variable as a reader would."""
    return variable.name.replace("_", " ")


def name(variable: Distribution, *, cut: bool = False) -> str:
    """Name a variable with its unit; cut to what fits over a small plot."""
    text = short(plain(variable)) if cut else plain(variable)
    return f"{text}, {variable.unit}" if variable.unit not in ("", "1") else text


def _shares(variable: Distribution, results: Results, sites: Sequence[str], *, of_label: bool = False) -> list[Row]:
    """Rows of one variable: one a category; a question of yes and no has one for yes."""
    names = variable.categories or tuple(f"{value:g}" for value in variable.values)
    yes_or_no = variable.values == (0.0, 1.0)
    chosen = [2] if yes_or_no else range(1, len(names) + 1)
    at = {table.site: table for table in variable.sites}
    return [
        Row(
            names[cell - 1] if of_label and not yes_or_no else
            plain(variable) if yes_or_no else f"{plain(variable)}: {names[cell - 1]}",
            (_share(variable.cells, cell),
             *(_share_at(at[site], cell, results) if site in at else Cell(ABSENT) for site in sites)),
        )
        for cell in chosen
    ]  # fmt: skip


def _share(cells: Sequence[float], cell: int) -> Cell:
    """Share of a cell among the known values."""
    known = sum(cells[1:])
    return Cell(f"{cells[cell] / known:.1%}") if known else Cell(ABSENT)


def _share_at(table: TableAtSite, cell: int, results: Results) -> Cell:
    """Share at a site; of a withheld count only that it is small."""
    return withheld("few") if small(table, results)[cell] else _share(site_cells(table, results).tolist(), cell)


def _mean(mean: float | None, deviation: float | None) -> Cell:
    if mean is None:
        return withheld()
    return Cell(number(mean), f"± {number(deviation)}" if deviation is not None else "")


def _quantile(value: float, variable: Distribution) -> str:
    if value <= variable.edges[0]:
        return f"≤ {number(value)}"
    return f"≥ {number(value)}" if value >= variable.edges[-1] else number(value)


def _deviation(epsilon: float) -> float:
    """Compute the standard deviation of discrete Laplace noise of scale 1 / epsilon."""
    ratio = float(np.exp(-epsilon))
    return float((2 * ratio) ** 0.5 / (1 - ratio))
