"""From a run's folder and a site's data to a file of predictions."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from client.cohorts.cohort import Cohort
from client.cohorts.loading import load
from client.datasets.base import Select
from client.datasets.reading.cache import Cache
from client.features.shelf import Shelf
from client.inputs.assembling import Place
from client.predicting import released, writing
from client.predicting.released import ReleasedRun, digest_of
from client.predicting.scoring import Scoring
from client.site import Site
from common.audit.event import Event, Kind
from common.crypto import keys
from common.tasks import base as tasks


@dataclass(frozen=True)
class Predicted:
    """How many rows of how many people were scored, by which models."""

    rows: int
    people: int
    models: tuple[str, ...]


def of_folder(
    run: Path, data: Path, source: str | None, select: Select, cache: Cache, to: Path, models: Sequence[str] = ()
) -> Predicted:
    """Score the rows of a data folder.

    Parameters
    ----------
    run : Path
        Folder of a finished run.
    data : Path
    source : str, optional
        What the data is; by default what the run's plan names.
    select : Select
    cache : Cache
        For what takes long to read.
    to : Path
        File to write, ``.csv`` or ``.parquet``.
    models : sequence of str
        Names of models; by default those of all sites together.

    Raises
    ------
    FedwardError
        The run's folder, the data or the file to write is not what is needed.
    """
    writing.require_free(to)
    found = released.read(run)
    cohort = _cohort(found, source or found.plan.data.source, data, select, cache)
    with tempfile.TemporaryDirectory(prefix="fedward-predict-") as aside:
        return _write(Scoring(found, cohort, Place(data, Shelf(Path(aside), keys.temporary()))), models, to)


def of_kit(run: Path, kit: Path, to: Path, models: Sequence[str] = ()) -> Predicted:
    """Score the rows that a kit's ``site.toml`` says are the site's, audited before they are used.

    Parameters and errors are those of :func:`of_folder`.
    """
    writing.require_free(to)
    found = released.read(run)
    chosen = found.named(models)
    with closing(Site(kit / "site.toml")) as site:
        data = site.settings.data
        select, cache = Select(data.by, data.values), Cache(kit / site.settings.cache, site.key)
        cohort = _cohort(found, data.source, kit / data.folder, select, cache)
        counts = {"patients": len(np.unique(cohort.patients)), "rows": len(cohort)}
        what = {"for": "prediction", "task": found.plan.task, "plan": found.plan.digest, "digest": cohort.digest}
        digests = [digest_of(files) for files in chosen.values()]
        site.audit.append(Event(Kind.DATA_OPENED, {**what, **counts, "models": digests}))
        states = site.states if any(one.is_network for one in found.models) else None
        return _write(
            Scoring(found, cohort, Place(kit / data.folder, site.shelf), site.settings.device, states), models, to
        )


def _cohort(found: ReleasedRun, source: str, folder: Path, select: Select, cache: Cache) -> Cohort:
    return load(source, folder, tasks.find(found.plan.task), select, found.plan.modalities, cache)


def _write(scoring: Scoring, models: Sequence[str], to: Path) -> Predicted:
    """Write a row for every row of the cohort and model."""
    run, cohort = scoring.run, scoring.cohort
    scoring.require_schema()
    chosen, n = run.named(models), len(cohort)
    scores = np.concatenate([scoring.probabilities(files) for files in chosen.values()])
    each = len(chosen)
    columns: dict[str, writing.Column] = {
        "patient": np.tile(cohort.patients, each),
        "row": np.tile(np.arange(1, n + 1), each),
        "hours": np.tile(cohort.hours, each),
        "model": np.repeat(list(chosen), n),
        **{f"probability_{name}": scores[:, place] for place, name in enumerate(cohort.label_names)},
        "model_digest": np.repeat([digest_of(files) for files in chosen.values()], n),
        "plan_digest": np.repeat(run.plan.digest, n * each),
    }
    writing.write(to, columns)
    return Predicted(n, len(np.unique(cohort.patients)), tuple(chosen))
