"""What the training with noise cost a patient, what that covers, and what it does not."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from common.plan import Plan
from common.privacy.accountant import figure
from common.stages import BoostingStage, LocalStage
from server.report import plots
from server.report.tables import ABSENT, Cell, Row
from server.results import PrivacySpent, Results

HEAD = ["Stage", "Epsilon", "Delta", "Noise multiplier", "Clipping norm", "Sampling", "Steps"]


@dataclass(frozen=True)
class Privacy:
    """The section: a table, notes under it, a picture of epsilon by round."""

    lead: str
    head: list[str]
    rows: list[Row]
    notes: list[str]
    plot: plots.Plot | None


def section(results: Results, plan: Plan) -> Privacy | None:
    """Make the section; None where no stage was trained with noise."""
    spent = results.privacy
    if spent is None:
        return None
    rows = [
        Row(stage.name, (
            Cell(figure(stage.epsilon)), Cell(f"{stage.delta:g}"), Cell(number(stage.noise_multiplier)),
            Cell(f"{stage.clipping_norm:g}"), Cell(f"{stage.sample_rate:.3g} of patients a step"),
            Cell(f"{stage.steps:,}"),
        ))
        for stage in spent.stages
    ]  # fmt: skip
    if len(rows) > 1:
        blank = (Cell(ABSENT),) * 4
        rows.append(Row("All together", (Cell(figure(spent.epsilon)), Cell(f"{spent.delta:g}"), *blank)))
    lead = (
        "Differential privacy of one patient, more or less, with all their records: "
        f"epsilon = {figure(spent.epsilon)} at delta = {spent.delta:g} bounds what the training with noise told about "
        "anybody at a site that took part in all of its rounds, seeds and folds."
    )
    return Privacy(lead, HEAD, rows, notes(spent, results, plan), _by_round(results))


def notes(spent: PrivacySpent, results: Results, plan: Plan) -> list[str]:
    """Say how epsilon was computed, and what of this run it does not bound."""
    private = {stage.name for stage in spent.stages}
    plain = [stage.name for stage in plan.federated if stage.name not in private]
    uncovered = ["the figures and counts of the evaluation"]
    if plan.statistics.epsilon is None:
        uncovered.append(f"the counts of the statistics, which are exact from {results.minimum_cell} patients on")
    if plain:
        trees = any(isinstance(stage, BoostingStage) and stage.name in plain for stage in plan.federated)
        uncovered.append(f"{', '.join(plain)}, trained without noise" + (" (trees among them)" * trees))
    if plain and any(isinstance(stage, LocalStage) for stage in plan.training):
        uncovered.append("the sites' own models of the local stage")
    found = [
        f"Accountant: {spent.accountant}. Patients are sampled independently (Poisson) for every step; of a patient's "
        "gradients the sum is clipped once; the noise is Gaussian and drawn from the site's operating system.",
        *looks_of(spent),
        f"Not covered: {'; '.join(uncovered)}.",
        "A site that answered fewer rounds spent less. What a site has spent over all runs is in its own ledger: "
        "fedward-client budget show.",
    ]
    if plan.statistics.epsilon is not None:
        found.append(
            f"The statistics carry noise of their own: epsilon = {plan.statistics.epsilon:g}, to be added to the above."
        )
    if any(one.kind == "pooled" for one in results.candidates):
        found.append(
            "This was a simulation: what was trained on pooled rows was trained without noise, for comparison."
        )
    return found


def looks_of(spent: PrivacySpent) -> list[str]:
    """Say what early stopping was told, which is part of what was spent."""
    told = [
        f"{stage.name}, {stage.looks:,} looks with a noise multiplier of {number(stage.validation_noise)}"
        for stage in spent.stages
        if stage.validation_noise is not None
    ]
    return [
        "Which round was kept, and when training ended, was decided on noised losses, part of epsilon: each round "
        "every site tells the loss on patients that are not trained on, each patient's mean clipped, their sum with "
        f"Gaussian noise ({'; '.join(told)})."
    ] if told else []  # fmt: skip


def number(value: float) -> str:
    """Write a noise multiplier with three digits."""
    return f"{value:,.0f}" if value >= 1000 else f"{float(f'{value:.3g}'):g}"


def _by_round(results: Results) -> plots.Plot | None:
    told = [stage for stage in results.stages if len(stage.rounds) > 1 and stage.rounds[0].epsilon is not None]
    if not told:
        return None
    text = "What a stage has cost a patient so far, round by round over all its seeds and folds."
    return plots.Plot("Epsilon by round", text, Markup(plots.epsilon(told)))
