"""Pictures of the sites' data: histograms of what differs most, missing values, distances between sites."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from common.page_style import FAINT, INK, QUIET, ink_on, shade
from server.report import description
from server.report.drawing import DOTTED, WIDTH, Style, canvas, short
from server.results import Distribution, Results, TableAtSite

COLORS = ("#0072b2", "#d55e00", "#00875f", "#b1568c", "#2b2f36", "#c07d00", "#5d3a9b", "#3c8fc4")
"""Of sites; with more sites than colours none has one. Okabe and Ito's hues as in the other plots."""
MOST_HISTOGRAMS, MOST_LACKING, MOST_APART = 12, 40, 24
_ACROSS = 4


def site_color(site: str, sites: Sequence[str]) -> str:
    """Give each of a few sites its own colour, many the same."""
    return COLORS[sites.index(site)] if len(sites) <= len(COLORS) else "#8ab4d0"


def histograms(results: Results, sites: Sequence[str]) -> str:
    """Draw the numbers that differ most between sites: all sites filled, each site a line."""
    chosen = most_different(results)
    rows = -(-len(chosen) // _ACROSS)
    with canvas(0.25 + 1.75 * rows, 2.05 * WIDTH) as (figure, finish):
        axes = np.atleast_1d(figure.subplots(rows, _ACROSS, squeeze=False)).ravel()
        for place, variable in zip(axes, chosen, strict=False):
            _histogram(place, variable, results, sites)
        for place in axes[len(chosen) :]:
            place.set_axis_off()
    return finish("histograms", "Histograms of the features that differ most between sites")


def most_different(results: Results) -> list[Distribution]:
    """Choose the numbers whose distributions at the sites lie furthest apart, by the mean distance from all sites."""
    assert results.description
    found: list[tuple[float, int, Distribution]] = []
    for variable in results.description.features:
        distances = list(description.shifts(variable, results).values())
        if variable.continuous and any(variable.cells[1:]):
            found.append((-float(np.mean(distances)), len(found), variable))
    return [variable for *_, variable in sorted(found)[:MOST_HISTOGRAMS]]


def missingness(results: Results, sites: Sequence[str]) -> str:
    """Draw the share of missing values, features by sites; hatched is withheld."""
    rows = incomplete(results)
    with canvas(0.55 + 0.215 * len(rows)) as (figure, finish):
        axes = figure.subplots()
        for row, variable in enumerate(rows):
            _cell(axes, 0, row, description.missing_everywhere(variable), few=False)
            for table in variable.sites:
                few = bool(description.small(table, results)[0])
                _cell(axes, 1 + sites.index(table.site), row, description.missing(table, results), few=few)
        axes.set_xlim(-0.5, len(sites) + 0.5)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.axvline(0.5, color="white", linewidth=4)
        turned: Style = {"rotation": 30, "ha": "left", "rotation_mode": "anchor"} if len(sites) > 3 else {}
        axes.set_xticks(range(len(sites) + 1), ["All", *map(short, sites)], color=INK, **turned)
        axes.set_yticks(range(len(rows)), [short(description.plain(variable)) for variable in rows], color=INK)
        axes.xaxis.tick_top()
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
    return finish("missingness", "Share of missing values by feature and site")


def incomplete(results: Results) -> list[Distribution]:
    """List the features that somebody lacks, the most incomplete first."""
    assert results.description
    lacking = [v for v in results.description.features if any(table.cells[0] != 0 for table in v.sites)]
    return sorted(lacking, key=lambda variable: -description.missing_everywhere(variable))[:MOST_LACKING]


def distances(results: Results, sites: Sequence[str]) -> str:
    """Draw how far each site's distribution of each feature lies from that of all sites."""
    rows = apart(results)
    with canvas(0.55 + 0.215 * len(rows)) as (figure, finish):
        axes = figure.subplots()
        for row, variable in enumerate(rows):
            found = description.shifts(variable, results)
            axes.hlines(row, 0, max(found.values()), color=FAINT, linewidth=1, zorder=1)
            for site, distance in found.items():
                color = site_color(site, sites)
                axes.plot(distance, row, "o", color=color, markersize=4.6, markeredgewidth=0, alpha=0.85)
        axes.set_yticks(range(len(rows)), [short(description.plain(variable)) for variable in rows], color=INK)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.tick_top()
        axes.grid(visible=False, axis="y")
        axes.spines[:].set_visible(False)
    return finish("distances", "Distance of each site's data from that of all sites, by feature")


def apart(results: Results) -> list[Distribution]:
    """List the features with a known distance at some site, the furthest apart first."""
    assert results.description
    found = {v.name: description.shifts(v, results) for v in results.description.features}
    known = [v for v in results.description.features if max(found[v.name].values(), default=0) > 0]
    return sorted(known, key=lambda v: -max(found[v.name].values()))[:MOST_APART]


def _cell(axes: Axes, column: int, row: int, share: float, *, few: bool) -> None:
    """One cell of the map; few is withheld as a small count, its share not written."""
    hatched: Style = {"facecolor": "#f6f7f9", "hatch": "/////", "edgecolor": "#c9d0d8", "linewidth": 0}
    shaded: Style = {"facecolor": shade(share), "linewidth": 0}
    axes.add_patch(Rectangle((column - 0.47, row - 0.44), 0.94, 0.88, **(hatched if few else shaded)))
    if not few:
        text = f"{share:.0%}" if 0.005 <= share <= 0.995 or share in (0, 1) else ("<1%" if share < 0.5 else ">99%")
        axes.text(column, row, text, ha="center", va="center", fontsize=7.5, color=ink_on(share))


def _histogram(axes: Axes, variable: Distribution, results: Results, sites: Sequence[str]) -> None:
    step = variable.edges[1] - variable.edges[0]
    edges = np.array([variable.edges[0] - step, *variable.edges, variable.edges[-1] + step])
    whole = np.array(variable.cells[1:])
    axes.stairs(whole / whole.sum(), edges, fill=True, color="#e3e8ee")
    for table in variable.sites:
        _outline(axes, table, results, edges, site_color(table.site, sites))
    axes.set_title(description.name(variable, cut=True), fontsize=9, loc="left", color=INK, pad=4)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.tick_params(labelsize=8, colors=QUIET)


def _outline(axes: Axes, table: TableAtSite, results: Results, edges: description.Floats, color: str) -> None:
    """One site's histogram as a line, dotted where bins hold a small count."""
    cells = description.site_cells(table, results)
    if not cells[1:].sum():
        return
    heights, few = cells[1:] / cells[1:].sum(), description.small(table, results)[1:]
    style: Style = {"baseline": None, "color": color, "linewidth": 1.1}
    axes.stairs(heights, edges, linestyle=DOTTED, **style)
    axes.stairs(np.where(few, np.nan, heights), edges, **style)
