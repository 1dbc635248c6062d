"""Every site scores its held-out patients with every network, some at a time; what they say stays at the site.

Weights are sent once, and not to a site that has kept them. No message has more of them than the largest encoder's
training sends, whatever the number of networks and folds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from pydantic import BaseModel, ConfigDict

from common.local_rule import Keeps
from common.messages import Behind
from common.network_messages import ScoreReply, ScoreRequest
from server.results import Exchange
from server.stages.study import Study, exchange
from strategies.rounds.membership import Answers

MOST_BYTES = 1 << 25
"""Of weights in one message, unless a single network has more."""


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
    """Some networks' scores are at the sites."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    exchange: Exchange


def run(study: Study, seed: int, networks: Sequence[NetworkContender]) -> None:
    """Bring every site to score with all networks, and remember after each message that it has been done."""
    for number, batch in enumerate(_batches(study, _tasks(study, networks)), start=1):
        key = f"score/{seed}/{number}"
        finished = study.checkpoint.recall(key, Scored)
        if finished is None:
            what, answers = _exchange(study, seed, number, batch, study.members.names)
            finished = Scored(exchange=exchange(what, answers))
            study.checkpoint.keep(key, finished)
        study.exchanges.append(finished.exchange)


def again(study: Study, seed: int, networks: Sequence[NetworkContender], behind: Mapping[str, Behind]) -> set[str]:
    """Bring the sites that lack scores, and not only trees, to make them: they were away, or have other data now.

    Returns
    -------
    set of str
        Those that still lack some: such as a site without the part of a network that stays where it was trained.
    """
    known = _tasks(study, networks)
    lacking = {site: found for site, one in behind.items() if (found := known.keys() & set(one.lacking))}
    tasks = {digest: some for digest, some in known.items() if any(digest in found for found in lacking.values())}
    unable: set[str] = set()
    for number, batch in enumerate(_batches(study, tasks), start=1):
        what, answers = _exchange(study, seed, number, batch, tuple(lacking))
        study.exchanges.append(exchange(what, answers))
        unable |= set(answers.missing)
    return unable


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
) -> tuple[str, Answers[ScoreReply]]:
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

    what = f"score, seed {seed}, part {number}"
    return what, study.ask_with_models(tuple(sites), request, ScoreReply, what=what)
