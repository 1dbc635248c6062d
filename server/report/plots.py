"""Plots of a run as inline SVG: one palette, the same bytes for the same figures."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, MaxNLocator

from common.page_style import FAINT, INK, QUIET
from common.score_histogram import calibration, precision_recall_points, roc_points
from server.report.drawing import (
    DOTTED,
    NAME_HEIGHT,
    NAMES_WIDTH,
    Style,
    canvas,
    drawn,
    names,
    names_beside,
    short,
)
from server.report.summary import Line
from server.results import OVERALL, Round, StageHistory

MOST_SITES_DRAWN = 30
_COLORS = ("#0072b2", "#d55e00", "#00875f", "#5d3a9b")


@dataclass(frozen=True)
class Plot:
    """A picture with its words."""

    title: str
    text: str
    svg: Markup


def roc(lines: Sequence[Line]) -> str:
    """Draw ROC curves over all sites."""
    with canvas(3.9) as (figure, finish):
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1)
        for line in reversed(drawn(lines)):
            assert line.histogram
            axes.plot(*roc_points(line.histogram), color=line.color, linestyle=line.dash)
        names(axes, lines, "auroc")
        _square(axes, "False positive rate (1 − specificity)", "True positive rate (sensitivity)")
    return finish("roc", "ROC curves over all held-out patients")


def precision_recall(lines: Sequence[Line]) -> str:
    """Draw precision-recall curves over all sites, with the prevalence as the floor."""
    with canvas(3.9) as (figure, finish):
        axes = figure.subplots()
        whole = next(line.histogram for line in lines if line.histogram and line.kind != "reference")
        prevalence = whole.positives.sum() / (whole.positives.sum() + whole.negatives.sum())
        quiet: Style = {"color": QUIET, "fontsize": 8, "ha": "right", "va": "top"}
        axes.axhline(prevalence, color=FAINT, linewidth=1)
        axes.text(1.0, prevalence - 0.015, f"prevalence {prevalence:.1%}", **quiet)
        height, above, below = NAME_HEIGHT * len(drawn(lines)), 0.0, 0.0
        for line in reversed(drawn(lines)):
            assert line.histogram
            recall, precision = precision_recall_points(line.histogram)
            found = recall > 0  # before the first hit precision is nil by definition
            axes.plot(recall[found], precision[found], color=line.color, linestyle=line.dash)
            above += float(np.mean(np.interp(np.linspace(1 - NAMES_WIDTH, 1), recall, precision) > 1 - height))
            below += float(np.mean(np.interp(np.linspace(0, NAMES_WIDTH), recall, precision) < height))
        names(axes, lines, "auprc", *((0.42, 0.99) if above <= below else (0.0, 0.01 + height)))
        _square(axes, "Recall (sensitivity)", "Precision (positive predictive value)")
    return finish("pr", "Precision-recall curves over all held-out patients")


def reliability(lines: Sequence[Line]) -> str:
    """Draw observed beside predicted risk, in ten groups of patients by predicted risk."""
    with canvas(3.9) as (figure, finish):
        axes = figure.subplots()
        top = 0.0
        for line in drawn(lines):
            assert line.histogram
            groups = calibration(line.histogram)
            top = max(top, groups.predicted.max(), groups.observed.max())
            style: Style = {"color": line.color, "linestyle": line.dash, "marker": line.marker}
            axes.plot(groups.predicted, groups.observed, markersize=4.5, markeredgewidth=0, linewidth=1.2, **style)
        top = min(1.0, top * 1.06)
        axes.plot([0, top], [0, top], color=FAINT, linewidth=1, zorder=0)
        names(axes, lines, "ece")
        _square(axes, "Predicted risk", "Observed share", top)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(5))
            axis.set_major_formatter(lambda value, _: f"{value:.0%}")
    return finish("calibration", "Calibration over all held-out patients")


def forest(lines: Sequence[Line], sites: Sequence[str]) -> str:
    """Draw AUROC with its interval, each candidate at each site and over all."""
    rows = [OVERALL, *sites]
    with canvas(0.7 + len(rows) * (0.2 + 0.085 * len(lines))) as (figure, finish):
        axes = figure.subplots()
        for position, line in enumerate(lines):
            offset = (position - (len(lines) - 1) / 2) * 0.75 / len(lines)
            known = [(row + offset, found) for row, site in enumerate(rows) if (found := line.at(site))]
            heights, shown = [height for height, _ in known], [interval for _, interval in known]
            axes.hlines(heights, [f.low for f in shown], [f.high for f in shown], color=line.color, linewidth=1.3)
            style: Style = {"color": line.color, "markersize": 4.6, "markeredgewidth": 0}
            axes.plot([f.value for f in shown], heights, line.marker, **style)
        quiet: Style = {"transform": axes.get_yaxis_transform(), "color": QUIET, "va": "center", "style": "italic"}
        for row, site in enumerate(rows):
            if not any(line.at(site) for line in lines):
                axes.text(0.02, row, "withheld", **quiet)
            if row:
                axes.axhline(row - 0.5, color=INK if row == 1 else FAINT, linewidth=0.5 if row == 1 else 0.8)
        axes.set_yticks(range(len(rows)), ["All patients", *map(short, sites)], color=INK)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("AUROC with 95 % interval")
    return finish("forest", "AUROC with 95 % interval by site")


def tell_losses(stages: Sequence[StageHistory]) -> bool:
    """Tell whether any stage of several rounds tells a loss."""
    rounds = [r for stage in stages for r in stage.rounds if len(stage.rounds) > 1]
    return any(r.held_out_loss is not None or r.training_loss is not None for r in rounds)


def training(stages: Sequence[StageHistory], styles: Mapping[str, tuple[str, str]], looked_at: str = "held out") -> str:
    """Draw held-out (solid) and training (dotted) loss by round, mean and range over repetitions; what was kept.

    Parameters
    ----------
    styles : mapping of stage name to (colour, label)
    looked_at : str
        What the patients behind the solid line are called.
    """
    with canvas(3.6) as (figure, finish):
        axes = figure.subplots()
        ends = []
        for name, rounds in _by_round(stages):
            color, label = styles[name]
            for field, dash, what in (("held_out_loss", "-", looked_at), ("training_loss", DOTTED, "training")):
                losses = {n: [v for r in group if (v := getattr(r, field)) is not None] for n, group in rounds}
                known = {number: values for number, values in losses.items() if values}
                if not known:
                    continue
                numbers, means = list(known), [fmean(values) for values in known.values()]
                lows, highs = [min(values) for values in known.values()], [max(values) for values in known.values()]
                axes.plot(numbers, means, color=color, linestyle=dash)
                axes.fill_between(numbers, lows, highs, color=color, alpha=0.1, linewidth=0)
                ends.append((numbers[-1], means[-1], f"{label}, {what}", color))
        for stage in stages:
            # The weights that a round ended with are looked at in the next one.
            judges = (r for r in stage.rounds if stage.kept and r.number == stage.kept + 1)
            kept = [(r.number, loss) for r in judges if (loss := r.held_out_loss) is not None]
            axes.plot([number for number, _ in kept], [loss for _, loss in kept], "o", color=styles[stage.name][0])
        names_beside(axes, ends)
        axes.set_xlabel("Round")
        axes.set_ylabel("Log loss, nats")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    return finish(f"training-{'-'.join(dict.fromkeys(stage.name for stage in stages))}", "Loss by round")


def epsilon(stages: Sequence[StageHistory]) -> str:
    """Draw what stages with noise have cost so far, over the rounds of all their repetitions."""
    with canvas(3.2) as (figure, finish):
        axes = figure.subplots()
        ends = []
        for name, color in zip(dict.fromkeys(stage.name for stage in stages), itertools.cycle(_COLORS), strict=False):
            spent = [r.epsilon or 0.0 for stage in stages if stage.name == name for r in stage.rounds]
            axes.plot(range(1, len(spent) + 1), spent, color=color)
            ends.append((len(spent), spent[-1], name, color))
        axes.set_ylim(bottom=0)
        names_beside(axes, ends)
        axes.set_xlabel("Round, of all seeds and folds")
        axes.set_ylabel("Epsilon")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    return finish("epsilon", "Epsilon by round")


def traffic(stages: Sequence[StageHistory], styles: Mapping[str, tuple[str, str]]) -> str:
    """Draw bytes sent to (solid) and received from (dotted) all sites, and seconds, by round."""
    with canvas(3.6) as (figure, finish):
        bytes_axes, seconds_axes = figure.subplots(2, sharex=True)
        directions = (("bytes_down", "-", ", to sites"), ("bytes_up", DOTTED, ", from sites"))
        for axes, fields in ((bytes_axes, directions), (seconds_axes, (("seconds", "-", ""),))):
            ends = []
            for name, rounds in _by_round(stages):
                color, label = styles[name]
                for field, dash, what in fields:
                    numbers = [number for number, _ in rounds]
                    means = [fmean(getattr(r, field) for r in group) for _, group in rounds]
                    axes.plot(numbers, means, color=color, linestyle=dash, linewidth=1.4)
                    ends.append((numbers[-1], means[-1], label + what, color))
            axes.set_ylim(bottom=0)
            axes.yaxis.set_major_locator(MaxNLocator(4))
            names_beside(axes, ends, panels=2)
        bytes_axes.set_ylabel("Bytes a round")
        bytes_axes.yaxis.set_major_formatter(EngFormatter(unit="B"))
        seconds_axes.set_ylabel("Seconds a round")
        seconds_axes.set_xlabel("Round")
        seconds_axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    return finish("traffic", "Bytes and seconds by round")


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
