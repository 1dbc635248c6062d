"""One self-contained page about a run: no script, no link, nothing to fetch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from common.plan import Plan, from_json
from common.score_histogram import auroc_binning_error
from common.serialization import write_atomic
from common.tasks.base import find
from server.report import plots, tables
from server.report.answer import answer, leading, point, span, tally
from server.report.style import CSS
from server.report.summary import METRICS, OVERALL, Line, federated_label, lines, local_lines, of_kind
from server.report.tables import Cell, Row
from server.report.template import PAGE
from server.results import Results

METRIC_NOTES = {
    "AUPRC": "area under the precision-recall curve; higher is better",
    "Brier score": "mean squared error of the risk; lower is better",
    "Calibration error": "expected distance between predicted and observed risk; lower is better",
}
EICU_CREDIT = (
    "Data: eICU Collaborative Research Database or its demo, under the terms of its licence (the demo: Open Database "
    "License 1.0, attribution and share-alike). Johnson, Pollard, Badawi, Raffa: eICU Collaborative Research Database "
    "Demo, PhysioNet. Pollard et al., The eICU Collaborative Research Database, Scientific Data 2018; 5:180178. "
    "Goldberger et al., PhysioBank, PhysioToolkit, and PhysioNet, Circulation 2000; 101:e215–e220."
)


@dataclass(frozen=True)
class Plot:
    """A picture with its words."""

    title: str
    text: str
    svg: Markup


def write(results: Results, folder: Path) -> Path:
    """Write ``report.html`` into a run's folder, atomically, and return its path."""
    path = folder / "report.html"
    write_atomic(path, render(results).encode(), mode=0o644)
    return path


def render(results: Results) -> str:
    """HTML of the report; the same results give the same bytes.

    Raises
    ------
    PlanError
        When the results hold no valid plan.
    ValueError
        When a date is not ISO 8601.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["size"] = tables.size
    plan = from_json(results.plan)
    shown = lines(results, plan)
    sites = tuple(site.name for site in results.sites)
    return environment.from_string(PAGE).render(
        css=Markup(CSS),
        results=results,
        plan=plan,
        plan_task=find(plan.task),
        plan_text=json.dumps(json.loads(results.plan), indent=2, ensure_ascii=False),
        outcome=tables.outcome_heading(find(plan.task)),
        seeds=len(plan.seeds),
        sites=list(sites),
        lines=shown,
        has_reference=bool(of_kind(shown, "reference")),
        facts=_facts(results, plan),
        answer=answer(shown, sites, results.synthetic),
        tiles=_tiles(results, shown, sites),
        auroc=tables.figures(shown, sites, "auroc"),
        further=[(name, tables.figures(shown, sites, key)) for key, name in METRICS.items() if key != "auroc"],
        metric_notes=METRIC_NOTES,
        curves=_curves(shown),
        forest=_forest(shown, sites),
        matrix=_matrix(results, shown, sites),
        histories=_histories(results, shown),
        cohort=tables.cohort(results),
        excluded=tables.excluded(results),
        exchanges=tables.exchanges(results.stages),
        absences=tables.absences(results.stages),
        measured=_measured(results, plan, shown),
        credits=[EICU_CREDIT] if plan.data.source == "eicu" and not results.synthetic else [],
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


def _tiles(results: Results, shown: tuple[Line, ...], sites: tuple[str, ...]) -> list[Row]:
    best, own = leading(shown), next(iter(of_kind(shown, "local")), None)
    figure = best.at(OVERALL) if best else None
    count = tally(best, own, sites) if best and own else None
    rounds = [r for stage in results.stages for r in stage.rounds]
    tiles = []
    if best and figure:
        tiles.append(Row(f"AUROC, {best.label[0].lower()}{best.label[1:]}", (Cell(point(figure.value), span(figure)),)))
    if count:
        tiles.append(Row("sites better off than alone", (Cell(f"{len(count.helped)} of {len(count.sites)}"),)))
        gain = f"{count.mean_gain:+.3f}".replace("-", "−")
        tiles.append(Row("AUROC, mean change over a site's own model", (Cell(gain),)))
    stays = [site.stays for site in results.sites]
    known = sum(stay for stay in stays if stay is not None)
    tiles.append(Row(f"stays at {len(sites)} site{'s' if len(sites) != 1 else ''}", (Cell(f"{known:,}{'+' if None in stays else ''}"),)))
    tiles.append(Row("moved between sites and coordinator", (Cell(tables.size(sum(r.bytes_down + r.bytes_up for r in rounds))),)))
    return tiles


def _curves(shown: tuple[Line, ...]) -> list[Plot]:
    comparable = [line for line in shown if line.histogram and line.kind != "reference"]
    if not comparable:
        return []
    return [
        Plot("ROC curves", "With AUROC; the grey line is a coin toss.", Markup(plots.roc(shown))),
        Plot("Precision-recall curves", "With AUPRC; the grey line is the prevalence.", Markup(plots.precision_recall(shown))),
        Plot("Calibration", "Ten groups of patients by predicted risk, with the expected calibration error; on the grey line "
             "risk is predicted as it occurs.", Markup(plots.reliability(shown))),
    ]  # fmt: skip


def _forest(shown: tuple[Line, ...], sites: tuple[str, ...]) -> Plot | None:
    if not any(line.at(site) for line in shown for site in (OVERALL, *sites)) or len(sites) > plots.MOST_SITES_DRAWN:
        return None
    return Plot("AUROC by site", "", Markup(plots.forest(shown, sites)))


def _matrix(results: Results, shown: tuple[Line, ...], sites: tuple[str, ...]) -> list[Row]:
    local = local_lines(results)
    if not local or len(sites) > plots.MOST_SITES_DRAWN:
        return []
    return tables.cross_site((*of_kind(shown, "federated"), *local), sites)


def _histories(results: Results, shown: tuple[Line, ...]) -> list[Plot]:
    names = dict.fromkeys(stage.name for stage in results.stages)
    color = {line.name: line.color for line in shown}
    styles = {name: (color.get(name, plots.QUIET), federated_label(name).removeprefix("Federated ")) for name in names}
    rounds = [r for stage in results.stages for r in stage.rounds if len(stage.rounds) > 1]
    if not rounds:
        return []
    found = []
    if any(r.held_out_loss is not None or r.training_loss is not None for r in rounds):
        found.append(Plot("Loss by round", "Of the model each round started from: mean over sites; line and band are mean "
                          "and range over seeds and folds.", Markup(plots.training(results.stages, styles))))  # fmt: skip
    found.append(Plot("Bytes and seconds by round", "All sites together, mean over seeds and folds.",
                      Markup(plots.traffic(results.stages, styles))))  # fmt: skip
    return found


def _measured(results: Results, plan: Plan, shown: tuple[Line, ...]) -> list[str]:
    task, folds, seeds = find(plan.task), plan.split, plan.seeds
    several = (
        f"Figures and both ends of their intervals are means over {len(seeds)} seeds ({', '.join(map(str, seeds))}); "
        "curves are drawn from counts summed over the seeds."
        if len(seeds) > 1
        else f"One seed: {seeds[0]}."
    )
    return [
        f"Outcome: {task.label}, for each {task.unit}. Prediction time: {task.prediction_time}.",
        f"Patients, not stays, are split into {folds.folds} folds at each site; held out in turn: "
        f"{', '.join(str(fold) for fold in folds.held_out)}. No patient is on both sides of a split.",
        several,
        f"Intervals are 95 % percentile intervals of {plan.evaluation.bootstraps:,} bootstrap replicates. At a site whole "
        "patients are redrawn. Over all sites only counts per score bin are known, so stays are redrawn within each site; "
        "where patients have several stays those intervals are a little too narrow.",
        _binning(shown),
        "Own local model: each site's patients under the model that site trained alone. Mean of local models: the average "
        "of the probabilities of all local models.",
        f"Resampling of the training fold: {plan.resampling}. Agreed base score: {results.base_score:.4f}.",
    ]


def _binning(shown: tuple[Line, ...]) -> str:
    errors = [auroc_binning_error(line.histogram) for line in shown if line.histogram]
    if not errors:
        return "The plan shares figures only; no counts per score bin left the sites."
    return (
        "Overall figures come from counts of stays per bin of predicted risk on one public grid, summed over the sites. "
        f"Binning changes an overall AUROC on this page by at most {max(errors):.4f}."
    )
