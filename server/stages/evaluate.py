"""Cross-site evaluation: every model on every site's held-out patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from operator import gt

import numpy as np
from pydantic import BaseModel, ConfigDict

from common import score_histogram, seeding
from common.boosting.model import Model
from common.boosting.transfer import pack
from common.ensembles import derived
from common.exceptions import ProtocolError
from common.messages import (
    LOCAL,
    MEAN_OF_LOCAL,
    PERSONAL,
    SCORE_BINS,
    Behind,
    EvaluateReply,
    EvaluateRequest,
)
from common.metrics import METRICS
from common.plan import Plan, Repetition
from common.score_histogram import ScoreHistogram
from server.results import OVERALL, Candidate, Exchange, Interval, Kind, Score
from server.stages import score
from server.stages.score import NetworkContender
from server.stages.study import Study, chain_name, exchange

LARGEST_COUNT = 10**9
"""Stays in a score bin of one site; sums over a thousand sites stay exact."""
BySeed = Mapping[int, Sequence[Mapping[str, EvaluateReply]]]
"""Replies by site, of each hearing of a seed."""


class Evaluation(BaseModel):
    """Every site's reply to one hearing."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    replies: dict[str, EvaluateReply]
    exchange: Exchange


@dataclass(frozen=True)
class Contender:
    """A name and its models, one a held-out fold; ``chain`` is None for models no site holds."""

    name: str
    models: tuple[Model, ...]
    chain: str | None


@dataclass(frozen=True)
class Hearing:
    """What is scored in one exchange: trees for one label, networks for any number."""

    labels: tuple[str, ...]
    trees: Sequence[Contender]
    networks: Sequence[NetworkContender]


def hearings(
    trees: Mapping[str, Sequence[Contender]], networks: Sequence[NetworkContender], *, at_once: bool
) -> list[Hearing]:
    """Divide what is to be scored: the trees of each label, then all networks; of one label both ``at_once``."""
    labels = tuple(trees)
    if at_once or len(labels) == 1:
        return [Hearing((label,), each, networks) for label, each in trees.items()]
    found = [Hearing((label,), each, ()) for label, each in trees.items() if each]
    return [*found, Hearing(labels, (), networks)] if networks else found


def run(study: Study, seed: int, hearing: Hearing, unable: score.Unable) -> Evaluation:
    """Ask every site to score its held-out patients with every contender of a hearing.

    With its networks they have (:func:`server.stages.score.run`), but for those that a site is unable to score with.
    """
    about = [study.named(label) for label in hearing.labels[:1] if len(hearing.labels) == 1]
    what = ", ".join(["evaluate", f"seed {seed}", *filter(None, about)])
    finished = study.checkpoint.recall(what, Evaluation)
    if finished is None:
        finished = _exchange(study, seed, hearing, what, unable)
        study.checkpoint.keep(what, finished)
    study.exchanges.append(finished.exchange)
    study.progress.step("evaluate", 1)
    return finished


def candidates(
    evaluations: BySeed, labels: Sequence[str], federated: Sequence[str], bootstraps: int
) -> tuple[Candidate, ...]:
    """Scores by label and candidate from the replies of each seed and site.

    Those over all sites are, seed by seed, of the same sites for every model of a label; of a reference, of all that
    have it.

    Parameters
    ----------
    evaluations : mapping of seed to mappings of site to reply
    labels : sequence of str
        The plan's, in its order.
    federated : sequence of str
        Names of the federated models.
    bootstraps : int
        Repetitions for the intervals over all sites, drawn from counts per score bin.
    """
    scores: dict[str, dict[str, list[Score]]] = {label: {} for label in labels}
    references: set[str] = set()
    for seed, heard in sorted(evaluations.items()):
        for site, reply in (each for replies in heard for each in sorted(replies.items())):
            references |= {*reply.references, *reply.references_withheld}
            blocks = {label: place * len(reply.candidates) for place, label in enumerate(reply.told)}
            for label in reply.labels:
                for position, name in enumerate(reply.candidates):
                    place = blocks[label] + position if label in blocks else None
                    scores[label].setdefault(name, []).append(_score(seed, site, reply, place))
                for name in reply.references_withheld:
                    scores[label].setdefault(name, []).append(_score(seed, site, reply, None))
        for of_label in scores.values():
            own = {name: [score for score in found if score.seed == seed] for name, found in of_label.items()}
            shared = _sites_of_all([found for name, found in own.items() if name not in references])
            for name, found in own.items():
                counted = [score for score in found if name in references or score.site in shared]
                if overall := _overall(name, seed, counted, bootstraps):
                    of_label[name].append(overall)
    return tuple(
        Candidate(name=name, label=label, kind=_kind(name, federated, references), scores=tuple(found))
        for label, of_label in scores.items()
        for name, found in of_label.items()
    )


def _exchange(study: Study, seed: int, hearing: Hearing, what: str, unable: score.Unable) -> Evaluation:
    """Ask each site about the contenders that it can score with."""
    folds, networks = list(study.plan.split.held_out), hearing.networks
    trees = [contender.name for contender in hearing.trees]
    label = hearing.labels[0]
    models = [
        (model, chain_name(contender.chain, Repetition(seed, fold), study.named(label)) if contender.chain else None)
        for contender in hearing.trees
        for fold, model in zip(folds, contender.models, strict=True)
    ]

    def of(site: str) -> tuple[NetworkContender, ...]:
        return tuple(one for one in networks if one.name not in unable.get(site, ()))

    @cache  # sites that hold the same models get the same request
    def upon(held: tuple[str | None, ...], networks: tuple[NetworkContender, ...]) -> EvaluateRequest:
        return EvaluateRequest(
            **pack([(model, digest) for (model, _), digest in zip(models, held, strict=True)]),
            labels=list(hearing.labels),
            seed=seed,
            folds=folds,
            candidates=trees,
            networks=[network.name for network in networks],
            digests=[digest for network in networks for digest in network.digests],
        )

    def request(site: str, whole: bool) -> EvaluateRequest:
        return upon(tuple(study.held(site, chain, m) if chain and not whole else None for m, chain in models), of(site))

    def check(site: str, reply: EvaluateReply) -> None:
        _check(reply, hearing.labels, [*trees, *(network.name for network in of(site))], study.plan)

    def catch_up(behind: Mapping[str, Behind]) -> None:
        nonlocal unable
        unable = score.together([unable, score.again(study, seed, networks, behind)])

    answers = study.ask_with_models(
        study.members.names,
        request,
        EvaluateReply,
        what=what,
        check=check,
        catch_up=catch_up,
    )
    return Evaluation(replies=dict(answers.replies), exchange=exchange(what, answers))


def _check(reply: EvaluateReply, labels: Sequence[str], names: Sequence[str], plan: Plan) -> None:
    """Refuse figures that do not fit each other or what was asked for (ProtocolError)."""
    if reply.labels != list(labels):
        raise ProtocolError("evaluate-reply: the labels are not those asked for")
    own = [*reply.references, *reply.references_withheld]
    if own and len(labels) > 1:
        raise ProtocolError("evaluate-reply: references, of which there are none about several labels")
    expected = [*names, *derived(plan, names)]
    if reply.candidates != [*expected, *reply.references] or len({*expected, *own}) < len(expected) + len(own):
        raise ProtocolError("evaluate-reply: the candidates are not those asked for")
    if any(_of_plan(name, plan) for name in own):
        raise ProtocolError(
            "evaluate-reply: a reference that is called like a model of the plan; call the plan's model otherwise"
        )
    if any(any(map(gt, figures[1::3], figures[2::3])) for figures in (getattr(reply, name) for name in METRICS)):
        raise ProtocolError("evaluate-reply: an interval that ends before it begins")
    if reply.negatives and plan.evaluation.share != "curves":
        raise ProtocolError("evaluate-reply: counts per score bin, where the plan asks for figures only")
    if max((*reply.negatives, *reply.positives), default=0) > LARGEST_COUNT:
        raise ProtocolError("evaluate-reply: more patients in a score bin than any site has")


def _of_plan(name: str, plan: Plan) -> bool:
    """Whether a name is one of the plan's models, of the variants of its networks, or of the means of the sites' own.

    A site's reference may not be called so: of other seeds, labels or sites it would make that model a reference.
    """
    return name in {*plan.models, MEAN_OF_LOCAL} or name.partition(" ")[0] in plan.families


def _score(seed: int, site: str, reply: EvaluateReply, place: int | None) -> Score:
    """Take out a candidate's figures and counts of a label, the block at that place of a reply; None is withheld."""

    def interval(figures: list[float]) -> Interval | None:
        if place is None:
            return None
        value, low, high = figures[3 * place : 3 * place + 3]
        return Interval(value=value, low=low, high=high)

    def counts(flat: list[int]) -> tuple[int, ...]:
        return () if place is None else tuple(flat[SCORE_BINS * place : SCORE_BINS * (place + 1)])

    return Score(
        site=site,
        seed=seed,
        negatives=counts(reply.negatives),
        positives=counts(reply.positives),
        **{metric: interval(getattr(reply, metric)) for metric in METRICS},
    )


def _sites_of_all(models: Sequence[Sequence[Score]]) -> set[str]:
    """Return the sites whose counts are there of every model that was tried: those of other patients do not compare.

    Trees and networks of several labels are heard apart, and a site may have left in between.
    """
    each = [{score.site for score in found if score.negatives} for found in models if found]
    return set.intersection(*each) if each else set()


def _overall(name: str, seed: int, found: Sequence[Score], bootstraps: int) -> Score | None:
    """All sites that share counts, together; None when none does or a class is missing."""
    shared = [
        ScoreHistogram(np.array(score.negatives, dtype=np.int64), np.array(score.positives, dtype=np.int64))
        for score in found
        if score.negatives
    ]
    if not shared:
        return None
    total = score_histogram.merge(shared)
    if not (total.negatives.any() and total.positives.any()):
        return None
    rng = seeding.generator(seed, "overall", name)
    figures = score_histogram.bootstrap_histogram(shared, rng, bootstraps)
    intervals = {
        metric: Interval(value=figures[metric].value, low=figures[metric].low, high=figures[metric].high)
        for metric in METRICS
    }
    return Score(
        site=OVERALL,
        seed=seed,
        negatives=tuple(total.negatives.tolist()),
        positives=tuple(total.positives.tolist()),
        **intervals,
    )


def _kind(name: str, federated: Sequence[str], references: set[str]) -> Kind:
    if name in references:
        return "reference"
    if name in federated:
        return "federated"
    if name.endswith(MEAN_OF_LOCAL):
        return "ensemble"
    if LOCAL in name:
        return "local"
    if name.endswith(PERSONAL):
        return "personal"
    return "pooled"
