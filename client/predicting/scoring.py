"""Probabilities of a cohort's rows by released models: the mean over a model's seeds and folds, then ensembles."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, get_args

import numpy as np
from numpy.typing import NDArray

from client.cohorts.cohort import Cohort
from client.predicting.released import ReleasedModel, ReleasedRun
from client.preprocessing.columns import columns
from common.boosting.reading import from_xgboost_json
from common.boosting.validation import TreeLimits
from common.clinical.features import Features
from common.ensembles import mean_log_odds
from common.exceptions import DataError, ModelError
from common.local_rule import Keeps
from common.messages import LARGEST_LEAF, MAXIMUM_TREE_BYTES
from common.network_stages import EncoderStage
from common.serialization import digest_json

if TYPE_CHECKING:  # a run of trees needs no torch
    import torch

    from client.features.embedding import Means
    from client.inputs.assembling import Place
    from client.training.examples import Examples
    from client.training.local_state import LocalStates
    from common.encoders.network import Network
    from common.networks.pretrained import Read


@dataclass(frozen=True, eq=False)
class Scoring:
    """Released models on a site's rows.

    Attributes
    ----------
    run : ReleasedRun
    cohort : Cohort
        All rows, whether their answer is known or not.
    place : Place
        Where the data's files lie, and where what is made of them is kept.
    means : callable
        Gives what networks are run with.
    weights : callable
        From the name of an encoder to the user's pretrained weights (ConfigurationError when there are none).
    states : LocalStates, optional
        What a site that took part in the run has kept of its own.
    """

    run: ReleasedRun
    cohort: Cohort
    place: Place
    means: Callable[[], Means]
    weights: Read
    states: LocalStates | None = None

    def require_schema(self) -> None:
        """Refuse data whose columns are not those of the run (DataError, naming them)."""
        from client.inputs.assembling import columns as of_networks

        here = of_networks(self.cohort)
        for modality in self.run.columns:
            _require(self.run.columns[modality], here.get(modality, ()), modality)
        features, _ = self._features
        told = digest_json([list(features.names), list(features.units)])
        for model in self.run.models:
            if not model.is_network and not self._stages(model.name):
                kept = self._seen_of_table(model.name)
                _require(self._header(model), [features.names[place] for place in kept], "table")
        if self.run.schema_digest not in ("", told):
            raise DataError(
                "the columns are in other units, or in another order, than those the run learnt from",
                file="cohort",
                fix="use the version of the project that the run was made with, and its data source",
            )

    def probabilities(self, names: Sequence[str]) -> dict[str, NDArray[np.float64]]:
        """Return what some models say of each label of the plan, by name; (n, k) float64, NaN where none answers it."""
        single = dict.fromkeys(member for name in names for member in self.run.members(name))
        said = {name: self._mean(files) for name, files in self.run.named(list(single)).items()}
        return {
            name: said[name] if name in said else mean_log_odds([said[one] for one in self.run.members(name)])
            for name in names
        }

    def _mean(self, models: Sequence[ReleasedModel]) -> NDArray[np.float64]:
        labels = self.run.plan.label_names
        networks = [self._network_says(one) for one in models if one.is_network]
        found = np.full((len(self.cohort), len(labels)), np.nan)
        for place, label in enumerate(labels):
            each = [values[:, place] for values in networks]
            each += [self._trees_say(one) for one in models if one.label == label]
            if each:
                found[:, place] = np.mean(each, axis=0)
        return found

    def _trees_say(self, model: ReleasedModel) -> NDArray[np.float64]:
        from common.boosting.scoring import probability, score

        trees = from_xgboost_json(self.run.content(model), self._limits)
        features, _ = self._features
        parts = [features.values[:, self._seen_of_table(model.name)]]
        parts += [self._embedding(stage, model.seed, model.fold) for stage in self._stages(model.name)]
        seen = np.ascontiguousarray(np.hstack(parts), np.float32)
        return probability(score(trees.segments, trees.header, seen))

    def _network_says(self, model: ReleasedModel) -> NDArray[np.float64]:
        from client.training.network_rounds import predict

        examples, network = self.network(self.stage_of(model), model)
        return predict(network, examples, np.arange(len(self.cohort)), self._means.device)

    def _embedding(self, features_stage: str, seed: int, fold: int) -> NDArray[np.float32]:
        from client.features.embedding import features_of

        features = self.run.plan.features_stage(features_stage)
        stage = self.run.plan.encoder(features.encoder)
        named = self.run.named([stage.name])[stage.name]
        weights = next(one for one in named if (one.seed, one.fold) == (seed, fold))
        return features_of(features, *self.network(stage, weights), self._means)

    def stage_of(self, model: ReleasedModel) -> EncoderStage:
        """Return the stage that trained a network."""
        return self.run.plan.encoder(model.name.partition(" ")[0])

    def network(self, stage: EncoderStage, model: ReleasedModel) -> tuple[Examples, Network]:
        """Build a network from its file, and from what the site has kept of its own where that is part of it."""
        from client.inputs.assembling import examples
        from client.training.preparing import ready
        from common.encoders.weights import from_bytes
        from common.networks.building import build
        from common.networks.sharing import kept, load, shared

        plan, content, problem = self.run.plan, self.run.content(model), ModelError("no weights")
        built = build(stage, self.run.columns, len(plan.label_names), model.seed, model.fold)
        laid = examples(self.cohort, stage, plan.label_columns, self.place)
        given, network = ready(laid, built, stage, self.weights, self._means)
        for keeps in get_args(Keeps):
            try:
                load(network, from_bytes(content, shared(network, keeps)))
            except ModelError as error:
                problem = error if keeps == "nothing" else problem
                continue
            if stays := kept(network, keeps):
                load(network, self._own(stage, model, stays))
            return given, network
        raise problem

    def _own(self, stage: EncoderStage, model: ReleasedModel, names: Collection[str]) -> Mapping[str, torch.Tensor]:
        from client.training.local_state import chain_of

        if self.states is None:
            raise ModelError(
                f"a part of {model.name} stays at each site that trained it: score with --kit of a site that took part"
            )
        return self.states.part(chain_of(self.run.name, self.run.plan, stage, model.seed, model.fold), names)

    @cached_property
    def _means(self) -> Means:
        return self.means()

    @cached_property
    def _features(self) -> tuple[Features, tuple[str, ...]]:
        return columns(self.cohort)

    def _stages(self, model: str) -> list[str]:
        """Features stages whose embeddings a model's trees see."""
        return [name for name in self.run.plan.inputs_of(model) if name not in self.run.plan.modalities]

    def _seen_of_table(self, model: str) -> list[int]:
        """Positions of the columns of the table that a model's trees see."""
        inputs = self.run.plan.inputs_of(model)
        return [place for place, modality in enumerate(self._features[1]) if modality in inputs]

    def _header(self, model: ReleasedModel) -> tuple[str, ...]:
        return from_xgboost_json(self.run.content(model), self._limits).header.feature_names

    @property
    def _limits(self) -> TreeLimits:
        return TreeLimits(self.run.plan.trees.max_depth, LARGEST_LEAF, MAXIMUM_TREE_BYTES)


def _require(wanted: Sequence[str], here: Sequence[str], modality: str) -> None:
    """Refuse other columns than the wanted ones, or another order of them (DataError)."""
    if list(wanted) == list(here):
        return
    missing, unknown = [name for name in wanted if name not in here], [name for name in here if name not in wanted]
    wrong = [f"lacks {', '.join(missing)}"] * bool(missing) + [f"has unknown {', '.join(unknown)}"] * bool(unknown)
    raise DataError(
        f"the {modality} {' and '.join(wrong) or 'has its columns in another order than the run'}",
        file="cohort",
        fix="use the data source and the version of the project that the run was made with",
    )
