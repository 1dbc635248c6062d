"""All models of a plan: every training stage in every repetition, then every model on everybody's held-out patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from common.boosting.model import Model, ModelHeader
from common.local_rule import LocalRule
from common.messages import LOCAL, PERSONAL, EvaluateReply
from common.network_stages import EncoderStage, FeaturesStage
from common.plan import Repetition
from common.stages import BoostingStage, LocalStage
from server.results import StageHistory
from server.stages import alone, boosting, encoder, evaluate, features, local, score
from server.stages.evaluate import Contender
from server.stages.score import NetworkContender
from server.stages.statistics import Statistics
from server.stages.study import Study
from strategies import base


@dataclass(frozen=True, eq=False)
class Trained:
    """What one repetition gave: tree models by label and name, and digests of networks' weights by name."""

    models: dict[str, dict[str, Model]] = field(default_factory=dict)
    networks: dict[str, str] = field(default_factory=dict)


Repetitions = Mapping[Repetition, Trained]


def train(study: Study, counts: Statistics) -> tuple[Repetitions, list[StageHistory]]:
    """Run every training stage in every repetition."""
    patients = {site.name: site.patients for site in counts.sites}
    for planned in study.plan.encoders:
        encoder.require(study, planned, patients)
    found: dict[Repetition, Trained] = {}
    histories: list[StageHistory] = []
    for repetition in study.plan.repetitions:
        trained = found[repetition] = Trained({label: {} for label in study.plan.label_names})
        for stage in study.plan.training:
            if isinstance(stage, BoostingStage):
                for label, models in trained.models.items():
                    header = ModelHeader(counts.base_scores[label], study.features_of(stage.name))
                    models[stage.name], history = boosting.run(study, stage, label, header, repetition)
                    histories.append(history)
            elif isinstance(stage, EncoderStage):
                trained.networks[stage.name], history = encoder.run(study, stage, patients, repetition)
                histories.append(history)
            elif isinstance(stage, FeaturesStage):
                keeps = _rule(study, stage.encoder).keeps
                features.run(study, stage, trained.networks[stage.encoder], keeps, repetition)
            else:
                _train_alone(study, stage, counts, repetition, trained)
    return found, histories


def _train_alone(study: Study, stage: LocalStage, counts: Statistics, repetition: Repetition, trained: Trained) -> None:
    if stage.trees is not None:
        for label, models in trained.models.items():
            header = ModelHeader(counts.base_scores[label], study.features_of(LOCAL))
            own = local.run(study, stage.trees, label, header, repetition)
            models.update({f"{LOCAL}{site}": model for site, model in own.items()})
    for encoders in (one for one in study.plan.encoders if one.privacy is None):
        digests = alone.run(study, encoders, repetition)
        trained.networks.update({f"{encoders.name} {LOCAL}{site}": each for site, each in digests.items()})


def judge(study: Study, repetitions: Repetitions) -> evaluate.BySeed:
    """Let every site score its held-out patients, seed by seed, with the models that every fold has."""
    plan = study.plan
    found: dict[int, list[Mapping[str, EvaluateReply]]] = {}
    for seed in plan.seeds:
        trained = [repetitions[Repetition(seed, fold)] for fold in plan.split.held_out]
        trees = {label: _contenders([one.models[label] for one in trained]) for label in plan.label_names}
        networks = [
            NetworkContender(name, tuple(one.networks[name] for one in trained), _rule(study, name).keeps)
            for name in trained[0].networks
            if all(name in one.networks for one in trained)
        ]
        personal = [
            NetworkContender(f"{stage.name} {PERSONAL}", tuple(one.networks[stage.name] for one in trained), "nothing")
            for stage in plan.encoders
            if _rule(study, stage.name).personal
        ]
        unable = score.run(study, seed, [*networks, *personal])
        hearings = evaluate.hearings(trees, [*networks, *personal], at_once=bool(plan.ensembles))
        found[seed] = [evaluate.run(study, seed, hearing, unable).replies for hearing in hearings]
    return found


def _contenders(models: Sequence[Mapping[str, Model]]) -> list[Contender]:
    """Return the tree models of a label that every fold has."""
    return [
        Contender(name, tuple(one[name] for one in models), None if LOCAL in name else name)
        for name in models[0]
        if all(name in one for one in models)
    ]


def _rule(study: Study, name: str) -> LocalRule:
    """Return what stays at the sites of a network; of one trained alone nothing does."""
    if LOCAL in name:
        return LocalRule()
    stage = study.plan.encoder(name)
    return base.find_for_weights(stage.strategy).rule(base.options(stage.strategy, stage.options))
