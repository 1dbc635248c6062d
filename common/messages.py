"""What coordinator and sites say to each other: one frozen type a request, one a reply.

The declared fields, types, lengths and bounds are the allow-list: a site's egress guard
lets nothing else out, and the coordinator reads nothing else in. None means withheld.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from common.metrics import METRICS
from common.names import Name
from common.network_messages import (
    EmbedReply,
    EmbedRequest,
    ScoreReply,
    ScoreRequest,
    TrainAloneReply,
    TrainAloneRequest,
    TrainReply,
    TrainRequest,
)
from common.payload import Count, Digest, Figure, Loss, Moment, Payload, Probability, ReferenceName, Seed, Text

NOT_AUDITED = 1001
"""Flower error code of a site that cannot open its settings or write its audit log."""
MAXIMUM_TREES = 200_000
MAXIMUM_TREE_BYTES = 1_000_000
LARGEST_LEAF = 100.0
"""Log odds; a sound leaf is at most the learning rate over the smallest probability."""
SCORE_BINS = 128
MEAN_OF_LOCAL = "mean of local"
POOLED = "pooled"
LOCAL = "local/"
"""How candidates of single sites begin; of networks, after the stage and a blank."""
PERSONAL = "personal"
"""How a stage's networks that are each site's own are called, after the stage and a blank."""
ONE_CLASS = "the training fold is empty or holds one class only"
"""Why a site has no trees for a label; it is asked for none of that label again in the repetition."""

Tree = Annotated[bytes, Field(max_length=MAXIMUM_TREE_BYTES)]
Told = Annotated[int, Field(ge=-1, le=10**12)]
"""A count; -1 is withheld."""


class AdmissionRequest(Payload):
    """May this run count on you? Carries the digest of the plan the coordinator follows."""

    kind: ClassVar[str] = "admission"
    plan_digest: Digest


class AdmissionReply(Payload):
    """The site's name, whether its patients are invented, what its data looks like; never how much there is.

    ``modalities`` say of which each feature is; ``inputs`` are the columns that networks are given, each as
    "modality:name".
    """

    kind: ClassVar[str] = "admission-reply"
    site: Name
    synthetic: bool
    schema_digest: Digest
    feature_names: Annotated[list[Text], Field(max_length=100_000)]
    versions: Annotated[list[Text], Field(max_length=20)]
    modalities: Annotated[list[Text], Field(max_length=100_000)]
    inputs: Annotated[list[Text], Field(max_length=100_000)] = Field(default_factory=list)


class StatisticsRequest(Payload):
    """Counts of the whole cohort, under the site's small-cell rule."""

    kind: ClassVar[str] = "statistics"


class StatisticsReply(Payload):
    """Counts, None where withheld; ``rules`` and ``excluded`` are parallel, and -1 in a list is withheld.

    ``known`` and ``positives`` are, of each label of the plan, the stays whose answer is known, and is yes.
    ``cells`` are the tables of the labels and then those of the features, flat, one cell after the other as
    :mod:`common.clinical.variables` lays them out; empty where the plan asks for none, without the features
    where the site keeps them back. They count stays as :func:`common.disclosure.withhold` tells them.
    ``moments`` are positions among the tables of the features whose ``means`` and ``deviations`` (standard,
    of the population) are told.
    """

    kind: ClassVar[str] = "statistics-reply"
    minimum_cell: Count
    patients: Count | None = None
    stays: Count | None = None
    known: Annotated[list[Told], Field(max_length=10_000)]
    positives: Annotated[list[Told], Field(max_length=10_000)]
    rules: Annotated[list[Text], Field(max_length=100)]
    excluded: Annotated[list[Told], Field(max_length=100)]
    cells: Annotated[list[Annotated[int, Field(ge=-2, le=10**12)]], Field(max_length=1_000_000)]
    moments: Annotated[list[Count], Field(max_length=100_000)]
    means: Annotated[list[Moment], Field(max_length=100_000)]
    deviations: Annotated[list[Annotated[Moment, Field(ge=0)]], Field(max_length=100_000)]

    @model_validator(mode="after")
    def _parallel(self) -> Self:
        if len(self.rules) != len(self.excluded):
            raise ValueError("one count a rule")
        if len(self.known) != len(self.positives):
            raise ValueError("two counts a label")
        if not len(self.moments) == len(self.means) == len(self.deviations):
            raise ValueError("one mean and one deviation a variable")
        return self


class NoisedStatisticsRequest(Payload):
    """Counts of the whole cohort with the noise of differential privacy, and nothing exact."""

    kind: ClassVar[str] = "noised-statistics"


class NoisedStatisticsReply(Payload):
    """Counts of patients by cell, laid out as in :class:`StatisticsReply`; noise can make them negative.

    ``epsilon`` is what all tables of the plan cost a patient together.
    """

    kind: ClassVar[str] = "noised-statistics-reply"
    minimum_cell: Count
    epsilon: Annotated[float, Field(gt=0, le=100)]
    cells: Annotated[list[Annotated[int, Field(ge=-(10**12), le=10**12)]], Field(min_length=1, max_length=1_000_000)]


class ModelUpdates(Payload):
    """Models by digest, with the trees the receiver lacks: new trees only.

    Model i has digest ``targets[i]`` and grows from ``origins[i]`` (a digest the receiver holds
    or the header's) by ``segments[i]`` segments; ``sizes`` lists trees per segment over all
    models, ``trees`` the trees in that order.
    """

    kind: ClassVar[str] = "updates"
    base_score: Probability
    targets: Annotated[list[Digest], Field(max_length=100_000)]
    origins: Annotated[list[Digest], Field(max_length=100_000)]
    segments: Annotated[list[Count], Field(max_length=100_000)]
    sizes: Annotated[list[Count], Field(max_length=MAXIMUM_TREES)]
    trees: Annotated[list[Tree], Field(max_length=MAXIMUM_TREES)]


class Behind(Payload):
    """Instead of a reply: the site lacks the trees before these models, or these weights; send them whole."""

    kind: ClassVar[str] = "behind"
    lacking: Annotated[list[Digest], Field(min_length=1, max_length=100_000)]


class BoostRequest(ModelUpdates):
    """Grow ``trees_wanted`` trees for a label on top of the one model given."""

    kind: ClassVar[str] = "boost"
    label: Text
    seed: Seed
    fold: Count
    round: Count
    stage: Text
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    trees_wanted: Annotated[int, Field(ge=1, le=1000)]


class BoostReply(Payload):
    """New trees, and the mean log loss (nats) of the model as it was received.

    A loss is withheld with the class counts: of a model without trees it would tell them.
    """

    kind: ClassVar[str] = "boost-reply"
    trees: Annotated[list[Tree], Field(max_length=1000)]
    training_loss: Loss | None = None
    held_out_loss: Loss | None = None


class LocalRequest(Payload):
    """Train alone for a label, from its agreed base score."""

    kind: ClassVar[str] = "local"
    label: Text
    seed: Seed
    fold: Count
    base_score: Probability
    trees_wanted: Annotated[int, Field(ge=1, le=10_000)]


class LocalReply(Payload):
    """All trees of the site's own model."""

    kind: ClassVar[str] = "local-reply"
    trees: Annotated[list[Tree], Field(max_length=10_000)]


class EvaluateRequest(ModelUpdates):
    """Score held-out patients.

    ``candidates`` names the trees to score, which answer one label; the models come candidate by candidate, one a
    held-out fold of ``folds``. Candidates named "local/..." are also averaged into "mean of local". ``networks`` names
    the networks after them, which answer any of the ``labels``, each of the stage ahead of the blank in it; the site
    has scored with them already. ``digests`` of their weights come like the models.
    """

    kind: ClassVar[str] = "evaluate"
    labels: Annotated[list[Text], Field(min_length=1, max_length=10_000)]
    seed: Seed
    folds: Annotated[list[Count], Field(min_length=1, max_length=20)]
    candidates: Annotated[list[Text], Field(max_length=10_000)]
    networks: Annotated[list[Text], Field(max_length=10_000)] = Field(default_factory=list)
    digests: Annotated[list[Digest], Field(max_length=200_000)] = Field(default_factory=list)

    @model_validator(mode="after")
    def _trees_of_one_label(self) -> Self:
        if self.candidates and len(self.labels) > 1:
            raise ValueError("trees answer one label")
        return self


class EvaluateReply(Payload):
    """Figures per label and candidate; of the ``withheld`` labels there are none, under the small-cell rule.

    Label by label, parallel to ``candidates``, of which ``references`` are the last: for each metric value, low and
    high of the 95 % interval; then counts of patients per score bin, (labels x candidates x bins) flat, empty
    if not shared. ``references_withheld`` names the other references, of which nothing is told under that rule.
    """

    kind: ClassVar[str] = "evaluate-reply"
    labels: Annotated[list[Text], Field(min_length=1, max_length=10_000)]
    withheld: Annotated[list[Text], Field(max_length=10_000)]
    candidates: Annotated[list[Text], Field(max_length=10_000)]
    references: Annotated[list[ReferenceName], Field(max_length=100)]
    references_withheld: Annotated[list[ReferenceName], Field(max_length=100)]
    auroc: Annotated[list[Figure], Field(max_length=300_000)]
    auprc: Annotated[list[Figure], Field(max_length=300_000)]
    min_se_ppv: Annotated[list[Figure], Field(max_length=300_000)]
    brier: Annotated[list[Figure], Field(max_length=300_000)]
    ece: Annotated[list[Figure], Field(max_length=300_000)]
    negatives: Annotated[list[Count], Field(max_length=10_000_000)]
    positives: Annotated[list[Count], Field(max_length=10_000_000)]

    @model_validator(mode="after")
    def _parallel(self) -> Self:
        candidates, references = len(self.candidates), len(self.references)
        blocks = candidates * len(self.told)
        figures = {len(getattr(self, metric)) for metric in METRICS}
        bins = {len(self.negatives), len(self.positives)}
        if len(self.told) + len(self.withheld) != len(self.labels) or len(set(self.labels)) != len(self.labels):
            raise ValueError("the withheld labels are some of the labels, each once")
        if figures != {3 * blocks} or bins not in ({0}, {SCORE_BINS * blocks}):
            raise ValueError("three figures and the bins of every candidate and label told")
        if self.candidates[candidates - references :] != self.references:
            raise ValueError("the references are the last candidates")
        return self

    @property
    def told(self) -> list[str]:
        """The labels whose figures are there, in the order these have."""
        return [label for label in self.labels if label not in self.withheld]


REPLY_TO: dict[type[Payload], type[Payload]] = {
    AdmissionRequest: AdmissionReply,
    StatisticsRequest: StatisticsReply,
    NoisedStatisticsRequest: NoisedStatisticsReply,
    BoostRequest: BoostReply,
    LocalRequest: LocalReply,
    TrainRequest: TrainReply,
    TrainAloneRequest: TrainAloneReply,
    EmbedRequest: EmbedReply,
    ScoreRequest: ScoreReply,
    EvaluateRequest: EvaluateReply,
}


def means_of_local(candidates: Sequence[str]) -> tuple[str, ...]:
    """Name the means that a site adds: of its candidates named "local/..." and "<stage> local/..."."""
    stages = (name.partition(LOCAL)[0] for name in candidates if LOCAL in name)
    return tuple(f"{stage}{MEAN_OF_LOCAL}" for stage in dict.fromkeys(stages))
