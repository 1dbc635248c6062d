"""What privacy a plan costs a patient at a site, as far as it is known before the plan runs."""

from __future__ import annotations

from pathlib import Path

from client.budget.account import ledger_of
from client.settings import read
from common.exceptions import PolicyRefusal
from common.network_stages import EncoderStage
from common.plan import Plan
from common.privacy.accountant import epsilon, figure
from common.privacy.events import DiscreteLaplace, Mechanism, Unprotected
from common.privacy.planned import mechanisms
from common.stages import BoostingStage, LocalStage

_STEP = 1e-3
"""Of the accountant's discretisation, for the figure of a stage: above the truth by less than a thousandth of it."""


def told(plan: Plan | None) -> str:
    """Say what every site's patients pay for a plan."""
    if plan is None:
        return "No plan was given, so nothing is known of the privacy it would cost; name one with --plan."
    share = plan.statistics.epsilon
    statistics = (
        "Counts leave exact, small ones withheld: no epsilon bounds what they tell."
        if share is None
        else f"Statistics cost each patient at most epsilon = {share:g} here, with delta = 0, however often asked."
    )
    noised = [
        f"Stage {stage.name} trains with noise: all its rounds, seeds and folds cost each patient at most "
        f"epsilon = {figure(epsilon(_whole(plan, stage), stage.privacy.delta, step=_STEP))} at "
        f"delta = {stage.privacy.delta:g}."
        for stage in plan.encoders
        if stage.privacy is not None
    ]
    bare = f"{'The other' if noised else 'The'} stages ({', '.join(_exact(plan))}) add no noise"
    return " ".join([statistics, *noised, f"{bare}: no epsilon bounds what they tell."])


def here(kit: Path, plan: Plan) -> tuple[str, str]:
    """Say what a plan's noise costs at one site beside all that was released before, and why the site may refuse.

    Returns
    -------
    cost : str
        Empty where the plan adds no noise.
    shortage : str
        What the budget lacks for the plan; empty where it lasts. A plan that has run is not paid for again.

    Raises
    ------
    PolicyRefusal
        The plan costs more than the whole budget.
    PrivacyError
        The ledger was altered or put back.
    """
    if not (planned := _noise(plan)):
        return "", ""
    settings = read(kit / "site.toml").privacy
    ledger = ledger_of(kit)
    before = [one for one in ledger.mechanisms() if not isinstance(one, Unprotected)] if ledger else []
    spent, alone, together = (epsilon(some, settings.delta) for some in (before, planned, [*before, *planned]))
    cost = (
        f"At this site's delta = {settings.delta:g} its noise costs at most epsilon = {figure(alone)} in all; spent "
        f"before is {figure(spent)}, together {figure(together)}."
    )
    if settings.epsilon is None:
        return f"{cost} No budget is set: a plan is never refused for what it costs.", ""
    if alone > settings.epsilon:
        raise PolicyRefusal(
            f"the plan costs epsilon = {figure(alone)} at delta = {settings.delta:g}, and this site's whole budget is "
            f"{settings.epsilon:g}"
        )
    shortage = f"the budget of epsilon = {settings.epsilon:g} does not last: this site would refuse within the run"
    return f"{cost} The budget is {settings.epsilon:g}.", shortage if together > settings.epsilon else ""


def _noise(plan: Plan) -> list[Mechanism]:
    counts: list[Mechanism] = [DiscreteLaplace(plan.statistics.epsilon)] if plan.statistics.epsilon else []
    private = [stage for stage in plan.encoders if stage.privacy is not None]
    return [*counts, *(one for stage in private for one in _whole(plan, stage))]


def _whole(plan: Plan, stage: EncoderStage) -> tuple[Mechanism, ...]:
    """Return all that a stage does to a patient."""
    repetitions = len(list(plan.repetitions))
    return mechanisms(stage, repetitions, stage.rounds * repetitions)


def _exact(plan: Plan) -> list[str]:
    """Name the kinds of stages that tell something without noise; a features stage tells how many columns it has."""
    plain = [stage for stage in plan.encoders if stage.privacy is None]
    found = [
        stage.kind
        for stage in plan.training
        if isinstance(stage, BoostingStage)
        or stage in plain
        or (isinstance(stage, LocalStage) and (stage.trees is not None or plain))
    ]
    return [*dict.fromkeys(found), "evaluate"]
