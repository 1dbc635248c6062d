"""Sites' tables of one variable put together: estimates of what was withheld, moments, quantiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from common.clinical.variables import Variable
from common.disclosure import Run, runs
from server.results import Distribution, TableAtSite

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
Floats = NDArray[np.float64]
Moments = tuple[float | None, float | None]


def pool(
    variable: Variable,
    tables: Mapping[str, Sequence[int]],
    moments: Mapping[str, tuple[float, float]],
    *,
    minimum: Mapping[str, int],
    noised: bool,
) -> Distribution:
    """Put one variable's tables together.

    Parameters
    ----------
    variable : Variable
    tables : mapping of site to cells
        As told; see :class:`common.messages.StatisticsReply`.
    moments : mapping of site to (mean, standard deviation)
        Of the sites that tell them.
    minimum : mapping of site to int
        Smallest count but zero that it tells.
    noised : bool
        Whether the cells carry noise; moments then come from the cells.
    """
    guessed = {
        site: np.array(cells, float) if noised else estimate(cells, minimum[site]) for site, cells in tables.items()
    }
    sums = np.sum(list(guessed.values()), axis=0) if guessed else np.zeros(variable.cells)
    rows = {site: float(guessed[site][1:].sum()) for site in moments}
    mean, deviation = _of_sites(rows, moments) if variable.continuous and not noised else _of_cells(sums, variable)
    whole = np.maximum(sums, 0)
    return Distribution(
        name=variable.name,
        unit=next(iter(variable.units), ""),
        categories=variable.categories,
        edges=variable.edges,
        values=variable.values,
        continuous=variable.continuous,
        sites=tuple(_at(site, cells, moments.get(site)) for site, cells in tables.items()),
        cells=tuple(whole.tolist()),
        mean=mean,
        deviation=deviation,
        quantiles=quantiles(whole[1:], variable.edges) if variable.continuous and whole[1:].any() else (),
    )


def estimate(told: Sequence[int], minimum: int) -> Floats:
    """Estimate the cells behind the sums of runs.

    The few rows of a loose run are spread evenly over its cells. Of other runs each part that is a small
    count is taken to be in the middle of what that can be, and the rest to be at the cell of the sum.
    """
    cells = np.zeros(len(told))
    for run in runs(told):
        before, behind = slice(run.first, run.at), slice(run.at + 1, run.last + 1)
        if loose(run, minimum):
            cells[run.first : run.last + 1] = run.total / (run.last + 1 - run.first)
            continue
        for part in (before, behind):
            cells[part] = minimum / 2 / max(part.stop - part.start, 1)
        cells[run.at] = run.total - cells[before].sum() - cells[behind].sum()
    return cells


def loose(run: Run, minimum: int) -> bool:
    """Whether the rows of a run may well be anywhere in it: few rows in many cells."""
    cells = run.last + 1 - run.first
    return cells > 1 and run.total < (4 if cells > 2 else 2) * minimum


def quantiles(cells: Floats, edges: Sequence[float]) -> tuple[float, ...]:
    """Quantiles of binned numbers, each bin's rows taken to be spread evenly.

    Parameters
    ----------
    cells : (len(edges) + 1,) float64
        Counts, some above 0. Quantiles in one of the two open cells are told as the outermost edge.
    edges : sequence of float
    """
    below = np.cumsum(cells)[:-1]
    return tuple(_quantile(share * float(cells.sum()), below, edges) for share in QUANTILES)


def _quantile(rank: float, below: Floats, edges: Sequence[float]) -> float:
    """Find where as many rows as the rank lie below, given how many lie below each edge."""
    place = int(np.searchsorted(below, rank))
    if place in (0, len(edges)):
        return edges[0] if place == 0 else edges[-1]
    part = float((rank - below[place - 1]) / (below[place] - below[place - 1]))
    return edges[place - 1] + part * (edges[place] - edges[place - 1])


def _of_cells(cells: Floats, variable: Variable) -> Moments:
    """Mean and standard deviation of numbers known by their cells."""
    rows = cells[1:]
    if not variable.values or not rows.sum() > 0:
        return None, None
    values = np.array(variable.values)
    mean = float(rows @ values / rows.sum())
    variance = float(rows @ (values - mean) ** 2 / rows.sum())
    return mean, None if variance < 0 else variance**0.5  # noise can make it negative


def _of_sites(rows: Mapping[str, float], moments: Mapping[str, tuple[float, float]]) -> Moments:
    """Mean and standard deviation over the sites that tell theirs, by how many values each knows."""
    if not rows:
        return None, None
    weight = np.array(list(rows.values()))
    means, deviations = np.array([moments[site] for site in rows]).T
    mean = float(weight @ means / weight.sum())
    return mean, float(np.sqrt(weight @ (deviations**2 + (means - mean) ** 2) / weight.sum()))


def _at(site: str, cells: Sequence[int], moments: tuple[float, float] | None) -> TableAtSite:
    mean, deviation = moments or (None, None)
    return TableAtSite(site=site, cells=tuple(cells), mean=mean, deviation=deviation)
