"""One plan at several epsilons, seed by seed: what privacy costs in AUROC."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from common.exceptions import PlanError
from common.plan import Plan, from_json
from common.privacy import accountant
from common.privacy.events import SampledGaussian, SampledRecords
from common.serialization import canonical, parse
from server.results import OVERALL, Candidate, Interval, PrivateStage, Results

RECORDS = 5
"""Of the patient for whom training that protects single records is told."""
STEP = 1e-2
"""Of the accountant's discretisation for what is told for comparison; never below the truth."""


@dataclass(frozen=True)
class Point:
    """What a stage's network reached at one epsilon.

    Attributes
    ----------
    figures : mapping of site or "overall" to Interval
        AUROC and both ends of its 95 % interval over patients, means over the seeds; missing where withheld.
    seeds : tuple of float
        Overall AUROC of each seed.
    spent : PrivateStage or None
        What the training with one seed cost; None without noise.
    """

    figures: Mapping[str, Interval]
    seeds: tuple[float, ...]
    spent: PrivateStage | None


@dataclass(frozen=True)
class Curve:
    """A stage with noise by epsilon; infinity is without noise."""

    name: str
    delta: float
    at: Mapping[float, Point]


Run = Callable[[Plan, float, int], Results]
"""Runs a plan of one seed; epsilon and seed say what it is."""


def read_epsilons(text: str) -> tuple[float, ...]:
    """Read ``0.5,1,inf``, ascending.

    Raises
    ------
    PlanError
        Not numbers above 0, or one twice.
    """
    try:
        found = sorted(float(one) for one in text.split(","))
    except ValueError:
        found = []
    if not found or len(set(found)) != len(found) or not all(one > 0 for one in found):
        raise PlanError("epsilons are numbers above 0, each once, separated by commas; inf is without noise")
    return tuple(found)


def at_epsilon(plan: Plan, epsilon: float, seed: int) -> Plan:
    """Return the plan with another epsilon in all its stages with noise, and with one seed.

    Hospitals train once; several seeds in one plan would share its epsilon, and the noise of each would grow with
    their number. At infinity there is no noise and no clipping, and a round has as many epochs as a private one looks
    at each patient on average.

    Raises
    ------
    PlanError
        No stage is trained with noise.
    """
    tree = parse(plan.to_json()) | {"seeds": [seed]}
    stages = [stage for stage in tree["stages"] if stage.get("privacy")]
    if not stages:
        raise PlanError(f"plan {plan.name} has no encoder stage with 'privacy', so there is no curve to draw")
    for stage in stages:
        if math.isinf(epsilon):
            stage |= plan.encoder(stage["name"]).without_noise().model_dump(mode="json")
        else:
            stage["privacy"] |= {"epsilon": epsilon, "noise_multiplier": None}
    return from_json(canonical(tree).decode())


def measure(plan: Plan, epsilons: Sequence[float], run: Run) -> dict[float, list[Results]]:
    """Run the plan once an epsilon and seed."""
    return {epsilon: [run(at_epsilon(plan, epsilon, seed), epsilon, seed) for seed in plan.seeds]
            for epsilon in epsilons}  # fmt: skip


def curves(plan: Plan, found: Mapping[float, Sequence[Results]]) -> tuple[Curve, ...]:
    """Take the AUROC of every stage with noise out of the results, for each label."""
    return tuple(
        Curve(
            stage.name if len(plan.label_names) == 1 else f"{stage.name}, {label}",
            stage.privacy.delta,
            {epsilon: _point(stage.name, label, results) for epsilon, results in found.items()},
        )
        for stage in plan.encoders
        if stage.privacy
        for label in plan.label_names
    )


def composed(spent: PrivateStage, times: int) -> float:
    """Epsilon of several such trainings on the same patients."""
    return accountant.epsilon(_mechanisms(spent, times), spent.delta, step=STEP)


def of_many_records(spent: PrivateStage) -> float:
    """Epsilon of a patient with :data:`RECORDS` records, had single records been sampled and clipped instead.

    Noise, sample rate and steps are the same, and so is the epsilon that would be claimed, of a record.
    """
    records = [
        SampledRecords(how.noise_multiplier, how.sample_rate, how.steps, RECORDS) for how in _mechanisms(spent, 1)
    ]
    return accountant.epsilon(records, spent.delta, step=STEP)


def found_out(epsilon: float, delta: float, false_alarms: float) -> float:
    """Share of the patients that an attacker can at most tell to have been trained on.

    Parameters
    ----------
    epsilon, delta : float
    false_alarms : float
        Share of the others that the attacker takes for them; in (0, 1).

    Notes
    -----
    Kairouz, Oh and Viswanath, ICML 2015, theorem 2.1.
    """
    if math.isinf(epsilon):
        return 1.0
    return min(math.exp(epsilon) * false_alarms + delta, 1 - math.exp(-epsilon) * (1 - delta - false_alarms))


def _mechanisms(spent: PrivateStage, times: int) -> list[SampledGaussian]:
    training = SampledGaussian(spent.noise_multiplier, spent.sample_rate, spent.steps * times)
    if spent.validation_noise is None:
        return [training]
    return [training, SampledGaussian(spent.validation_noise, 1.0, spent.looks * times)]


def _point(name: str, label: str, results: Sequence[Results]) -> Point:
    asked = [one for found in results for one in found.candidates if (one.name, one.label) == (name, label)]
    of_seeds = [_auroc(one) for one in asked]
    sites = [site for site in of_seeds[0] if all(site in told for told in of_seeds)] if of_seeds else []
    figures = {site: _mean([told[site] for told in of_seeds]) for site in sites}
    spent = [stage for found in results if found.privacy for stage in found.privacy.stages if stage.name == name]
    seeds = tuple(told[OVERALL].value for told in of_seeds) if OVERALL in figures else ()
    return Point(figures, seeds, spent[0] if spent else None)


def _auroc(candidate: Candidate) -> dict[str, Interval]:
    return {score.site: score.auroc for score in candidate.scores if score.auroc}


def _mean(found: Sequence[Interval]) -> Interval:
    return Interval(
        value=fmean(one.value for one in found),
        low=fmean(one.low for one in found),
        high=fmean(one.high for one in found),
    )
