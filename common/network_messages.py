"""What coordinator and sites say to each other about networks; read beside :mod:`common.messages`.

Weights travel in the safetensors format, checked against the template that both sides build from the plan before
anything is used; see :mod:`common.encoders.weights`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from common.local_rule import Keeps
from common.payload import Count, Digest, Loss, Payload, Reason, Seed, Text

MAXIMUM_WEIGHTS = 1 << 28
"""Bytes of one network; the largest encoder here has 2^25."""

Weights = Annotated[bytes, Field(max_length=MAXIMUM_WEIGHTS)]


class NetworkRequest(Payload):
    """Which network of the plan is meant: the encoder stage of that name, in one repetition."""

    stage: Text
    seed: Seed
    fold: Count


class TrainRequest(NetworkRequest):
    """Train the weights given for one round.

    ``weights`` are all parameters that are trained and do not stay at the sites; ``control`` SCAFFOLD's variates
    of these, else empty. ``patients`` is how many training patients the site told the coordinator it has,
    by which noisy sums are divided; 0 where no noise is added. ``counted`` is the last round in which the site's
    answer was used, 0 before any: an answer that came too late changed the site's variates and not the
    coordinator's. The others are of the strategy's :class:`common.local_rule.LocalRule`.
    """

    kind: ClassVar[str] = "train"
    round: Count
    weights: Weights
    control: Weights
    patients: Count
    counted: Count
    proximal: Annotated[float, Field(ge=0, le=100)]
    keeps: Keeps
    controlled: bool
    personal: Annotated[float, Field(ge=0, le=100)]


class TrainReply(Payload):
    """Trained less received, of what the site has the data to train: the encoders of its ``modalities`` and the head.

    Losses are in nats, withheld with small cells.
    """

    kind: ClassVar[str] = "train-reply"
    modalities: Annotated[list[Text], Field(min_length=1, max_length=20)]
    change: Weights
    control: Weights
    training_loss: Loss | None = None
    validation_loss: Loss | None = None


class TrainAloneRequest(NetworkRequest):
    """Train from these weights as long as all rounds together, alone."""

    kind: ClassVar[str] = "train-alone"
    weights: Weights


class EmbedRequest(NetworkRequest):
    """Embed all rows with the weights given; ``stage`` is the features stage."""

    kind: ClassVar[str] = "embed"
    weights: Weights
    keeps: Keeps


class EmbedReply(Payload):
    """How many columns the site has for the trees now; the columns stay."""

    kind: ClassVar[str] = "embed-reply"
    width: Count


class TrainAloneReply(Payload):
    """The site's own network: all its trained parameters."""

    kind: ClassVar[str] = "train-alone-reply"
    weights: Weights


class ScoreRequest(Payload):
    """Score held-out patients with networks; the scores stay until an evaluation asks what they are worth.

    Parallel, one a network and fold it has not seen: ``networks`` named as in an evaluation, ``folds``, what the site
    adds of its own as ``keeps``, and the weights' ``digests``. ``weights`` are those the site is not believed to hold,
    each once.
    """

    kind: ClassVar[str] = "score"
    seed: Seed
    networks: Annotated[list[Text], Field(min_length=1, max_length=10_000)]
    folds: Annotated[list[Count], Field(max_length=10_000)]
    keeps: Annotated[list[Keeps], Field(max_length=10_000)]
    digests: Annotated[list[Digest], Field(max_length=10_000)]
    weights: Annotated[list[Weights], Field(max_length=10_000)]

    @model_validator(mode="after")
    def _parallel(self) -> Self:
        if not len(self.networks) == len(self.folds) == len(self.keeps) == len(self.digests):
            raise ValueError("one fold, one rule and one digest a network")
        return self


class ScoreReply(Payload):
    """The scores are there, but for those by networks that the site is ``unable`` to score with, ``because`` of what.

    Such as one of which a part stays at each site that trains it, at a site that never has. Each is named once.
    """

    kind: ClassVar[str] = "score-reply"
    unable: Annotated[list[Text], Field(max_length=10_000)]
    because: Annotated[list[Reason], Field(max_length=10_000)]

    @model_validator(mode="after")
    def _parallel(self) -> Self:
        if len(self.because) != len(self.unable) or len(set(self.unable)) != len(self.unable):
            raise ValueError("one reason a network, each network once")
        return self
