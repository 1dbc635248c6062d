"""Plots as inline SVG: one palette, labels beside the lines, the same bytes every time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from io import StringIO
from statistics import fmean
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import EngFormatter, MaxNLocator

from common.score_histogram import ScoreHistogram, calibration, precision_recall_points, roc_points
from server.report.summary import OVERALL, Line
from server.results import Round, StageHistory

MOST_SITES_DRAWN = 30
INK, QUIET, FAINT = "#1d2530", "#667080", "#dfe3e8"
_WIDTH = 4.7  # inches; small, so that text stays legible when the page shrinks to a phone
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none", "text.parse_math": False, "path.simplify": True,
    "font.size": 9, "axes.labelsize": 9, "xtick.labelsize": 8.5, "ytick.labelsize": 8.5,
    "text.color": INK, "axes.labelcolor": QUIET, "xtick.color": QUIET, "ytick.color": QUIET,
    "axes.edgecolor": FAINT, "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "axes.axisbelow": True, "grid.color": "#eef0f3", "grid.linewidth": 0.8,
    "xtick.major.size": 0, "ytick.major.size": 0, "lines.linewidth": 1.7, "lines.solid_capstyle": "round",
}  # fmt: skip


def roc(lines: Sequence[Line]) -> str:
    """ROC curves over all sites."""
    with _figure(3.9) as (figure, done):
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1)
        for line in reversed(_drawn(lines)):
            assert line.histogram
            axes.plot(*roc_points(line.histogram), color=line.color, linestyle=line.dash)
        _named(axes, lines, "auroc", top=False)
        _square(axes, "False positive rate (1 − specificity)", "True positive rate (sensitivity)")
    return done("roc", "ROC curves over all held-out patients")


def precision_recall(lines: Sequence[Line]) -> str:
    """Precision-recall curves over all sites, with the prevalence as the floor."""
    with _figure(3.9) as (figure, done):
        axes = figure.subplots()
        first = next(line.histogram for line in lines if line.histogram and line.kind != "reference")
        prevalence = first.positives.sum() / (first.positives.sum() + first.negatives.sum())
        axes.axhline(prevalence, color=FAINT, linewidth=1)
        axes.text(0.0, prevalence - 0.015, f"prevalence {prevalence:.1%}", color=QUIET, fontsize=8, va="top")
        for line in reversed(_drawn(lines)):
            assert line.histogram
            recall, precision = precision_recall_points(line.histogram)
            found = recall > 0  # before the first hit precision is nil by definition
            axes.plot(recall[found], precision[found], color=line.color, linestyle=line.dash)
        _named(axes, lines, "auprc", top=True)
        _square(axes, "Recall (sensitivity)", "Precision (positive predictive value)")
    return done("pr", "Precision-recall curves over all held-out patients")


def reliability(lines: Sequence[Line]) -> str:
    """Observed beside predicted risk, in ten groups of patients by predicted risk."""
    with _figure(3.9) as (figure, done):
        axes = figure.subplots()
        top = 0.0
        for line in _drawn(lines):
            assert line.histogram
            groups = calibration(line.histogram)
            top = max(top, groups.predicted.max(), groups.observed.max())
            style = {"color": line.color, "linestyle": line.dash, "marker": line.marker}
            axes.plot(groups.predicted, groups.observed, markersize=4.5, markeredgewidth=0, linewidth=1.2, **style)
        top = min(1.0, top * 1.06)
        axes.plot([0, top], [0, top], color=FAINT, linewidth=1, zorder=0)
        _named(axes, lines, "ece", top=False)
        _square(axes, "Predicted risk", "Observed share", top)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(5))
            axis.set_major_formatter(lambda value, _: f"{value:.0%}")
    return done("calibration", "Calibration over all held-out patients")


def forest(lines: Sequence[Line], sites: Sequence[str]) -> str:
    """AUROC with its interval, each candidate at each site and over all."""
    rows = [OVERALL, *sites]
    with _figure(0.7 + len(rows) * (0.2 + 0.085 * len(lines))) as (figure, done):
        axes = figure.subplots()
        for position, line in enumerate(lines):
            offset = (position - (len(lines) - 1) / 2) * 0.75 / len(lines)
            known = [(row, found) for row, site in enumerate(rows) if (found := line.at(site))]
            heights = [row + offset for row, _ in known]
            axes.hlines(heights, [f.low for _, f in known], [f.high for _, f in known], color=line.color, linewidth=1.3)
            values = [f.value for _, f in known]
            axes.plot(values, heights, line.marker, color=line.color, markersize=4.6, markeredgewidth=0)
        for row, site in enumerate(rows):
            if not any(line.at(site) for line in lines):
                axes.text(0.02, row, "withheld", transform=axes.get_yaxis_transform(), color=QUIET, va="center", style="italic")
        for row in range(1, len(rows)):
            axes.axhline(row - 0.5, color=INK if row == 1 else FAINT, linewidth=0.5 if row == 1 else 0.8)
        axes.set_yticks(range(len(rows)), ["All patients", *map(_short, sites)], color=INK)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("AUROC with 95 % interval")
    return done("forest", "AUROC with 95 % interval by site")


def training(stages: Sequence[StageHistory], styles: Mapping[str, tuple[str, str]]) -> str:
    """Held-out (solid) and training (dotted) loss by round, mean and range over repetitions."""
    with _figure(3.6) as (figure, done):
        axes = figure.subplots()
        ends = []
        for name, rounds in _by_round(stages):
            color, label = styles[name]
            for field, dash, what in (("held_out_loss", "-", "held out"), ("training_loss", (0, (1, 1.3)), "training")):
                points = [(n, losses) for n, group in rounds if (losses := [v for r in group if (v := getattr(r, field)) is not None])]
                if not points:
                    continue
                numbers, means = [n for n, _ in points], [fmean(losses) for _, losses in points]
                axes.plot(numbers, means, color=color, linestyle=dash)
                axes.fill_between(numbers, [min(v) for _, v in points], [max(v) for _, v in points], color=color, alpha=0.1, linewidth=0)
                ends.append((numbers[-1], means[-1], f"{label}, {what}", color))
        _beside(axes, ends)
        axes.set_xlabel("Round")
        axes.set_ylabel("Log loss, nats")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    return done("training", "Loss by round")


def traffic(stages: Sequence[StageHistory], styles: Mapping[str, tuple[str, str]]) -> str:
    """Bytes sent to (solid) and received from (dotted) all sites, and seconds, by round."""
    with _figure(3.6) as (figure, done):
        bytes_axes, seconds_axes = figure.subplots(2, sharex=True)
        for axes, fields in ((bytes_axes, (("bytes_down", "-", "to sites"), ("bytes_up", (0, (1, 1.3)), "from sites"))),
                             (seconds_axes, (("seconds", "-", ""),))):  # fmt: skip
            ends = []
            for name, rounds in _by_round(stages):
                color, label = styles[name]
                for field, dash, what in fields:
                    numbers = [number for number, _ in rounds]
                    means = [fmean(getattr(r, field) for r in group) for _, group in rounds]
                    axes.plot(numbers, means, color=color, linestyle=dash, linewidth=1.4)
                    ends.append((numbers[-1], means[-1], f"{label}{', ' if what else ''}{what}", color))
            axes.set_ylim(bottom=0)
            _beside(axes, ends, panels=2)
        bytes_axes.set_ylabel("Bytes a round")
        bytes_axes.yaxis.set_major_formatter(EngFormatter(unit="B"))
        seconds_axes.set_ylabel("Seconds a round")
        seconds_axes.set_xlabel("Round")
        for axes in (bytes_axes, seconds_axes):
            axes.yaxis.set_major_locator(MaxNLocator(4))
        seconds_axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    return done("traffic", "Bytes and seconds by round")


@contextmanager
def _figure(height: float) -> Iterator[tuple[Figure, Callable[[str, str], str]]]:
    """Give a figure, and a function that turns it into SVG for a page after drawing."""
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")

        def done(name: str, title: str) -> str:
            # The salt keeps the identifiers of two plots on one page apart.
            with matplotlib.rc_context({**_SETTINGS, "svg.hashsalt": name}):
                buffer = StringIO()
                nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
                figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
            return _inline(buffer.getvalue(), title)

        yield figure, done


def _inline(svg: str, title: str) -> str:
    """Reduce a stand-alone SVG file to what a page needs."""
    body = svg[svg.index("<g id=") : svg.rindex("</svg>")]
    box = re.search(r'viewBox="[-\d. ]+"', svg)
    assert box
    body = re.sub(r'<g id="[^"]*">', "<g>", body)
    body = re.sub(r" ?font-family: [^;\"]*;", "", body)
    body = re.sub(r"\n\s*|(?<=\d) (?=[MLz\"])", lambda match: " " if "\n" in match[0] else match[0], body)
    body = body.replace("xlink:href", "href")
    return f'<svg {box[0]} role="img" aria-label="{escape(title)}">{body}</svg>'


def _drawn(lines: Sequence[Line]) -> list[Line]:
    return [line for line in lines if line.histogram]


def _named(axes: Axes, lines: Sequence[Line], metric: str, *, top: bool) -> None:
    """Write names and figures into the free corner at the right, each behind a stroke of its line."""
    drawn = _drawn(lines)
    first = 0.95 if top else 0.045 + 0.062 * (len(drawn) - 1)
    box = (0.42, first + 0.04 - 0.062 * len(drawn))
    axes.add_patch(Rectangle(box, 0.58, 0.062 * len(drawn), color="white", alpha=0.85, zorder=3, transform=axes.transAxes))
    style = {"transform": axes.transAxes, "va": "center", "zorder": 4}
    for row, line in enumerate(drawn):
        height, found = first - 0.062 * row, line.at(OVERALL, metric)
        stroke = {"color": line.color, "linestyle": line.dash, "transform": axes.transAxes, "zorder": 4}
        axes.plot([0.44, 0.51], [height] * 2, **stroke)
        axes.text(0.54, height, _short(line.label), **style)
        axes.text(0.99, height, f"{found.value:.3f}" if found else "", ha="right", **style)


def _square(axes: Axes, x: str, y: str, top: float = 1.0) -> None:
    axes.set_xlim(-0.01 * top, 1.01 * top)
    axes.set_ylim(-0.01 * top, 1.01 * top)
    axes.set_xlabel(x)
    axes.set_ylabel(y)


def _by_round(stages: Sequence[StageHistory]) -> Iterator[tuple[str, list[tuple[int, list[Round]]]]]:
    """Each stage of several rounds, with the rounds of all its repetitions by number."""
    for name in dict.fromkeys(stage.name for stage in stages):
        rounds = [r for stage in stages if stage.name == name for r in stage.rounds]
        numbers = sorted({r.number for r in rounds})
        if len(numbers) > 1:
            yield name, [(number, [r for r in rounds if r.number == number]) for number in numbers]


def _beside(axes: Axes, ends: Sequence[tuple[float, float, str, str]], panels: int = 1) -> None:
    """Name lines at their right ends, pushed apart where they end close together."""
    low, high = axes.get_ylim()
    gap = (high - low) * 0.062 * panels
    placed = sorted(ends, key=lambda end: end[1])
    heights = [end[1] for end in placed]
    for _ in range(100):
        for i in range(len(heights) - 1):
            lack = gap - (heights[i + 1] - heights[i])
            if lack > 0:
                heights[i], heights[i + 1] = heights[i] - lack / 2, heights[i + 1] + lack / 2
    above = max(0.0, max(heights, default=low) - high)
    heights = [height - above for height in heights]
    for (x, y, text, color), height in zip(placed, heights, strict=True):
        axes.annotate(text, (x, y), (1.02, height), xycoords="data", textcoords=axes.get_yaxis_transform(),
                      color=color, va="center", fontsize=8.5)  # fmt: skip
    axes.set_ylim(low, high)


def _short(name: str) -> str:
    return name if len(name) <= 22 else f"{name[:21]}…"
