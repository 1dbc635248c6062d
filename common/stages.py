"""The stages of a plan: what is asked of the sites, one after the other, and how much of it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from common.network_stages import EncoderStage, FeaturesStage
from common.plan_part import ModelName, Module, Part


class StatisticsStage(Part):
    """Counts with small-cell suppression: the agreed base score comes from here.

    ``features`` names variables whose distributions the sites describe too, or is "all"; ``ranges`` states, as
    (low, high), over which numbers a variable's histogram is spread, where the project ships no range or another one.
    With ``epsilon`` every count is noised instead of suppressed: that much privacy a patient, at each site.
    """

    kind: Literal["statistics"]
    features: Literal["all"] | tuple[Annotated[str, Field(min_length=1, max_length=400)], ...] = ()
    ranges: dict[str, tuple[float, float]] = Field(default_factory=dict)
    epsilon: Annotated[float, Field(gt=0, le=100)] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.features != "all" and len(set(self.features)) != len(self.features):
            raise ValueError("'features' lists a variable twice")
        for name, (low, high) in self.ranges.items():
            if not low < high or (self.features != "all" and name not in self.features):
                raise ValueError(f"'ranges.{name}' is (low, high) of one of the 'features'")
        return self

    @property
    def tabulated(self) -> bool:
        """Whether sites send tables of labels and features, beyond the counts that every plan asks for."""
        return bool(self.features) or self.epsilon is not None


class BoostingStage(Part):
    """Federated XGBoost under one aggregation rule.

    ``name`` is what the stage's model is called, after its strategy unless told. ``inputs`` are modalities of the plan
    and names of features stages: what the trees see, all modalities unless told.
    """

    kind: Literal["boosting"]
    strategy: Module
    name: ModelName = ""
    inputs: tuple[ModelName, ...] = ()
    rounds: Annotated[int, Field(ge=1, le=10_000)]
    trees_per_round: Annotated[int, Field(ge=1, le=100)] = 1

    @model_validator(mode="after")
    def _named(self) -> Self:
        object.__setattr__(self, "name", self.name or self.strategy)
        return self


class EnsembleStage(Part):
    """What several models say together, the mean of their log odds: nothing is trained for it, no model travels.

    ``models`` names boosting and encoder stages before it. Models that err differently err less together; trees that
    see a network's scores as columns gain less, as they also trust what it knows by heart.
    """

    kind: Literal["ensemble"]
    name: ModelName
    models: Annotated[tuple[ModelName, ...], Field(min_length=2, max_length=20)]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.models)) != len(self.models):
            raise ValueError("'models' names one twice")
        return self


class LocalStage(Part):
    """Each site alone, the baseline a federated result means nothing without.

    ``trees`` is the size of each site's own model, and of the pooled one in a simulation, where the plan has a
    boosting stage; ``inputs`` as of that. Networks of encoder stages are trained alone for as many rounds as together;
    those of a stage with ``privacy`` are not, since what a site has trained without noise would leave it.
    """

    kind: Literal["local"]
    trees: Annotated[int, Field(ge=1, le=10_000)] | None = None
    inputs: tuple[ModelName, ...] = ()


class EvaluateStage(Part):
    """Every model on every site's held-out patients.

    ``share = "curves"`` lets counts of patients per score bin leave a site, from which the
    coordinator draws ROC, PR and calibration over all sites; ``"summary"`` only figures.
    """

    kind: Literal["evaluate"]
    share: Literal["curves", "summary"]
    bootstraps: Annotated[int, Field(ge=100, le=10_000)] = 1000


TrainingStage = EncoderStage | FeaturesStage | BoostingStage | LocalStage
Stage = Annotated[
    StatisticsStage | EncoderStage | FeaturesStage | BoostingStage | EnsembleStage | LocalStage | EvaluateStage,
    Field(discriminator="kind"),
]
