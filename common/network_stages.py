"""Stages that train networks over the sites or put them to use."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from common.plan_part import ModelName, Module, Part

InputModality = Literal["table", "series", "images", "visits", "volumes"]
"""What an encoder can be given; the names that ``modalities`` of a plan uses."""
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Positive = Annotated[float, Field(gt=0)]


class Training(Part):
    """How a site trains in a round.

    Where no noise is added, a round is ``epochs`` passes over the rows, or one of ``rounds_per_epoch`` parts of a pass:
    the more often sites are averaged, the closer they come to training in one place. ``positive_weight`` is what a
    positive label counts more than a negative one: a public number. With ``decay`` the learning rate falls over the
    rounds of the stage; ``moments`` of AdamW are kept at the site between rounds or begin afresh with each. ``l1`` is
    the strength of a penalty on the sizes of a table's input weights, under which those of useless columns become zero.
    """

    epochs: Annotated[int, Field(ge=1, le=1000)] = 1
    rounds_per_epoch: Annotated[int, Field(ge=1, le=1000)] = 1
    batch_size: Annotated[int, Field(ge=1, le=65_536)] = 64
    learning_rate: Annotated[float, Field(gt=0, le=10)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0, le=10)] = 0.0
    decay: Literal["none", "cosine"] = "none"
    optimizer: Literal["sgd", "adamw"] = "adamw"
    moments: Literal["fresh", "kept"] = "fresh"
    positive_weight: Annotated[float, Field(gt=0, le=1000)] = 1.0
    l1: Annotated[float, Field(ge=0, le=10)] = 0.0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.epochs > 1 and self.rounds_per_epoch > 1:
            raise ValueError("'training' has several 'epochs' a round or several 'rounds_per_epoch', not both")
        if self.moments == "kept" and self.optimizer != "adamw":
            raise ValueError("'training.moments' are those of optimizer = \"adamw\"")
        return self

    def rate(self, number: int, rounds: int) -> float:
        """Return the learning rate of a round, from 1; cosine as Loshchilov and Hutter (ICLR 2017), eq. 5, to 0."""
        falling = (1 + math.cos(math.pi * (number - 1) / rounds)) / 2 if self.decay == "cosine" else 1.0
        return self.learning_rate * falling


class Privacy(Part):
    """DP-SGD with the patient as the unit (Abadi et al., CCS 2016).

    A patient takes part in a step with probability ``sample_rate``; of the sum of her gradients at most
    ``clipping_norm`` counts. Either ``noise_multiplier`` is given, or ``epsilon``: what all rounds, seeds and folds of
    the stage cost a patient together, from which the multiplier follows. ``delta`` must be below one over a
    site's patients: a site with more refuses. ``validation_noise`` is the noise of one look at the loss on a site's
    validation patients, over the most that one of them counts in it: a round has one, and its cost is part of
    ``epsilon``. ``unit`` says whose part the noise hides: a patient's, at every site
    before anything leaves. Noise on the updates of whole sites, added at the coordinator, is refused. The bounds keep
    to what means something, and can be accounted for: a step with less noise than 0.1 costs an epsilon of a hundred.
    """

    unit: Literal["patient"] = "patient"
    epsilon: Annotated[float, Field(ge=0.01, le=1000)] | None = None
    noise_multiplier: Annotated[float, Field(ge=0.1, le=1000)] | None = None
    delta: Annotated[float, Field(ge=1e-9, lt=0.01)] = 1e-5
    clipping_norm: Positive = 1.0
    validation_noise: Annotated[float, Field(ge=0.1, le=1000)] | None = None
    sample_rate: Annotated[float, Field(ge=1e-6, le=1)]
    steps: Annotated[int, Field(ge=1, le=100_000)]

    @field_validator("unit", mode="before")
    @classmethod
    def _no_whole_sites(cls, unit: object) -> object:
        if unit == "site":
            raise ValueError(
                "central privacy of whole sites hides no patient from the coordinator, and its noise, the multiplier "
                "times the clipping norm over the number of sites on every weight, drowns what fewer than 100 sites "
                'have learnt; protect patients: unit = "patient"'
            )
        return unit

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.epsilon is None) == (self.noise_multiplier is None):
            raise ValueError("'privacy' has either 'epsilon' or 'noise_multiplier'")
        return self


class EncoderStage(Part):
    """Federated training of a network: one encoder a modality, side by side under one linear head for all labels.

    ``shares`` says what a site counts for in the mean: its patients as told in the statistics, or all alike; unless
    told its patients, and with ``privacy`` all alike, since no noise covers what an exact count tells of a patient.
    ``validation`` is the part of each site's training patients that is not trained on; of all rounds the one
    with the least mean loss on them is kept, and after ``patience`` rounds without a lower one training ends. Sites
    look at what a round ended with when the next begins, so the last round is never chosen unless it is the only one;
    with ``privacy`` these losses are noised, see its ``validation_noise``.
    ``steps`` is the most steps of a series or visits a network looks at, ``size`` the sides of films in pixels.
    Encoders of the ``frozen`` modalities stay as they are; ``pretrained`` says which weights some of these have, by the
    digest that ``fedward-client weights`` tells. Every site has its own file of them: they do not travel. ``adapters``
    are small layers inside frozen encoders of films and volumes that are trained and travel with the head, of so many
    channels. A resting encoder's embeddings are computed once; with adapters it runs forwards and backwards each step.
    """

    kind: Literal["encoder"]
    name: ModelName
    encoders: Annotated[dict[InputModality, Module], Field(min_length=1)]
    frozen: tuple[InputModality, ...] = ()
    pretrained: dict[InputModality, Digest] = Field(default_factory=dict)
    adapters: Annotated[int, Field(ge=0, le=256)] = 0
    width: Annotated[int, Field(ge=8, le=1024, multiple_of=8)] = 64
    layers: Annotated[int, Field(ge=1, le=12)] = 1
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    steps: Annotated[int, Field(ge=1, le=10_000)] = 200
    size: Annotated[int, Field(ge=32, le=1024)] = 224
    rounds: Annotated[int, Field(ge=1, le=10_000)]
    strategy: Module = "fedavg"
    options: dict[str, float] = Field(default_factory=dict)
    shares: Literal["patients", "equal"] | None = None
    training: Training = Training()
    privacy: Privacy | None = None
    validation: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    patience: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.frozen)) != len(self.frozen) or not set(self.frozen) <= set(self.encoders):
            raise ValueError("'frozen' lists modalities of 'encoders', each once")
        if not set(self.pretrained) <= set(self.frozen):
            raise ValueError("'pretrained' weights do not travel: their modalities are 'frozen'")
        if self.adapters and not self.adapted:
            raise ValueError("'adapters' stand inside 'frozen' encoders of images or volumes, and there is none")
        if self.patience is not None and not self.validation:
            raise ValueError("'patience' needs 'validation', a part of the patients to look at")
        if self.privacy is not None and self.validation and self.privacy.validation_noise is None:
            raise ValueError(
                "'validation' losses of a stage with 'privacy' are noised: say how much in 'privacy.validation_noise', "
                "or leave out 'validation'"
            )
        if self.privacy is not None and self.privacy.validation_noise is not None and not self.validation:
            raise ValueError(
                "'privacy.validation_noise' is of the losses on validation patients: say in 'validation' what part of "
                "the patients these are, or leave out the noise"
            )
        if self.privacy is not None and (self.training.moments == "kept" or self.training.rounds_per_epoch > 1):
            raise ValueError("'training.moments' and 'rounds_per_epoch' are of training without 'privacy'")
        if self.strategy == "scaffold" and self.training.optimizer != "sgd":
            raise ValueError("'scaffold' corrects plain gradients: its 'training.optimizer' is \"sgd\"")
        if self.strategy == "scaffold" and self.privacy is not None:
            raise ValueError("'scaffold' tells a second vector a round; it cannot be combined with 'privacy'")
        return self

    @property
    def adapted(self) -> frozenset[InputModality]:
        """Modalities whose encoders have adapters."""
        both: frozenset[InputModality] = frozenset(("images", "volumes"))
        return both & set(self.frozen) if self.adapters else frozenset()

    @property
    def by_patients(self) -> bool:
        """Whether sites count by their patients in the mean."""
        return self.shares == "patients" or (self.shares is None and self.privacy is None)

    def without_noise(self) -> Self:
        """Return the twin without privacy: the same shares, and a round looks as often at each patient, on average."""
        if self.privacy is None:
            return self
        epochs = max(1, round(self.privacy.steps * self.privacy.sample_rate))
        return self.model_copy(
            update={
                "privacy": None,
                "shares": "patients" if self.by_patients else "equal",
                "training": self.training.model_copy(update={"epochs": epochs}),
            }
        )


class FeaturesStage(Part):
    """Each site embeds its own rows with the network of an encoder stage, as columns for the trees that follow.

    What the columns hold never leaves a site: the whole ``embedding``, or the ``scores``, the network's logit of each
    label. The trees' rows that the network was trained on are embedded by it, too: what it has learnt by heart of
    them, trees take for a signal. They are misled by a wide embedding of a network trained on these labels far more
    than by its scores; an encoder that never saw the labels has nothing by heart, and only its embedding to give.
    """

    kind: Literal["features"]
    name: ModelName
    encoder: ModelName
    gives: Literal["embedding", "scores"] = "embedding"
