"""The stages of a plan: what is asked of the sites, one after the other, and how much of it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Module = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class Part(BaseModel):
    """Frozen, strict: an unknown key or a wrong type is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class StatisticsStage(Part):
    """Counts with small-cell suppression: the agreed base score comes from here.

    ``features`` names variables whose distributions the sites describe too, or is "all"; ``ranges`` states, as
    (low, high), over which numbers a variable's histogram is spread, where the project ships no range or another one.
    With ``epsilon`` every count is noised instead of suppressed: that much privacy a patient, at each site.
    """

    kind: Literal["statistics"]
    features: Literal["all"] | tuple[Annotated[str, Field(min_length=1, max_length=400)], ...] = ()
    ranges: dict[str, tuple[float, float]] = {}
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
    """Federated XGBoost under one aggregation rule."""

    kind: Literal["boosting"]
    strategy: Module
    rounds: Annotated[int, Field(ge=1, le=10_000)]
    trees_per_round: Annotated[int, Field(ge=1, le=100)] = 1

    @property
    def name(self) -> str:
        """The strategy's name: what the stage's model is called."""
        return self.strategy


class LocalStage(Part):
    """Each site alone, the baseline a federated result means nothing without.

    ``trees`` is the size of each site's own model, and of the pooled one in a simulation.
    """

    kind: Literal["local"]
    trees: Annotated[int, Field(ge=1, le=10_000)]


class EvaluateStage(Part):
    """Every model on every site's held-out patients.

    ``share = "curves"`` lets counts of patients per score bin leave a site, from which the
    coordinator draws ROC, PR and calibration over all sites; ``"summary"`` only figures.
    """

    kind: Literal["evaluate"]
    share: Literal["curves", "summary"]
    bootstraps: Annotated[int, Field(ge=100, le=10_000)] = 1000


TrainingStage = BoostingStage | LocalStage
Stage = Annotated[StatisticsStage | BoostingStage | LocalStage | EvaluateStage, Field(discriminator="kind")]
