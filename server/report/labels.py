"""Several labels on one page: what predicts each, side by side, and the means over them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from markupsafe import Markup

from common.page_style import FAINT, INK
from common.plan import Plan
from server.report.answer import Answer, leading, point, span, tally, told_synthetic
from server.report.drawing import Style, canvas, short
from server.report.plots import Plot
from server.report.summary import Line, like, lines
from server.report.tables import ABSENT, Cell, Row, withheld
from server.results import OVERALL, Results

MEAN = "Mean over labels"


@dataclass(frozen=True)
class View:
    """One label: its name, what its answer yes means, and the candidates that were tried on it."""

    name: str
    meaning: str
    lines: tuple[Line, ...]

    def line(self, name: str) -> Line | None:
        """Return a candidate's line; None where it was not tried."""
        return next((line for line in self.lines if line.name == name), None)

    def at(self, name: str) -> float | None:
        """Return a candidate's AUROC over all patients; None where it is not known."""
        line = self.line(name)
        figure = line.at(OVERALL) if line else None
        return figure.value if figure else None


def about(results: Results, label: str) -> Results:
    """Return what was found about one label."""
    found = tuple(candidate for candidate in results.candidates if candidate.label == label)
    return results.model_copy(update={"candidates": found})


def views(results: Results, plan: Plan) -> tuple[View, ...]:
    """Return every label of a plan, in its order."""
    return tuple(View(one.name, one.meaning, lines(about(results, one.name), plan)) for one in plan.questions)


def candidates(shown: Sequence[View], *, federated: bool) -> list[Line]:
    """List who was tried on any label: the models of all sites together, or the others, but no reference."""
    found = {line.name: line for view in reversed(shown) for line in reversed(view.lines) if line.kind != "reference"}
    return [line for line in reversed(found.values()) if (line.kind == "federated") == federated]


def mean(shown: Sequence[View], name: str) -> tuple[float | None, int]:
    """Average a candidate's AUROC over the labels where it is known; also say over how many."""
    known = [value for view in shown if (value := view.at(name)) is not None]
    return (fmean(known) if known else None), len(known)


def figures(shown: Sequence[View], columns: Sequence[Line]) -> list[Row]:
    """Lay out AUROC over all patients: a row a label, a column a candidate; the best of a row stands out."""
    found = [Row(_plain(view.name), _cells(view, columns)) for view in shown]
    means = {line.name: mean(shown, line.name) for line in columns}
    comparable = {over for _, over in means.values()} == {len(shown)}
    best = max((point(value) for value, _ in means.values() if value is not None), default="")
    cells = tuple(
        Cell(point(value), f"over {over} of {len(shown)}", "best" if comparable and point(value) == best else "")
        if value is not None
        else withheld()
        for value, over in means.values()
    )
    return [*found, Row(MEAN, cells)]


def _cells(view: View, columns: Sequence[Line]) -> tuple[Cell, ...]:
    known = [value for line in columns if (value := view.at(line.name)) is not None]
    best = point(max(known)) if known else ""
    cells = []
    for column in columns:
        line = view.line(column.name)
        figure = line.at(OVERALL) if line else None
        if figure:
            cells.append(Cell(point(figure.value), span(figure), "best" if point(figure.value) == best else ""))
        else:
            cells.append(withheld() if line and (OVERALL, "auroc") in line.figures else Cell(ABSENT))
    return tuple(cells)


def picture(shown: Sequence[View]) -> Plot | None:
    """Draw AUROC over all patients with its interval, each federated model on each label, and the means below."""
    columns = candidates(shown, federated=True)
    if not any(view.at(line.name) is not None for view in shown for line in columns):
        return None
    rows = [*(_plain(view.name) for view in shown), MEAN]
    with canvas(0.8 + len(rows) * (0.2 + 0.085 * len(columns)), 7.4) as (figure, finish):
        axes = figure.subplots()
        for position, line in enumerate(columns):
            offset = (position - (len(columns) - 1) / 2) * 0.7 / len(columns)
            own = [(row + offset, each.line(line.name)) for row, each in enumerate(shown)]
            known = [(row, found) for row, one in own if one and (found := one.at(OVERALL))]
            style: Style = {"color": line.color, "markersize": 5, "markeredgewidth": 0, "linestyle": "none"}
            axes.hlines([y for y, _ in known], [f.low for _, f in known], [f.high for _, f in known], color=line.color)
            axes.plot([f.value for _, f in known], [y for y, _ in known], marker=line.marker, **style)
            value, _ = mean(shown, line.name)
            if value is not None:
                axes.plot([value], [len(shown) + offset], marker=line.marker, **{**style, "markersize": 7})
        for row in range(1, len(rows)):
            last = row == len(shown)
            axes.axhline(row - 0.5, color=INK if last else FAINT, linewidth=0.8)
        axes.axvline(0.5, color=FAINT, linewidth=1, zorder=0)
        axes.set_yticks(range(len(rows)), list(map(short, rows)), color=INK)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("AUROC with 95 % interval, all held-out patients; 0.5 is a coin toss")
    return Plot("AUROC by label", "", Markup(finish("labels", "AUROC with 95 % interval by label")))


def apart(plot: Plot, label: str) -> Plot:
    """Give the parts of a picture names of their own, where a page has one of its kind a label."""
    renamed = re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{label}-", str(plot.svg))
    return replace(plot, svg=Markup(renamed))


def pairs(shown: Sequence[View], name: str, sites: Sequence[str]) -> tuple[int, int, float] | None:
    """Compare a federated model with each site's own, label by label, on that site's own patients.

    Returns
    -------
    (better, known, gain) or None
        In how many of the pairs of site and label where both are known it is better, and the mean change of AUROC.
    """
    tallies = []
    for view in shown:
        line = view.line(name)
        own = like(view.lines, line, "local")
        if line and own and (count := tally(line, own, sites)):
            tallies.append(count)
    known = sum(len(count.sites) for count in tallies)
    if not known:
        return None
    gain = sum(count.mean_gain * len(count.sites) for count in tallies) / known
    return sum(len(count.helped) for count in tallies), known, gain


def best(shown: Sequence[View]) -> Line | None:
    """Choose the federated model with the highest mean AUROC, among those known for the most labels."""
    return _highest(shown, candidates(shown, federated=True))


def judged(shown: Sequence[View]) -> Line | None:
    """Choose the federated model that is set against training alone: the best of those that sites have, too."""
    columns = candidates(shown, federated=True)
    return _highest(shown, [line for line in columns if _twin(shown, line, "local")]) or best(shown)


def _twin(shown: Sequence[View], line: Line | None, kind: str) -> Line | None:
    """Return what of a kind was trained of the same stuff, on the first label that it was tried on."""
    return next((twin for view in shown if (twin := like(view.lines, line, kind))), None)


def _highest(shown: Sequence[View], columns: Sequence[Line]) -> Line | None:
    ranked = [(over, value, line) for line in columns
              for value, over in [mean(shown, line.name)] if value is not None]  # fmt: skip
    return max(ranked, key=lambda one: one[:2])[2] if ranked else None


def answer(shown: Sequence[View], sites: Sequence[str], synthetic: Sequence[str]) -> Answer:
    """Say which model predicts best over the labels, and whether training together helped, no kinder than it is."""
    first, against = best(shown), judged(shown)
    if first is None or against is None:
        return Answer("The figures over all patients are withheld.", tuple(told_synthetic(sites, synthetic)))
    columns = [first, *(line for kind in (True, False) for line in candidates(shown, federated=kind) if line != first)]
    means = [(line.label, *mean(shown, line.name)) for line in columns]
    named = "; ".join(
        f"{_lower(label)} {point(mean)}" + (f" (over {of})" if of < len(shown) else "")
        for label, mean, of in means
        if mean is not None
    )
    sentences = [f"Mean AUROC over the labels, all held-out patients together: {named}."]
    if len(candidates(shown, federated=True)) > 1:
        where = [view for view in shown if (line := leading(view.lines)) and line.name == first.name]
        others = [_plain(view.name) for view in shown if view not in where and leading(view.lines)]
        but = f"; another is ahead for {', '.join(others)}" if others else ""
        sentences.append(f"Of the federated models it is ahead for {len(where)} of {len(shown)} labels{but}.")
    if compared := pairs(shown, against.name, sites):
        better, known, gain = compared
        which = "it" if against.name == first.name else _lower(against.label)
        sentences.append(
            f"Beside what a site trained alone, on that site's own patients, {which} is better in "
            f"{better} of {known} pairs of site and label; AUROC changes by {_signed(gain)} in the mean."
        )
    return Answer(_headline(shown, first, against), (*sentences, *told_synthetic(sites, synthetic)))


def _headline(shown: Sequence[View], first: Line, against: Line) -> str:
    """Name the best of the federated models, and what does better without training together."""
    value, over = mean(shown, first.name)
    rival = _twin(shown, against, "ensemble")
    other, of = mean(shown, rival.name) if rival else (None, 0)
    averaged = other is not None and of == over and point(other) > point(value or 0.0)
    verb = "predicts best of the federated models" if len(candidates(shown, federated=True)) > 1 else "predicts"
    text = f"{first.label} {verb}: mean AUROC {point(value or 0.0)} over {over} of {len(shown)} labels"
    return text + (", yet simply averaging the local models does better." if averaged else ".")


def tiles(shown: Sequence[View], sites: Sequence[str]) -> list[Row]:
    """Say the same in figures."""
    first, against, found = best(shown), judged(shown), []
    if first is None or against is None:
        return []
    of = against.label if against.name != first.name else ""
    value, over = mean(shown, first.name)
    found.append(
        Row(f"mean AUROC, {_lower(first.label)}", (Cell(point(value or 0.0), f"over {over} of {len(shown)} labels"),))
    )
    if compared := pairs(shown, against.name, sites):
        better, known, gain = compared
        found.append(Row("pairs of site and label better off than alone", (Cell(f"{better} of {known}", of),)))
        found.append(Row("AUROC, mean change over a site's own model", (Cell(_signed(gain), of),)))
    return found


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _lower(label: str) -> str:
    return label[0].lower() + label[1:]


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")
