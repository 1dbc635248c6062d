"""Every site scores its held-out patients with every network, some at a time; what they say stays at the site.

Weights are sent once, and not to a site that has kept them. No message has more of them than the largest encoder's
training sends, whatever the number of networks and folds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from pydantic import BaseModel, ConfigDict

from common.exceptions import ProtocolError
from common.local_rule import Keeps
from common.messages import Behind
from common.network_messages import ScoreReply, ScoreRequest
from server.results import Exchange
from server.stages.study import Study, exchange

MOST_BYTES = 1 << 25
"""Of weights in one message, unless a single network has more."""
_UNABLE = "it cannot score with {}: {}"


@dataclass(frozen=True)
class NetworkContender:
    """A name, "<stage>" or "<stage> <which>", and the digests of its weights, one a held-out fold."""

    name: str
    digests: tuple[str, ...]
    keeps: Keeps


@dataclass(frozen=True)
class _Task:
    """A network and a fold it has not seen."""

    name: str
    fold: int
    keeps: Keeps


_Batch = Mapping[str, Sequence[_Task]]
"""What to do with which weights, by their digest."""


class Scored(BaseModel):
    """Some networks' scores are at the sites; of which a site is unable to make them, by site."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    exchange: Exchange
    unable: dict[str, tuple[str, ...]]


Unable = Mapping[str, frozenset[str]]
"""Names of networks that a site cannot score with, by site: a part of it may stay where it was trained."""


def run(study: Study, seed: int, networks: Sequence[NetworkContender]) -> Unable:
    """Bring every site to score with all networks, and remember after each message that it has been done."""
    parts = []
    for number, batch in enumerate(_batches(study, _tasks(study, networks)), start=1):
        key = f"score/{seed}/{number}"
        finished = study.checkpoint.recall(key, Scored)
        if finished is None:
            finished, _ = _exchange(study, seed, number, batch, study.members.names)
            study.checkpoint.keep(key, finished)
        study.exchanges.append(finished.exchange)
        parts.append(finished.unable)
    return together(parts)


def again(study: Study, seed: int, networks: Sequence[NetworkContender], behind: Mapping[str, Behind]) -> Unable:
    """Bring the sites that lack scores, and not only trees, to make them: they were away, or have other data now.

    One that does not answer is unable to score with all that it lacked.
    """
    known = _tasks(study, networks)
    lacking = {site: found for site, one in behind.items() if (found := known.keys() & set(one.lacking))}
    tasks = {digest: some for digest, some in known.items() if any(digest in found for found in lacking.values())}
    parts: list[Mapping[str, Collection[str]]] = []
    for number, batch in enumerate(_batches(study, tasks), start=1):
        finished, missing = _exchange(study, seed, number, batch, tuple(lacking))
        study.exchanges.append(finished.exchange)
        lost = {site: [one.name for each in lacking[site] & batch.keys() for one in batch[each]] for site in missing}
        parts += [finished.unable, lost]
    return together(parts)


def together(parts: Sequence[Mapping[str, Collection[str]]]) -> Unable:
    """Unite what was found out in parts."""
    sites = {site for part in parts for site in part}
    return {site: frozenset(name for part in parts for name in part.get(site, ())) for site in sites}


def _tasks(study: Study, networks: Sequence[NetworkContender]) -> dict[str, list[_Task]]:
    found: dict[str, list[_Task]] = {}
    for network in networks:
        for fold, digest in zip(study.plan.split.held_out, network.digests, strict=True):
            found.setdefault(digest, []).append(_Task(network.name, fold, network.keeps))
    return found


def _batches(study: Study, tasks: _Batch) -> Iterator[_Batch]:
    batch: dict[str, Sequence[_Task]] = {}
    size = 0
    for digest, some in tasks.items():
        more = study.blobs.size(digest)
        if batch and size + more > MOST_BYTES:
            yield batch
            batch, size = {}, 0
        batch[digest] = some
        size += more
    if batch:
        yield batch


def _exchange(
    study: Study, seed: int, number: int, batch: _Batch, sites: Collection[str]
) -> tuple[Scored, Collection[str]]:
    """Ask sites to score; also returns those that did not answer."""
    contents = {digest: study.blobs.get(digest) for digest in batch}
    tasks = [(digest, task) for digest, some in batch.items() for task in some]

    @cache  # sites that have kept the same weights get the same request
    def but(held: frozenset[str]) -> ScoreRequest:
        return ScoreRequest(
            seed=seed,
            networks=[task.name for _, task in tasks],
            folds=[task.fold for _, task in tasks],
            keeps=[task.keeps for _, task in tasks],
            digests=[digest for digest, _ in tasks],
            weights=[content for digest, content in contents.items() if digest not in held],
        )

    def request(site: str, whole: bool) -> ScoreRequest:
        return but(frozenset() if whole else frozenset(one for one in contents if study.holds_weights(site, one)))

    def check(_: str, reply: ScoreReply) -> None:
        if not set(reply.unable) <= {task.name for _, task in tasks}:
            raise ProtocolError("score-reply: it names networks that it was not asked about")

    what = f"score, seed {seed}, part {number}"
    answers = study.ask_with_models(tuple(sites), request, ScoreReply, what=what, check=check)
    unable = {site: reply for site, reply in answers.replies.items() if reply.unable}
    told = {site: "; ".join(map(_UNABLE.format, one.unable, one.because)) for site, one in unable.items()}
    study.members.judge(told, what, tuple(answers.missing))
    return Scored(
        exchange=exchange(what, answers), unable={site: tuple(one.unable) for site, one in unable.items()}
    ), tuple(answers.missing)
