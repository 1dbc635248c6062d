"""Counts of every site under its small-cell rule or with noise, and the base score they agree on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from common.clinical.tables import Tables, cut, exact_problem, noised_problem
from common.clinical.variables import Layout, Variable, layout
from common.exceptions import ProtocolError, QuorumError
from common.messages import NoisedStatisticsReply, NoisedStatisticsRequest, StatisticsReply, StatisticsRequest
from common.plan import Plan
from common.tasks.base import find
from server.pooling import pool
from server.results import Answers, Description, Distribution, Exchange, SiteSummary
from server.stages.study import Study, exchange

Replies = Mapping[str, StatisticsReply] | Mapping[str, NoisedStatisticsReply]


class Statistics(BaseModel):
    """What the stage found; base scores by label, where trees are grown."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    base_scores: dict[str, float]
    exchange: Exchange
    minimum_cell: int
    sites: tuple[SiteSummary, ...]
    description: Description | None


def run(study: Study) -> Statistics:
    """Ask every site once.

    Raises
    ------
    PlanError
        The plan names a variable that the data does not have.
    QuorumError
        Trees are grown for a label, and no site may disclose how many of its cases are positive.
    """
    found = study.checkpoint.recall("statistics", Statistics)
    if found is None:
        asked = layout(study.plan, study.feature_names)
        found = _exact(study, asked) if study.plan.statistics.epsilon is None else _noised(study, asked)
        study.checkpoint.keep("statistics", found)
    study.exchanges.append(found.exchange)
    study.progress.step("statistics", 1)
    return found


def base_score(counts: list[tuple[int, int]]) -> float:
    """Share of positives over the sites that disclose (cases, positives), rounded to 6 digits.

    Every site starts from this one probability; taking it from the first reply, or each site
    its own, shifts all predictions.
    """
    cases, positives = sum(n for n, _ in counts), sum(p for _, p in counts)
    return round(min(max(positives / cases, 1e-6), 1 - 1e-6), 6)


def _exact(study: Study, asked: Layout) -> Statistics:
    requests = dict.fromkeys(study.members.names, StatisticsRequest())
    answers = study.members.ask(
        requests, StatisticsReply, what="statistics", check=lambda _, reply: _check(reply, study.plan, asked)
    )
    sites = tuple(
        SiteSummary(
            name=site,
            patients=reply.patients,
            stays=reply.stays,
            answers={
                label: Answers(known=_told(known), positives=_told(positives))
                for label, known, positives in zip(study.plan.label_names, reply.known, reply.positives, strict=True)
            },
            excluded={rule: _told(count) for rule, count in zip(reply.rules, reply.excluded, strict=True)},
        )
        for site, reply in answers.replies.items()
    )
    return _found(study.plan, answers.replies, asked, sites, exchange("statistics", answers))


def _told(count: int) -> int | None:
    return None if count < 0 else count


def _noised(study: Study, asked: Layout) -> Statistics:
    requests = dict.fromkeys(study.members.names, NoisedStatisticsRequest())
    answers = study.members.ask(
        requests,
        NoisedStatisticsReply,
        what="statistics",
        check=lambda _, reply: _check_noised(reply, study.plan, asked),
    )
    counted = {site: _cases(cut(reply.cells, asked).labels, study.plan) for site, reply in answers.replies.items()}
    sites = tuple(
        SiteSummary(
            name=site,
            patients=max(each.known or 0 for each in of_labels.values()),  # of labels that many rows know, the most
            stays=None,
            answers=of_labels,
            excluded={},
        )
        for site, of_labels in counted.items()
    )
    return _found(study.plan, answers.replies, asked, sites, exchange("statistics", answers))


def _check(reply: StatisticsReply, plan: Plan, asked: Layout) -> None:
    """Refuse counts that contradict each other or the plan (ProtocolError)."""
    if len(set(reply.rules)) != len(reply.rules):
        raise ProtocolError("statistics-reply: a rule is counted twice")
    if len(reply.known) != len(plan.label_names):
        raise ProtocolError("statistics-reply: not two counts for each label of the plan")
    if any(positives > known for known, positives in zip(reply.known, reply.positives, strict=True)):
        raise ProtocolError("statistics-reply: more positives than stays")
    if max(reply.known) > (-1 if reply.stays is None else reply.stays):
        raise ProtocolError("statistics-reply: more known answers than stays")
    if reply.patients is not None and reply.stays is not None and reply.patients > reply.stays:
        raise ProtocolError("statistics-reply: more patients than stays")
    if wrong := exact_problem(reply, asked, reply.minimum_cell):
        raise ProtocolError(f"statistics-reply: {wrong}")


def _check_noised(reply: NoisedStatisticsReply, plan: Plan, asked: Layout) -> None:
    if wrong := noised_problem(reply, asked, plan.statistics.epsilon):
        raise ProtocolError(f"noised-statistics-reply: {wrong}")


def _cases(labels: list[list[int]], plan: Plan) -> dict[str, Answers]:
    """Patients whose answer is known, and those with a yes: neither below 0, no more of these than of those."""
    exclusive, found = find(plan.task).kind == "multiclass", {}
    for place, (name, column) in enumerate(zip(plan.label_names, plan.label_columns, strict=True)):
        table = labels[0 if exclusive else place]
        known = max(sum(table[1:]), 0)
        found[name] = Answers(known=known, positives=min(max(table[1 + column if exclusive else 2], 0), known))
    return found


def _found(
    plan: Plan,
    replies: Replies,
    asked: Layout,
    sites: tuple[SiteSummary, ...],
    cost: Exchange,
) -> Statistics:
    return Statistics(
        base_scores={
            label: base_score(_disclosed(label, sites, plan)) for label in (plan.label_names if plan.boosted else ())
        },
        minimum_cell=max(reply.minimum_cell for reply in replies.values()),
        sites=sites,
        exchange=cost,
        description=_describe(plan, replies, asked) if plan.statistics.tabulated else None,
    )


def _disclosed(label: str, sites: Sequence[SiteSummary], plan: Plan) -> list[tuple[int, int]]:
    """Return (cases, positives) of the sites that tell both."""
    told = [site.answers[label] for site in sites]
    disclosed = [(each.known, each.positives) for each in told if each.known and each.positives is not None]
    if not disclosed:
        leave_out = f", or leave '{label}' out of 'labels'" if len(plan.label_names) > 1 else ""
        raise QuorumError(
            f"statistics: every site withholds its class counts of '{label}' under its small-cell rule, so there is no "
            f"agreed base score; invite a site with more cases{leave_out}"
        )
    return disclosed


def _describe(plan: Plan, replies: Replies, asked: Layout) -> Description:
    tables = {site: cut(reply.cells, asked) for site, reply in replies.items()}
    minimum = {site: reply.minimum_cell for site, reply in replies.items()}
    moments = {
        site: dict(zip(reply.moments, zip(reply.means, reply.deviations, strict=True), strict=True))
        for site, reply in replies.items()
        if isinstance(reply, StatisticsReply)
    }

    def pooled(part: str, position: int, variable: Variable) -> Distribution:
        told = {site: cut[position] for site, each in tables.items() if (cut := getattr(each, part))}
        own = {site: found[position] for site, found in moments.items() if part == "features" and position in found}
        return pool(variable, told, own, minimum=minimum, noised=plan.statistics.epsilon is not None)

    labels, features = (
        tuple(pooled(part, *place) for place in enumerate(getattr(asked, part))) for part in Tables._fields
    )
    return Description(epsilon=plan.statistics.epsilon, labels=labels, features=features)
