"""How the figures of the report came about, in sentences, and whom to thank for the data."""

from __future__ import annotations

from collections.abc import Sequence

from common.plan import Plan
from common.score_histogram import auroc_binning_error
from common.stages import EnsembleStage
from common.tasks.base import find
from server.report.answer import leading, point, span
from server.report.summary import Line, federated_label
from server.results import COARSE, OVERALL, Results

_EICU = (
    "Data: eICU Collaborative Research Database or its demo, under the terms of its licence (the demo: Open Database "
    "License 1.0, attribution and share-alike). Johnson, Pollard, Badawi, Raffa: eICU Collaborative Research Database "
    "Demo, PhysioNet. Pollard et al., The eICU Collaborative Research Database, Scientific Data 2018; 5:180178. "
    "Goldberger et al., PhysioBank, PhysioToolkit, and PhysioNet, Circulation 2000; 101:e215–e220."
)
_CREDITS = {"eicu": _EICU}
MOST_NAMED = 5
"""Sites that a sentence lists; of more it says how many."""


def attributions(results: Results, plan: Plan) -> list[str]:
    """Credit each source of real data, as its licence asks."""
    real = [site.name for site in results.sites if site.name not in results.synthetic]
    return [_CREDITS[source] for source in dict.fromkeys(map(plan.data.source_of, real)) if source in _CREDITS]


def label(results: Results) -> str:
    """Say so loudly where patients are invented; nothing where all are real."""
    if results.only_synthetic:
        return "SYNTHETIC DATA, NO REAL PATIENTS"
    return f"SOME SITES ARE SYNTHETIC: {', '.join(results.synthetic)}" if results.synthetic else ""


def measured(results: Results, plan: Plan, shown: Sequence[Line]) -> list[str]:
    """Say what was predicted, how patients were split, and what intervals and counts stand for."""
    task, folds = find(plan.task), plan.split.held_out
    held_out = f"fold{'s' if len(folds) > 1 else ''} {', '.join(map(str, folds))}{' in turn' if len(folds) > 1 else ''}"
    return [
        f"Outcome{'s' if len(plan.questions) > 1 else ''}: {_meanings(plan)}, for each {task.unit}. Prediction time: "
        f"{task.prediction_time}.",
        f"Patients, not stays, are split into {plan.split.folds} folds at each site; held out: {held_out}. "
        "No patient is on both sides of a split.",
        _seeds(results, plan),
        f"Intervals are 95 % percentile intervals of {plan.evaluation.bootstraps:,} bootstrap replicates; at a site "
        "whole patients are redrawn.",
        _binning(shown),
        *(_of_local_models() if any(line.kind == "local" for line in shown) else ()),
        *(_of_trees(results, plan) if plan.boosted else ()),
        *(_of_ensemble(one) for one in plan.ensembles),
    ]


def left_out(results: Results, plan: Plan) -> list[str]:
    """Say which sites the figures over all patients are without: they withhold their counts, or did not answer."""
    found: dict[str, set[str]] = {}
    for one in results.candidates:
        if one.kind == "federated" and any(score.site == OVERALL and score.auroc for score in one.scores):
            counted = {(score.seed, score.site) for score in one.scores if score.negatives}
            for site in results.sites:
                if any((seed, site.name) not in counted for seed in plan.seeds):
                    found.setdefault(site.name, set()).add(one.label)
    several = len(plan.label_names)
    named = [f"{site} for {len(of)} of {several} labels" if several > 1 else site for site, of in found.items()]
    names = ", ".join(named) if len(named) <= MOST_NAMED else f"{len(named)} sites"
    return [f"All patients together are those of the sites that tell counts of them, without {names}."] if found else []


def coarse(results: Results) -> list[str]:
    """Say which overall figures are doubtful: where a model gives many patients risks of one bin."""
    errors: dict[str, float] = {}
    for one in results.candidates:
        if one.kind == "federated":
            errors[one.name] = max((errors.get(one.name, 0.0), *(score.binning_error for score in one.scores)))
    named = [f"{federated_label(name)} (by up to {error:.2f})" for name, error in errors.items() if error > COARSE]
    several = "models give" if len(named) > 1 else "model gives"
    return [
        f"Over all patients the AUROC of {', '.join(named)} may differ from the exact one: the {several} many patients "
        "nearly the same risk, and counts per bin of risk do not tell them apart. The figures of each site are exact."
    ] if named else []  # fmt: skip


def card(results: Results, plan: Plan, shown: Sequence[Line], several: str = "") -> list[tuple[str, str]]:
    """Say of the models what whoever is given one has to know (after Mitchell et al., Model cards, FAT* 2019).

    Of ``several`` labels it is told how well it works.
    """
    task, best = find(plan.task), leading(shown)
    figure = best.at(OVERALL) if best else None
    real = [site.name for site in results.sites if site.name not in results.synthetic]
    return [
        ("Predicts", f"{_meanings(plan)}, for each {task.unit}. {task.prediction_time[0].upper()}"
                     f"{task.prediction_time[1:]}."),
        ("Made for", "Research on data like that of the sites below. It is no medical device and was not tried on "
                     "patients: do not decide on anybody's treatment by it."),
        ("Learnt from", f"{', '.join(plan.modalities)} of {_sources(results, plan)}"
                        + ("; all of them synthetic." if not real else ".")),
        ("Works", f"{several} Elsewhere it may be worse." if several else
                  f"{best.label}: AUROC {point(figure.value)} ({span(figure)}) on held-out patients of the same sites; "
                  "elsewhere it may be worse." if best and figure else "The overall figures are withheld."),
        ("Privacy", f"epsilon = {results.privacy.epsilon:.3g} at delta = {results.privacy.delta:g} for "
                    f"{', '.join(stage.name for stage in results.privacy.stages)}; the others were trained without "
                    "noise." if results.privacy else "Trained without noise: a model may tell of the patients it "
                    "learnt from."),
        ("Known by", "the SHA-256 of its file, in the table of models below" + (", and an ensemble by those of its "
                     "members" if plan.ensembles else "") + "; fedward-client predict checks it."),
    ]  # fmt: skip


def _meanings(plan: Plan) -> str:
    return "; ".join(label.meaning for label in plan.questions)


def _sources(results: Results, plan: Plan) -> str:
    """Say what the data of which sites is."""
    sites: dict[str, list[str]] = {}
    for site in results.sites:
        sites.setdefault(plan.data.source_of(site.name), []).append(site.name)
    return "; ".join(f"source {source}, at {', '.join(names)}" for source, names in sites.items())


def _of_local_models() -> list[str]:
    return [
        "Own local: each site's patients under the model that site trained alone. Mean of local: the average of the "
        "probabilities of all sites' own models."
    ]


def _of_ensemble(stage: EnsembleStage) -> str:
    """Say what an ensemble is of, and that its variants are no other."""
    return (
        f"{federated_label(stage.name)}: the mean log odds of {', '.join(stage.models)}; where there is an own local, "
        "mean of local or pooled one, of what these say when trained so."
    )


def _of_trees(results: Results, plan: Plan) -> list[str]:
    """Say what networks know nothing of: they are trained on the rows as they are, from no base score."""
    return [f"Resampling of the trees' training fold: {plan.resampling}. {_base_scores(results)}"]


def _base_scores(results: Results) -> str:
    if len(results.base_scores) == 1:
        return f"Agreed base score: {next(iter(results.base_scores.values())):.4f}."
    return f"Agreed base scores: {', '.join(f'{label} {score:.4f}' for label, score in results.base_scores.items())}."


def _seeds(results: Results, plan: Plan) -> str:
    """Say also how far an overall figure moves with nothing but the seed, which no interval shows."""
    seeds = plan.seeds
    if len(seeds) == 1:
        return f"One seed: {seeds[0]}."
    text = (
        f"Figures and both ends of their intervals are means over {len(seeds)} seeds ({', '.join(map(str, seeds))}); "
        "curves are drawn from counts summed over the seeds."
    )
    ranges = []
    for candidate in results.candidates if len(plan.label_names) == 1 else ():
        values = [score.auroc.value for score in candidate.scores if score.site == OVERALL and score.auroc]
        if candidate.kind == "federated" and values:
            ranges.append(f"{federated_label(candidate.name)} {point(min(values))} to {point(max(values))}")
    return f"{text} AUROC over all patients, lowest to highest seed: {'; '.join(ranges)}." if ranges else text


def _binning(shown: Sequence[Line]) -> str:
    errors = [auroc_binning_error(line.histogram) for line in shown if line.histogram]
    if not errors:
        return "The plan shares figures only; no counts per score bin left the sites."
    return (
        "Overall figures come from counts of stays per bin of predicted risk on one public grid, summed over the "
        f"sites. Binning can change an overall AUROC on this page by at most {max(errors):.4f}. Their intervals redraw "
        "stays within each site, because the counts tell no patients apart; where patients have several stays they are "
        "a little too narrow."
    )
