"""Counts of every site under its small-cell rule, and the base score they agree on."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from common.exceptions import ProtocolError, QuorumError
from common.messages import StatisticsReply, StatisticsRequest
from server.results import Exchange, SiteSummary
from server.stages.study import Study, exchange


class Statistics(BaseModel):
    """What the stage found."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    base_score: float
    exchange: Exchange
    minimum_cell: int
    sites: tuple[SiteSummary, ...]


def run(study: Study) -> Statistics:
    """Ask every site once.

    Raises
    ------
    QuorumError
        No site may disclose how many of its cases are positive.
    """
    found = study.checkpoint.recall("statistics", Statistics)
    if found is None:
        requests = dict.fromkeys(study.members.names, StatisticsRequest())
        answers = study.members.ask(requests, StatisticsReply, what="statistics", check=_check)
        found = _summarise(answers.replies, exchange("statistics", answers))
        study.checkpoint.keep("statistics", found)
    study.exchanges.append(found.exchange)
    study.progress.step("statistics", 1)
    return found


def base_score(counts: list[tuple[int, int]]) -> float:
    """Share of positives over the sites that disclose (stays, positives), rounded to 6 digits.

    Every site starts from this one probability; taking it from the first reply, or each site
    its own, shifts all predictions.
    """
    stays, positives = sum(n for n, _ in counts), sum(p for _, p in counts)
    return round(min(max(positives / stays, 1e-6), 1 - 1e-6), 6)


def _check(reply: StatisticsReply) -> None:
    """Refuse counts that contradict each other (ProtocolError)."""
    if len(set(reply.rules)) != len(reply.rules):
        raise ProtocolError("statistics-reply: a rule is counted twice")
    if reply.positives is not None and (reply.stays is None or reply.positives > reply.stays):
        raise ProtocolError("statistics-reply: more positives than stays")
    if reply.patients is not None and reply.stays is not None and reply.patients > reply.stays:
        raise ProtocolError("statistics-reply: more patients than stays")


def _summarise(replies: Mapping[str, StatisticsReply], cost: Exchange) -> Statistics:
    summaries = tuple(
        SiteSummary(
            name=site,
            patients=reply.patients,
            stays=reply.stays,
            positives=reply.positives,
            excluded={
                rule: (None if count < 0 else count) for rule, count in zip(reply.rules, reply.excluded, strict=True)
            },
        )
        for site, reply in sorted(replies.items())
    )
    disclosed = [(s.stays, s.positives) for s in summaries if s.stays and s.positives is not None]
    if not disclosed:
        raise QuorumError(
            "statistics: every site withholds its class counts under its small-cell rule, so there is no agreed "
            "base score; invite a site with more cases"
        )
    return Statistics(
        base_score=base_score(disclosed),
        minimum_cell=max(reply.minimum_cell for reply in replies.values()),
        sites=summaries,
        exchange=cost,
    )
