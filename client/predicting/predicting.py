"""From a run's folder and a site's data to a file of predictions."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from client.cohorts.cohort import Cohort
from client.cohorts.loading import load
from client.datasets.base import Select
from client.datasets.reading.cache import Cache
from client.features.shelf import Shelf
from client.inputs.assembling import Place
from client.keyring import Ask, at_work
from client.predicting import released, writing
from client.predicting.explaining import explain
from client.predicting.released import ReleasedRun, digest_of
from client.predicting.scoring import Scoring
from client.settings import read
from client.site import Site
from common.audit.event import Event, Kind
from common.crypto import keys
from common.exceptions import ConfigurationError
from common.tasks import base as tasks

if TYPE_CHECKING:  # a run of trees needs no torch
    from torch import Tensor

    from client.features.embedding import Means


@dataclass(frozen=True)
class Predicted:
    """How many rows of how many people were scored, by which models."""

    rows: int
    people: int
    models: tuple[str, ...]


def of_folder(
    run: Path,
    data: Path,
    source: str | None,
    select: Select,
    cache: Cache,
    to: Path,
    models: Sequence[str] = (),
    weights: Mapping[str, Path] | None = None,
    explained: Path | None = None,
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
    weights : mapping of str to Path, optional
        Files of pretrained weights, by encoder.
    explained : Path, optional
        Second file to write, of what the parts of networks' logits are; see :mod:`client.predicting.explaining`.

    Raises
    ------
    FedwardError
        The run's folder, the data or the file to write is not what is needed.
    """
    _require_free(to, explained)
    found = released.read(run)
    cohort = _cohort(found, source or found.plan.data.source, data, select, cache)
    with tempfile.TemporaryDirectory(prefix="fedward-predict-") as aside:
        place = Place(data, Shelf(Path(aside), keys.temporary()))
        scoring = Scoring(
            found, cohort, place, partial(_means, place.shelf, Path(aside)), partial(_read, weights or {})
        )
        return _write(scoring, models, to, explained)


def of_kit(
    run: Path,
    kit: Path,
    to: Path,
    models: Sequence[str] = (),
    ask: Ask | None = None,
    explained: Path | None = None,
) -> Predicted:
    """Score the rows that a kit's ``site.toml`` says are the site's, audited before they are used.

    Parameters and errors are those of :func:`of_folder`; ``ask`` is for the passphrase, when that is the site's key.
    """
    _require_free(to, explained)
    found = released.read(run)
    chosen = found.named(models)
    with at_work(read(kit / "site.toml"), kit), closing(Site(kit / "site.toml", ask=ask)) as site:
        data = site.settings.data
        select, cache = Select(data.by, data.values), Cache(kit / site.settings.cache, site.key)
        cohort = _cohort(found, data.source, kit / data.folder, select, cache)
        counts = {"patients": len(np.unique(cohort.patients)), "rows": len(cohort)}
        what = {"for": "prediction", "task": found.plan.task, "plan": found.plan.digest, "digest": cohort.digest}
        digests = [digest_of(files) for files in chosen.values()]
        site.audit.append(Event(Kind.DATA_OPENED, {**what, **counts, "models": digests}))
        states = site.states if any(one.is_network for one in found.models) else None
        place = Place(kit / data.folder, site.shelf)
        scoring = Scoring(found, cohort, place, lambda: site.means, site.pretrained, states)
        return _write(scoring, models, to, explained)


def _require_free(to: Path, explained: Path | None) -> None:
    writing.require_free(to)
    if explained is not None:
        writing.require_free(explained)
        if explained.absolute() == to.absolute():
            raise ConfigurationError("predictions and their explanation are two files")


def _means(shelf: Shelf, folder: Path) -> Means:
    from client.features.embedding import Means
    from client.features.runtimes import Runtimes
    from client.training.devices import devices

    return Means(shelf, Runtimes(folder / "runtimes.json"), devices("auto")[0])


def _read(weights: Mapping[str, Path], encoder: str) -> Mapping[str, Tensor]:
    from common.networks.pretrained import from_files

    return from_files(weights)(encoder)


def _cohort(found: ReleasedRun, source: str, folder: Path, select: Select, cache: Cache) -> Cohort:
    return load(source, folder, tasks.find(found.plan.task), select, found.plan.modalities, cache)


def _write(scoring: Scoring, models: Sequence[str], to: Path, explained: Path | None) -> Predicted:
    """Write a row for every row of the cohort and model, and the parts of the networks' logits where asked for."""
    run, cohort = scoring.run, scoring.cohort
    scoring.require_schema()
    chosen, n = run.named(models), len(cohort)
    scores = np.concatenate(list(scoring.probabilities(list(chosen)).values()))
    each = len(chosen)
    columns: dict[str, writing.Column] = {
        "patient": np.tile(cohort.patients, each),
        "row": np.tile(np.arange(1, n + 1), each),
        "hours": np.tile(cohort.hours, each),
        "model": np.repeat(list(chosen), n),
        **{f"probability_{name}": scores[:, place] for place, name in enumerate(run.plan.label_names)},
        "model_digest": np.repeat([digest_of(files) for files in chosen.values()], n),
        "plan_digest": np.repeat(run.plan.digest, n * each),
    }
    files = dict.fromkeys(one for of_model in chosen.values() for one in of_model)  # ensembles share theirs
    parts = explain(scoring, list(files)) if explained else {}
    writing.write(to, columns)
    if explained:
        writing.write(explained, parts)
    return Predicted(n, len(np.unique(cohort.patients)), tuple(chosen))
