"""What a site allows: rules over names and numbers, no input or output.

1. The task of the plan is one the site lists; a site that lists none takes part in none.
2. The plan the message belongs to is the plan the coordinator follows, and the one this run had before.
3. The cohort has at least ``minimum_cohort`` patients.
4. An evaluation shares at most what the site shares.
5. A request asks for nothing beyond its plan: no label that is not in it, and another seed or fold would be
   another overlapping group of patients, and the difference of two groups is a few of them. An evaluation scores the
   plan's models only, by name; that the coordinator did not make them up cannot be seen here. Where the
   plan wants noise, exact counts are not asked for.
6. The data is of the source the plan names.
7. Statistics cost a patient at most ``maximum_epsilon``; counts without noise have no such bound.
8. Statistics describe features only where the site allows it.
9. Without noise a variable is told over one range of numbers only, whatever later plans ask: over two
   ranges, the difference of two counts can be a few patients.
10. What carries no noise leaves only where the site allows unprotected releases, of evaluations or of all. A plan
    that asks for more is refused at admission: before any privacy is spent on what could not be finished.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Literal, TypeVar

from client.settings import Policy, PrivacySettings
from common.exceptions import PolicyRefusal
from common.messages import (
    LOCAL,
    PERSONAL,
    BoostRequest,
    EvaluateRequest,
    LocalRequest,
    NoisedStatisticsRequest,
    StatisticsRequest,
)
from common.network_messages import EmbedRequest, NetworkRequest, ScoreRequest, TrainAloneRequest, TrainRequest
from common.network_stages import FeaturesStage
from common.payload import Payload
from common.plan import Plan
from common.stages import BoostingStage, LocalStage

T = TypeVar("T")
_OF_A_FOLD = (BoostRequest, LocalRequest, NetworkRequest)
_OF_A_SEED = (*_OF_A_FOLD, ScoreRequest, EvaluateRequest)


def permit_task(policy: Policy, plan: Plan) -> None:
    """Rule 1 (PolicyRefusal)."""
    if plan.task not in policy.tasks:
        raise PolicyRefusal(f"this site's policy does not list task {plan.task}")


def permit_plan(plan: Plan, digest: str) -> None:
    """Rule 2, for the plan the coordinator follows (PolicyRefusal)."""
    if plan.digest != digest:
        raise PolicyRefusal("the coordinator follows another plan than the one this site received")


def permit_run(plan: Plan, digest: str) -> None:
    """Rule 2, for the plan the site received when the run began (PolicyRefusal)."""
    if plan.digest != digest:
        raise PolicyRefusal(
            "this site has already seen a run of this name, with another plan; choose another name for this run"
        )


def permit_cohort(policy: Policy, patients: int) -> None:
    """Rule 3 (PolicyRefusal); the text does not tell how many patients there are."""
    if patients < policy.minimum_cohort:
        raise PolicyRefusal(f"the cohort has fewer than {policy.minimum_cohort} patients, this site's minimum")


def permit_request(plan: Plan, request: Payload) -> None:
    """Rule 5 (PolicyRefusal)."""
    if not _within(plan, request):
        raise PolicyRefusal(f"the plan of this run does not provide for this {request.kind} request")


def _within(plan: Plan, request: Payload) -> bool:
    if isinstance(request, _OF_A_SEED) and request.seed not in plan.seeds:
        return False
    if isinstance(request, BoostRequest | LocalRequest) and request.label not in plan.label_names:
        return False
    if isinstance(request, StatisticsRequest | NoisedStatisticsRequest):
        return isinstance(request, NoisedStatisticsRequest) == (plan.statistics.epsilon is not None)
    if isinstance(request, EvaluateRequest):
        trees = {stage.name for stage in plan.training if isinstance(stage, BoostingStage)}
        trees |= {f"{LOCAL}{site}" for site in plan.sites.names}
        return (
            tuple(request.folds) == plan.split.held_out
            and _some_once(request.labels, set(plan.label_names))
            and _some_once(request.candidates, trees)
            and _some_once(request.networks, _networks(plan))
        )
    if isinstance(request, ScoreRequest):
        known = {(name, fold) for name in _networks(plan) for fold in plan.split.held_out}
        return _some_once(list(zip(request.networks, request.folds, strict=True)), known)
    if isinstance(request, _OF_A_FOLD) and request.fold not in plan.split.held_out:
        return False
    if isinstance(request, TrainRequest):
        return any(request.stage == stage.name and 1 <= request.round <= stage.rounds for stage in plan.encoders)
    if isinstance(request, EmbedRequest):
        return any(isinstance(stage, FeaturesStage) and stage.name == request.stage for stage in plan.stages)
    if isinstance(request, TrainAloneRequest):
        alone = any(isinstance(stage, LocalStage) for stage in plan.training)
        return alone and any(request.stage == stage.name and stage.privacy is None for stage in plan.encoders)
    if isinstance(request, BoostRequest):
        return any(
            request.stage == stage.name
            and 1 <= request.round <= stage.rounds
            and request.trees_wanted == stage.trees_per_round
            and request.learning_rate <= plan.trees.learning_rate
            for stage in plan.training
            if isinstance(stage, BoostingStage)
        )
    if isinstance(request, LocalRequest):
        return any(isinstance(stage, LocalStage) and request.trees_wanted == stage.trees for stage in plan.training)
    return True


def _networks(plan: Plan) -> set[str]:
    common = {stage.name + which for stage in plan.encoders for which in ("", f" {PERSONAL}")}
    return common | {f"{stage.name} {LOCAL}{site}" for stage in plan.encoders for site in plan.sites.names}


def _some_once(names: Sequence[T], known: Set[T]) -> bool:
    return len(set(names)) == len(names) and set(names) <= known


def permit_source(plan: Plan, site: str, source: str) -> None:
    """Rule 6 (PolicyRefusal)."""
    if plan.data.source_of(site) != source:
        raise PolicyRefusal(f"the plan is for data from {plan.data.source_of(site)}, this site has {source}")


def permit_epsilon(policy: Policy, epsilon: float | None) -> None:
    """Rule 7 (PolicyRefusal)."""
    if policy.maximum_epsilon is not None and (epsilon is None or epsilon > policy.maximum_epsilon):
        asked = "the plan asks for counts without noise" if epsilon is None else f"the plan asks for {epsilon:g}"
        raise PolicyRefusal(f"statistics may cost at most epsilon = {policy.maximum_epsilon:g} here; {asked}")


def permit_noiseless(privacy: PrivacySettings, plan: Plan) -> None:
    """Rule 10 for all that a plan is going to ask (PolicyRefusal)."""
    exact = ["the statistics"] if plan.statistics.epsilon is None else []
    exact += [stage.name for stage in plan.federated if isinstance(stage, BoostingStage) or stage.privacy is None]
    if privacy.unprotected == "refuse":
        exact.append("the evaluation")
    if exact and privacy.unprotected != "allow":
        raise PolicyRefusal(
            f"this site's privacy settings say that what carries no noise is not released, "
            f"and the plan asks for it: {', '.join(exact)}"
        )


def permit_unprotected(privacy: PrivacySettings, request: Payload) -> None:
    """Rule 10 for a reply (PolicyRefusal)."""
    permitted = privacy.unprotected == "allow" or (
        privacy.unprotected == "evaluation" and isinstance(request, EvaluateRequest)
    )
    if not permitted:
        raise PolicyRefusal(f"this site releases nothing without noise, which the reply to {request.kind} would be")


def described(policy: Policy) -> bool:
    """Rule 8."""
    return policy.describe == "features"


def permit_edges(before: Mapping[str, Sequence[float]], asked: Mapping[str, Sequence[float]]) -> None:
    """Rule 9, for the edges of cells by variable (PolicyRefusal)."""
    for name, edges in asked.items():
        told = before.get(name, edges)
        if list(told) != list(edges):
            raise PolicyRefusal(
                f"this site told {name} over ({told[0]:g}, {told[-1]:g}) before, and two ranges could be "
                "subtracted from each other: state that range, or ask with noise"
            )


def shared(policy: Policy, asked: Literal["summary", "curves"]) -> Literal["summary", "curves"]:
    """Rule 4: the lesser of what is asked and what is allowed."""
    return "curves" if asked == policy.share == "curves" else "summary"
