"""One self-contained page about a run: no script, no link, nothing to fetch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from common.metrics import METRICS
from common.page_style import QUIET
from common.plan import Plan, from_json
from common.serialization import parse, write_atomic
from common.tasks.base import find
from server.report import description, distributions, labels, method, plots, privacy, site_alone, tables
from server.report.answer import answer, judged, leading, point, span, tally
from server.report.labels import View
from server.report.plots import Plot
from server.report.site_alone import SiteAlone
from server.report.style import CSS
from server.report.summary import Line, federated_label, like, local_lines, of_kind, pictured, several
from server.report.tables import Cell, Row
from server.report.template import PAGE
from server.results import OVERALL, Results

METRIC_NOTES = {
    "AUPRC": "area under the precision-recall curve; higher is better",
    "min(Se, +P)": "the most that sensitivity and positive predictive value both reach; higher is better",
    "Brier score": "mean squared error of the risk; lower is better",
    "Calibration error": "expected distance between predicted and observed risk; lower is better",
}


@dataclass(frozen=True)
class Section:
    """What the sites' data looks like."""

    lead: str
    prevalence: list[Row]
    wide: Plot | None
    plots: list[Plot]
    numbers: list[Row]
    means: list[Row]
    categories: list[Row]


@dataclass(frozen=True)
class Together:
    """All labels side by side: the models of all sites together, and the others."""

    plot: Plot | None
    federated: list[Line]
    figures: list[Row]
    others: list[Line]
    further: list[Row]


@dataclass(frozen=True)
class OfLabel:
    """What is shown of one label."""

    name: str
    note: str
    lines: tuple[Line, ...]
    has_reference: bool
    auroc: list[Row]
    further: list[tuple[str, list[Row]]]
    networks: list[tuple[str, list[Row]]]
    pictured: tuple[Line, ...]
    several: bool
    curves: list[Plot]
    forest: Plot | None
    matrix: list[Row]
    site_alone: SiteAlone | None


def write(results: Results, folder: Path) -> Path:
    """Write ``report.html`` into a run's folder, atomically, and return its path."""
    path = folder / "report.html"
    write_atomic(path, render(results).encode(), mode=0o644)
    return path


def render(results: Results) -> str:
    """Make the HTML of the report; the same results give the same bytes.

    Raises
    ------
    PlanError
        When the results hold no valid plan.
    ValueError
        When a date is not ISO 8601.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["unbroken"] = tables.unbroken
    plan = from_json(results.plan)
    views = labels.views(results, plan)
    shown, several = views[0].lines, len(views) > 1
    sites = tuple(site.name for site in results.sites)
    units = f"{find(plan.task).unit}s"
    told = labels.answer(views, sites, results.synthetic) if several else answer(shown, sites, results.synthetic)
    first, *rest = told.sentences
    told = replace(told, sentences=(first, *method.left_out(results, plan), *method.coarse(results), *rest))
    each = [_of_label(results, plan, view, sites) for view in views]
    figures = labels.tiles(views, sites) if several else _figures(shown, sites)
    return environment.from_string(PAGE).render(
        css=Markup(CSS),
        results=results,
        label=method.label(results),
        plan=plan,
        plan_text="\n".join(_settings(parse(results.plan))),
        units=units,
        outcomes=[one.name.replace("_", " ") if several else tables.outcome_heading(one) for one in plan.questions],
        seeds=len(plan.seeds),
        sites=list(sites),
        facts=_facts(results, plan),
        answer=site_alone.warned(told, {view.name: view.site_alone for view in each}),
        tiles=[*figures, *_sizes(results, sites, units)],
        metric_notes=METRIC_NOTES,
        metrics=list(METRICS.values()),
        together=_together(views) if several else None,
        views=each,
        site_alone_head=site_alone.HEAD,
        privacy=privacy.section(results, plan),
        histories=_histories(results, plan, shown),
        cohort=tables.cohort(results, plan.label_names),
        description=_description(results, sites, units),
        site_key=_site_key(sites),
        number_heads=["Feature", "Missing", "Mean", *description.QUANTILE_HEADS],
        excluded=tables.excluded(results),
        exchanges=tables.exchanges(results.stages),
        absences=tables.absences(results.stages),
        models=tables.models(results),
        versions=[Row(name, (Cell(version),)) for name, version in sorted(results.versions.items())],
        measured=method.measured(results, plan, [line for view in views for line in view.lines]),
        card=method.card(results, plan, shown, told.headline if several else ""),
        credits=method.attributions(results, plan),
    )


def _facts(results: Results, plan: Plan) -> list[tuple[str, str]]:
    started, finished = datetime.fromisoformat(results.started), datetime.fromisoformat(results.finished)
    return [
        ("Run", results.run),
        ("Plan", plan.name),
        ("Task", find(plan.task).title),
        ("Engine", results.engine),
        ("Started", f"{started.day} {started:%B %Y, %H:%M} {started.tzname() or ''}".rstrip()),
        ("Took", tables.duration((finished - started).total_seconds())),
    ]


def _together(views: Sequence[View]) -> Together:
    columns = [labels.candidates(views, federated=which) for which in (True, False)]
    federated, others = (labels.figures(views, each) for each in columns)
    return Together(labels.picture(views), columns[0], federated, columns[1], others if columns[1] else [])


def _of_label(results: Results, plan: Plan, view: View, sites: tuple[str, ...]) -> OfLabel:
    shown, one = view.lines, len(plan.label_names) == 1
    curves, forest = _curves(pictured(shown)), _forest(pictured(shown), sites)
    best = leading(shown)
    figure = best.at(OVERALL) if best else None
    return OfLabel(
        name=view.name.replace("_", " "),
        note=f"{view.meaning}; AUROC {point(figure.value)}, {best.label}" if best and figure else view.meaning,
        lines=shown,
        has_reference=bool(of_kind(shown, "reference")),
        auroc=tables.figures(shown, sites, "auroc"),
        further=[(name, tables.figures(shown, sites, key)) for key, name in METRICS.items() if key != "auroc"],
        networks=tables.networks(shown) if plan.encoders or plan.ensembles else [],
        pictured=pictured(shown),
        several=several(shown),
        curves=curves if one else [labels.apart(plot, view.name) for plot in curves],
        forest=forest if one or forest is None else labels.apart(forest, view.name),
        matrix=_matrix(labels.about(results, view.name), plan, shown, sites),
        site_alone=site_alone.section(shown, plan.evaluation.bootstraps),
    )


def _figures(shown: tuple[Line, ...], sites: tuple[str, ...]) -> list[Row]:
    best, against = leading(shown), judged(shown)
    own = like(shown, against, "local")
    figure = best.at(OVERALL) if best else None
    count = tally(against, own, sites) if against and own else None
    of = against.label if against and against != best else ""
    tiles = []
    if best and figure:
        tiles.append(Row(f"AUROC, {best.label[0].lower()}{best.label[1:]}", (Cell(point(figure.value), span(figure)),)))
    if count:
        tiles.append(Row("sites better off than alone", (Cell(f"{len(count.helped)} of {len(count.sites)}", of),)))
        gain = f"{count.mean_gain:+.3f}".replace("-", "−")
        tiles.append(Row("AUROC, mean change over a site's own model", (Cell(gain, of),)))
    return tiles


def _sizes(results: Results, sites: tuple[str, ...], units: str) -> list[Row]:
    tiles = []
    noised = description.noised(results)
    stays = [site.patients if noised else site.stays for site in results.sites]
    known = sum(stay for stay in stays if stay is not None)
    moved = sum(r.bytes_down + r.bytes_up for stage in results.stages for r in stage.rounds)
    moved += sum(each.bytes_down + each.bytes_up for each in results.exchanges)
    plural = "s" if len(sites) != 1 else ""
    counted = f"{'≈ ' if noised else ''}{known:,}{'+' if None in stays else ''}"
    tiles.append(Row(f"{'patients' if noised else units} at {len(sites)} site{plural}", (Cell(counted),)))
    tiles.append(Row("moved between sites and coordinator", (Cell(tables.size(moved)),)))
    return tiles


def _curves(shown: tuple[Line, ...]) -> list[Plot]:
    comparable = [line for line in shown if line.histogram and line.kind != "reference"]
    if not comparable:
        return []
    calibrated = (
        "Ten groups of patients by predicted risk, with the expected calibration error; on the grey line risk is "
        "predicted as it occurs."
    )
    ranked = "With AUPRC; the grey line is the prevalence."
    return [
        Plot("ROC curves", "With AUROC; the grey line is a coin toss.", Markup(plots.roc(shown))),
        Plot("Precision-recall curves", ranked, Markup(plots.precision_recall(shown))),
        Plot("Calibration", calibrated, Markup(plots.reliability(shown))),
    ]


def _forest(shown: tuple[Line, ...], sites: tuple[str, ...]) -> Plot | None:
    if not any(line.at(site) for line in shown for site in (OVERALL, *sites)) or len(sites) > plots.MOST_SITES_DRAWN:
        return None
    return Plot("AUROC by site", "", Markup(plots.forest(shown, sites)))


def _matrix(results: Results, plan: Plan, shown: tuple[Line, ...], sites: tuple[str, ...]) -> list[Row]:
    against = judged(shown)
    family = against.family if against else ""
    local = local_lines(results, plan, family)
    if not local or len(sites) > plots.MOST_SITES_DRAWN:
        return []
    federated = [line for line in of_kind(shown, "federated") if line.family == family]
    return tables.cross_site((*federated, *local), sites)


def _histories(results: Results, plan: Plan, shown: tuple[Line, ...]) -> list[Plot]:
    names = dict.fromkeys(stage.name for stage in results.stages)
    color = {line.name: line.color for line in shown}
    styles = {name: (color.get(name, QUIET), federated_label(name).removeprefix("Federated ")) for name in names}
    if not any(len(stage.rounds) > 1 for stage in results.stages):
        return []
    found = []
    networks = {stage.name for stage in plan.encoders}
    trees = [stage for stage in results.stages if stage.name not in networks]
    if plots.tell_losses(trees):
        text = (
            "Of the model each round started from, at the sites of that round: a strategy that visits one site at a "
            "time zigzags. Line and band: mean and range over seeds and folds"
            + (" and labels." if len(plan.label_names) > 1 else ".")
        )
        found.append(Plot("Loss by round", text, Markup(plots.training(trees, styles))))
    for name in (stage.name for stage in plan.encoders):
        histories = [stage for stage in results.stages if stage.name == name]
        if plots.tell_losses(histories):
            text = "Of the weights each round began with; line and band: mean and range over seeds and folds."
            if any(stage.kept for stage in histories):
                text += " Dots: the weights that were kept."
            if plan.encoder(name).privacy is not None:
                text += " The losses carry noise for privacy."
            drawing = plots.training(histories, styles, looked_at="validation")
            found.append(Plot(f"{federated_label(name)}: loss by round", text, Markup(drawing)))
    text = "All sites together, mean over seeds and folds."
    found.append(Plot("Bytes and seconds by round", text, Markup(plots.traffic(results.stages, styles))))
    return found


def _description(results: Results, sites: tuple[str, ...], units: str) -> Section | None:
    if results.description is None:
        return None
    noised = results.description.epsilon is not None
    few = len(sites) <= plots.MOST_SITES_DRAWN
    wide = None
    if distributions.most_different(results):
        text = "Share of the known values. Filled: all sites; lines: each site. Outermost: beyond the range shown."
        text += "" if noised else " Dotted: few, told only together with a neighbouring bin."
        wide = Plot("Where the sites differ most", text, Markup(distributions.histograms(results, sites)))
    found = []
    if few and distributions.incomplete(results):
        text = "Share of rows without the feature." + (
            "" if noised else f" Hatched: withheld, fewer than {results.minimum_cell} patients."
        )
        found.append(Plot("Missing values", text, Markup(distributions.missingness(results, sites))))
    if few and distributions.apart(results):
        text = (
            "Total variation distance of a site's known values from those of all sites, beyond chance: 0 alike, "
            "1 nothing in common."
        )
        found.append(Plot("Distance between sites", text, Markup(distributions.distances(results, sites))))
    return Section(
        lead=description.lead(results, units),
        prevalence=description.prevalence(results, sites),
        wide=wide,
        plots=found,
        numbers=description.numbers(results),
        means=description.means(results, sites),
        categories=description.categories(results, sites),
    )


def _site_key(sites: tuple[str, ...]) -> list[dict[str, str]]:
    """Name the sites' colours where each has its own."""
    if len(sites) > len(distributions.COLORS):
        return []
    return [{"label": site, "color": distributions.site_color(site, sites)} for site in sites]


def _settings(value: Any, path: str = "") -> Iterator[str]:
    """List a plan's settings, one a line, by their dotted keys."""
    if isinstance(value, dict) and value:
        for key, part in value.items():
            yield from _settings(part, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for index, part in enumerate(value):
            yield from _settings(part, f"{path}[{index}]")
    else:
        yield f"{path} = {json.dumps(value, ensure_ascii=False)}"
