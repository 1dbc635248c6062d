"""What a run has released, as its folder holds it: plan, columns, models; nothing of it is used unchecked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from common.exceptions import ModelError
from common.payload import Digest
from common.plan import Plan, from_json
from common.serialization import digest, digest_json, parse


class ReleasedModel(BaseModel):
    """A model file; a name has one a seed and held-out fold, trees one a label, too.

    A network answers all labels and has none of its own.
    """

    model_config = ConfigDict(frozen=True)
    name: str
    label: str
    seed: int
    fold: int
    file: str
    digest: Digest

    @property
    def is_network(self) -> bool:
        """Whether the file holds weights, and not trees."""
        return self.file.endswith(".safetensors")


class _Metrics(BaseModel):
    """What is needed of ``metrics.json``."""

    run: str
    plan: str
    plan_digest: Digest
    schema_digest: str = ""
    models: tuple[ReleasedModel, ...]


@dataclass(frozen=True)
class ReleasedRun:
    """A run's folder.

    Attributes
    ----------
    folder : Path
    name : str
    plan : Plan
    schema_digest : str
        Of names and units of the columns that trees learnt from; empty where the run did not tell.
    columns : mapping of modality to names
        What networks are given; empty where the run has none.
    models : tuple of ReleasedModel
    """

    folder: Path
    name: str
    plan: Plan
    schema_digest: str
    columns: Mapping[str, tuple[str, ...]]
    models: tuple[ReleasedModel, ...]

    def members(self, name: str) -> tuple[str, ...]:
        """Name the models whose files make up one: an ensemble's, or else itself."""
        return next((stage.models for stage in self.plan.ensembles if stage.name == name), (name,))

    def named(self, names: Sequence[str] = ()) -> dict[str, tuple[ReleasedModel, ...]]:
        """Return all files of some models, by name, of ensembles those of their members; without names of all sites'.

        Raises
        ------
        ModelError
            No such model; names those there are.
        """
        files = dict.fromkeys(model.name for model in self.models)
        ensembles = [stage.name for stage in self.plan.ensembles if files.keys() >= set(stage.models)]
        known = (*files, *ensembles)
        wanted = names or self.plan.models
        if unknown := [name for name in wanted if name not in known]:
            raise ModelError(f"the run released no model '{unknown[0]}'; it released {', '.join(known)}")
        of = {name: self.members(name) for name in wanted}
        return {name: tuple(one for one in self.models if one.name in members) for name, members in of.items()}

    def content(self, model: ReleasedModel) -> bytes:
        """Read a model's file (ModelError when it is not the one that was released)."""
        path = self.folder / model.file
        if Path(model.file).name != model.file:
            raise ModelError(f"{self.folder / 'metrics.json'} names a model outside of the run's folder")
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ModelError(f"{path}: cannot be read: {error.strerror}") from error
        if digest(content) != model.digest:
            raise ModelError(f"{path} is not the model that the run released: its SHA-256 is not that in metrics.json")
        return content


def read(folder: Path) -> ReleasedRun:
    """Read what a run has released.

    Raises
    ------
    ModelError
        The folder holds no finished run, or the plan is not the one of its digest.
    PlanError
        The plan is none for this version.
    """
    file = folder / "metrics.json"
    try:
        found = _Metrics.model_validate_json(file.read_bytes())
        columns = folder / "columns.json"
        told = parse(columns.read_bytes()) if columns.exists() else {}
        named = {str(modality): tuple(map(str, names)) for modality, names in told.items()}
    except (OSError, ValidationError, ValueError, AttributeError, TypeError) as error:
        raise ModelError(f"{folder} is not the folder of a finished run: a file lacks or is damaged") from error
    if digest(found.plan.encode()) != found.plan_digest:
        raise ModelError(f"{file}: the plan is not the one of its digest")
    return ReleasedRun(folder, found.run, from_json(found.plan), found.schema_digest, named, found.models)


def digest_of(models: Sequence[ReleasedModel]) -> str:
    """SHA-256 that stands for models whose mean is told: of one its own, of several that of the list of theirs."""
    digests = [model.digest for model in models]
    return digests[0] if len(digests) == 1 else digest_json(digests)
