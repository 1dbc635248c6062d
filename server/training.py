"""All models of a plan: every training stage in every repetition, then every model on everybody's held-out patients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from common.boosting.model import Model, ModelHeader
from common.local_rule import LocalRule
from common.messages import LOCAL, PERSONAL, EvaluateReply
from common.network_stages import EncoderStage, FeaturesStage
from common.plan import Repetition
from common.stages import BoostingStage
from server.results import StageHistory
from server.stages import alone, boosting, encoder, evaluate, features, local
from server.stages.evaluate import Contender
from server.stages.score import NetworkContender
from server.stages.statistics import Statistics
from server.stages.study import Study
from strategies import base


@dataclass(frozen=True, eq=False)
class Trained:
    """What one repetition gave, by name: tree models, and digests of networks' weights."""

    models: dict[str, Model] = field(default_factory=dict)
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
        trained = found[repetition] = Trained()
        for stage in study.plan.training:
            if isinstance(stage, BoostingStage):
                header = ModelHeader(counts.base_score, study.features_of(stage.name))
                trained.models[stage.name], history = boosting.run(study, stage, header, repetition)
                histories.append(history)
            elif isinstance(stage, EncoderStage):
                trained.networks[stage.name], history = encoder.run(study, stage, patients, repetition)
                histories.append(history)
            elif isinstance(stage, FeaturesStage):
                keeps = _rule(study, stage.encoder).keeps
                features.run(study, stage, trained.networks[stage.encoder], keeps, repetition)
            else:
                if stage.trees:
                    header = ModelHeader(counts.base_score, study.features_of(LOCAL))
                    own = local.run(study, stage.trees, header, repetition)
                    trained.models.update({f"{LOCAL}{site}": model for site, model in own.items()})
                for encoders in (one for one in study.plan.encoders if one.privacy is None):
                    alone_at = alone.run(study, encoders, repetition)
                    trained.networks.update({f"{encoders.name} {LOCAL}{site}": one for site, one in alone_at.items()})
    return found, histories


def judge(study: Study, repetitions: Repetitions) -> evaluate.BySeed:
    """Let every site score its held-out patients, seed by seed, with the models that every fold has."""
    plan = study.plan
    found: dict[int, Mapping[str, EvaluateReply]] = {}
    for seed in plan.seeds:
        trained = [repetitions[Repetition(seed, fold)] for fold in plan.split.held_out]
        contenders = [
            Contender(name, tuple(one.models[name] for one in trained), None if LOCAL in name else name)
            for name in trained[0].models
            if all(name in one.models for one in trained)
        ]
        networks = [
            NetworkContender(name, tuple(one.networks[name] for one in trained), _rule(study, name).keeps)
            for name in trained[0].networks
            if all(name in one.networks for one in trained)
        ]
        # A site that never trained has no network of its own: there the common one stands in for it.
        personal = [
            NetworkContender(f"{stage.name} {PERSONAL}", tuple(one.networks[stage.name] for one in trained), "nothing")
            for stage in plan.encoders
            if _rule(study, stage.name).personal
        ]
        found[seed] = evaluate.run(study, seed, contenders, [*networks, *personal]).replies
    return found


def _rule(study: Study, name: str) -> LocalRule:
    """Return what stays at the sites of a network; of one trained alone nothing does."""
    if LOCAL in name:
        return LocalRule()
    stage = study.plan.encoder(name)
    return base.find_for_weights(stage.strategy).rule(base.options(stage.strategy, stage.options))
