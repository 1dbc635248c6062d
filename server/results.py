"""What a run found: the one object behind ``metrics.json`` and the report.

Nothing here identifies a patient: counts pass each site's small-cell rule before they
arrive, figures are computed at the sites or from counts per score bin.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common.exceptions import CheckpointError
from common.score_histogram import ScoreHistogram, auroc_binning_error
from common.serialization import canonical, parse, write_atomic

OVERALL = "overall"
"""In place of a site's name: all sites together."""
COARSE = 0.02
"""An AUROC that may be further than this from the exact one is doubtful, as its interval knows nothing of it."""


Kind = Literal["federated", "personal", "local", "ensemble", "pooled", "reference"]


class Part(BaseModel):
    """Frozen and strict, finite numbers only."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Interval(Part):
    """A figure with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


class Score(Part):
    """One model on the held-out patients of one site, or of all sites together.

    ``site`` is a site's name or :data:`OVERALL`. Figures are None where the site's small-cell rule
    withholds them. Counts of bins are (bins,) per class, from low to high probability; empty
    where the plan or a site shares figures only.
    """

    site: str
    seed: int
    auroc: Interval | None
    auprc: Interval | None
    min_se_ppv: Interval | None
    brier: Interval | None
    ece: Interval | None
    negatives: tuple[int, ...] = ()
    positives: tuple[int, ...] = ()

    @property
    def binning_error(self) -> float:
        """Bound how far the AUROC can be from the exact one: that of all sites is told from counts per bin."""
        if self.site != OVERALL or not self.negatives:
            return 0.0
        return auroc_binning_error(ScoreHistogram(np.array(self.negatives), np.array(self.positives)))


class Candidate(Part):
    """A model, or a way to combine models, that was evaluated on one label.

    ``kind``: "federated" (one model of all sites), "personal" (a network of each site's own, held to that),
    "local" (one site's own; ``name`` is "local/<site>"), "ensemble" (mean of the local models' probabilities), "pooled"
    (trained on all rows in one place; simulation only), "reference" (a score shipped with the data, on the
    patients that have it).
    """

    name: str
    label: str
    kind: Kind
    scores: tuple[Score, ...]


class Macro(Part):
    """The mean of a candidate's figures over the labels that have them, at one site or over all, with one seed.

    Its means are of ``over`` labels; None of none. Those of two candidates compare when they are of the same labels.
    """

    name: str
    kind: Kind
    site: str
    seed: int
    over: int
    auroc: float | None
    auprc: float | None
    min_se_ppv: float | None
    brier: float | None
    ece: float | None


class Answers(Part):
    """How many stays have a known answer to a label, and the answer yes; None where withheld."""

    known: int | None
    positives: int | None


class SiteSummary(Part):
    """A site that took part. Counts are None where withheld; with noise stays are not counted, and answers by patient.

    ``counted`` is False for a member that missed the exchange of counts: its counts are unknown.
    """

    name: str
    counted: bool = True
    patients: int | None
    stays: int | None
    answers: dict[str, Answers]
    excluded: dict[str, int | None]


class TableAtSite(Part):
    """One variable at one site, the missing first.

    Cells as the site told them: with noise, when they may be negative, or as
    :func:`common.disclosure.withhold` has them: -1 together with the next, -2 with the one before.
    Mean and standard deviation (of the population) are rounded to three digits, None where withheld.
    """

    site: str
    cells: tuple[int, ...]
    mean: float | None = None
    deviation: float | None = None


class Distribution(Part):
    """One variable at every site that tells of it, and over all of these.

    ``cells`` are the missing, then one a category, or one more than the ``edges`` of a number; of the
    ``values``, about. Over all sites they are estimates, exact where every site tells the cell. ``mean``
    and ``deviation`` are over all known values, and so are the ``quantiles``, those of
    :data:`server.pooling.QUANTILES`.
    """

    name: str
    unit: str
    categories: tuple[str, ...]
    edges: tuple[float, ...]
    values: tuple[float, ...]
    continuous: bool
    sites: tuple[TableAtSite, ...]
    cells: tuple[float, ...]
    mean: float | None = None
    deviation: float | None = None
    quantiles: tuple[float, ...] = ()


class Description(Part):
    """What the data of the sites looks like; with ``epsilon``, counted a patient and noised at each site."""

    epsilon: float | None
    labels: tuple[Distribution, ...]
    features: tuple[Distribution, ...]


class SiteRound(Part):
    """A round at one site: seconds until its reply was there, losses in nats, None where withheld."""

    seconds: float
    bytes_up: int
    training_loss: float | None
    held_out_loss: float | None


class Round(Part):
    """One exchange of a training stage. Losses are means over the sites, in nats.

    ``epsilon`` is what the stage's rounds have cost so far a patient of a site that took part in all of them,
    earlier seeds and folds included; None where no noise was added.
    """

    number: int
    seconds: float
    bytes_down: int
    bytes_up: int
    sites: tuple[str, ...]
    missing: dict[str, str]
    training_loss: float | None
    held_out_loss: float | None
    at: dict[str, SiteRound] = Field(default_factory=dict)
    epsilon: float | None = None


class Exchange(Part):
    """One exchange that is no training round: statistics, local training, evaluation."""

    name: str
    seconds: float
    bytes_down: int
    bytes_up: int


class StageHistory(Part):
    """The rounds of one training stage in one repetition; ``kept`` is the one that is released, if not the last.

    Trees are of one ``label``; a network, of which it is empty, answers all.
    """

    name: str
    label: str = ""
    seed: int
    fold: int
    rounds: tuple[Round, ...]
    kept: int | None = None


class Released(Part):
    """A model file in the run's folder; trees are of one ``label``, which is empty of networks."""

    name: str
    label: str
    seed: int
    fold: int
    file: str
    digest: str
    trees: int
    bytes: int


class PrivateStage(Part):
    """What a stage trained with noise costs a patient of a site that takes part in all rounds, seeds and folds.

    ``steps`` are of all of them together; ``noise_multiplier`` is the standard deviation of the noise over
    ``clipping_norm``, the most that a patient contributes to a step. ``looks`` at the validation patients are each told
    with noise of ``validation_noise`` over the most that a patient counts.
    """

    name: str
    epsilon: float
    delta: float
    noise_multiplier: float
    clipping_norm: float
    sample_rate: float
    steps: int
    validation_noise: float | None = None
    looks: int = 0


class PrivacySpent(Part):
    """All stages with noise, and what they cost together; ``accountant`` with its version."""

    stages: tuple[PrivateStage, ...]
    epsilon: float
    delta: float
    accountant: str


class Results(Part):
    """Everything a run found.

    ``synthetic`` names the sites whose patients are invented: true when any is. ``base_scores`` are by label,
    of none where no trees are grown; ``macro`` is empty where there is one label. ``schema_digest`` is of names and
    units of the columns that trees learn from, the same at every site.
    """

    run: str
    plan: str
    plan_digest: str
    engine: Literal["in-process", "ray", "deployment"]
    synthetic: tuple[str, ...]
    started: str
    finished: str
    versions: dict[str, str]
    base_scores: dict[str, float]
    minimum_cell: int
    sites: tuple[SiteSummary, ...]
    description: Description | None = None
    stages: tuple[StageHistory, ...]
    exchanges: tuple[Exchange, ...] = ()
    candidates: tuple[Candidate, ...]
    macro: tuple[Macro, ...] = ()
    models: tuple[Released, ...]
    privacy: PrivacySpent | None = None
    schema_digest: str = ""
    decisions: tuple[str, ...]

    @property
    def only_synthetic(self) -> bool:
        """Whether no site has real patients."""
        return all(site.name in self.synthetic for site in self.sites)

    def write(self, path: Path) -> None:
        """Write ``metrics.json``, atomically."""
        write_atomic(path, canonical(self.model_dump(mode="json")), mode=0o644)


def read(path: Path) -> Results:
    """Read ``metrics.json`` back.

    Raises
    ------
    CheckpointError
        When the file is missing or is not what :meth:`Results.write` wrote.
    """
    try:
        text = path.read_bytes()
        parse(text)
        return Results.model_validate_json(text)
    except (OSError, ValidationError, ValueError) as error:
        raise CheckpointError(f"{path}: not the metrics of a run: {error}") from error
