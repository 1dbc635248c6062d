"""A plan: one federated study, as a file that two worlds can run.

TOML in, frozen objects out. Unknown keys, wrong types and contradictions are refused here,
with file, key and what is allowed; below this line nobody sees a dictionary. The canonical
JSON of a plan travels through Flower's run configuration and is what sites approve.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from common import toml
from common.exceptions import PlanError
from common.names import RESERVED, Name
from common.serialization import canonical, digest
from common.stages import (
    BoostingStage,
    EvaluateStage,
    LocalStage,
    Module,
    Part,
    Stage,
    StatisticsStage,
    TrainingStage,
)
from common.tasks import base as tasks
from common.tasks.base import Label

Fraction = Annotated[float, Field(gt=0, le=1)]
Modality = Literal["table", "series", "codes", "notes"]
"""What a model learns from: of a person's past admissions the codes, of the current one the notes."""


class Synthetic(Part):
    """Hospitals that a simulation generates when it is given no data folder.

    With ``shift`` every second hospital has another scanner, laboratory and thermometer.
    """

    hospitals: Annotated[int, Field(ge=1, le=1000)]
    stays_per_hospital: Annotated[int, Field(ge=1, le=100_000)]
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    shift: bool = False


class Data(Part):
    """Where a site's cohort comes from: the name of a dataset adapter."""

    source: Module
    synthetic: Synthetic | None = None


class Sites(Part):
    """Who is invited, and what a round may be built on.

    ``partition`` says how a simulator divides one data folder; a hospital's own settings say
    which rows are its own. ``deadline_seconds`` bounds every exchange; when it passes,
    ``on_missing`` decides: "fail" at once, or "continue" (and log it) while ``quorum`` holds.
    """

    partition: Literal["region", "hospital", "unit", "patient", "groups"]
    names: tuple[Name, ...] = ()
    groups: dict[Name, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(default_factory=dict)
    quorum: Annotated[int, Field(ge=1)]
    deadline_seconds: Annotated[float, Field(gt=0, le=86_400)]
    on_missing: Literal["fail", "continue"]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.partition == "groups") != bool(self.groups):
            raise ValueError("'groups' and partition = \"groups\" belong together")
        if self.partition == "patient" and not self.names:
            raise ValueError("partition = \"patient\" needs 'names': part-1, part-2, ..., one a site")
        if taken := sorted(RESERVED.intersection([*self.names, *self.groups])):
            raise ValueError(f"no site can be called {taken[0]}")
        if self.groups and self.names and set(self.names) - set(self.groups):
            raise ValueError(f"'names' lists sites without a group; groups are: {', '.join(self.groups)}")
        repeated = [name for name, count in Counter(self.names).items() if count > 1]
        if repeated:
            raise ValueError(f"'names' repeats {', '.join(repeated)}")
        shared = [value for value, count in Counter(v for g in self.groups.values() for v in g).items() if count > 1]
        if shared:
            raise ValueError(f"'groups' puts {', '.join(shared)} into two sites")
        invited = len(self.names or self.groups)
        if invited and self.quorum > invited:
            raise ValueError(f"'quorum' is {self.quorum}, above the number of sites invited ({invited})")
        return self


class Split(Part):
    """Cross-validation folds by patient; each listed fold is held out once."""

    folds: Annotated[int, Field(ge=2, le=20)]
    held_out: tuple[Annotated[int, Field(ge=0)], ...] = (0,)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.held_out or len(set(self.held_out)) != len(self.held_out) or max(self.held_out) >= self.folds:
            raise ValueError(f"'held_out' lists distinct folds from 0 to {self.folds - 1}, at least one")
        return self


class Trees(Part):
    """How a single tree grows; the same at every site and in every baseline."""

    learning_rate: Fraction
    max_depth: Annotated[int, Field(ge=1, le=12)]
    min_child_weight: Annotated[float, Field(ge=0)] = 1.0
    l2: Annotated[float, Field(ge=0)] = 1.0
    row_fraction: Fraction = 1.0
    column_fraction: Fraction = 1.0
    bins: Annotated[int, Field(ge=2, le=1024)] = 256


class Repetition(NamedTuple):
    """One seed with one fold held out: a complete training of every model."""

    seed: int
    fold: int

    def __str__(self) -> str:
        return f"seed {self.seed}, fold {self.fold}"


class Plan(Part):
    """One federated study. Build it with :func:`read` or :func:`from_json`."""

    name: Name
    title: Annotated[str, Field(min_length=1, max_length=120)]
    task: Module
    label: str | None = None
    modalities: Annotated[tuple[Modality, ...], Field(min_length=1)] = ("table",)
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**31)], ...]
    data: Data
    sites: Sites
    split: Split
    resampling: Module
    trees: Trees
    stages: tuple[Stage, ...]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.task not in tasks.names():
            raise ValueError(f"'task' is unknown; known tasks: {', '.join(tasks.names())}")
        tasks.find(self.task).label(self.label)
        if len(set(self.modalities)) != len(self.modalities):
            raise ValueError("'modalities' lists one twice")
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ValueError("'seeds' lists at least one seed, each once")
        kinds = [stage.kind for stage in self.stages]
        order = ["statistics", *(kind for kind in kinds if kind in ("boosting", "local")), "evaluate"]
        if kinds != order or "boosting" not in kinds or kinds.count("local") > 1:
            raise ValueError(
                "'stages' is one statistics stage, then one or more boosting stages and at most one local stage, "
                f"then one evaluate stage; this plan has: {', '.join(kinds) or 'none'}"
            )
        strategies = [stage.strategy for stage in self.stages if isinstance(stage, BoostingStage)]
        if len(set(strategies)) != len(strategies):
            raise ValueError("'stages' uses one strategy twice; each model is named after its strategy")
        synthetic = self.data.synthetic
        if synthetic and self.sites.partition == "hospital" and self.sites.quorum > synthetic.hospitals:
            raise ValueError(f"'sites.quorum' is above data.synthetic.hospitals ({synthetic.hospitals})")
        return self

    @property
    def question(self) -> Label:
        """The label that is learnt."""
        return tasks.find(self.task).labels[self.label_column]

    @property
    def label_column(self) -> int:
        """Which of the task's labels is learnt; the only one where ``label`` is left out."""
        return tasks.find(self.task).label(self.label)

    @property
    def repetitions(self) -> Iterator[Repetition]:
        """Every (seed, held-out fold), in order."""
        return (Repetition(seed, fold) for seed in self.seeds for fold in self.split.held_out)

    @property
    def training(self) -> tuple[TrainingStage, ...]:
        """The stages that train models, in order."""
        return tuple(stage for stage in self.stages if isinstance(stage, TrainingStage))

    @property
    def statistics(self) -> StatisticsStage:
        """The first stage."""
        return next(stage for stage in self.stages if isinstance(stage, StatisticsStage))

    @property
    def evaluation(self) -> EvaluateStage:
        """The last stage."""
        return next(stage for stage in self.stages if isinstance(stage, EvaluateStage))

    def to_json(self) -> str:
        """Canonical JSON: what travels, what is digested, what a site approves."""
        return canonical(self.model_dump(mode="json")).decode()

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON."""
        return digest(self.to_json().encode())

    def inviting(self, names: tuple[str, ...]) -> Plan:
        """Return the same study for other sites; checked as if it had been read from a file."""
        tree = self.model_dump(mode="json")
        tree["sites"]["names"] = list(names)
        return _validated(canonical(tree), f"plan {self.name} for {', '.join(names)}")

    def on_real_data(self) -> Plan:
        """Return the same study without synthetic hospitals."""
        tree = self.model_dump(mode="json")
        tree["data"]["synthetic"] = None
        return _validated(canonical(tree), f"plan {self.name} on real data")


def from_json(text: str) -> Plan:
    """Rebuild a plan from its canonical JSON, with every check of :func:`read`."""
    return _validated(text.encode(), "plan received")


def read(source: str | Path) -> Plan:
    """Read a plan from a TOML file, or by the name of a shipped one.

    Raises
    ------
    PlanError
        Naming file, key and what is allowed.
    """
    shipped_plans = shipped()
    if isinstance(source, str) and source in shipped_plans:
        return _from_toml(shipped_plans[source], f"plan {source}")
    path = Path(source)
    if not path.is_file():
        raise PlanError(f"no plan '{source}': give a TOML file or one of {', '.join(shipped_plans)}")
    try:
        return _from_toml(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise PlanError(f"{path}: not UTF-8 text (byte {error.start})") from error


def shipped() -> dict[str, str]:
    """Text of each plan that ships with the project, by name."""
    folder = resources.files("common") / "plans"
    files = sorted((item for item in folder.iterdir() if item.name.endswith(".toml")), key=lambda item: item.name)
    return {item.name.removesuffix(".toml"): item.read_text(encoding="utf-8") for item in files}


_TABLES: dict[str, type[Part]] = {
    "data": Data,
    "sites": Sites,
    "split": Split,
    "trees": Trees,
    "synthetic": Synthetic,
    "statistics": StatisticsStage,
    "boosting": BoostingStage,
    "local": LocalStage,
    "evaluate": EvaluateStage,
}


def _from_toml(text: str, file: str) -> Plan:
    return toml.from_toml(text, file, Plan, tables=_TABLES, error=PlanError)


def _validated(text: bytes, file: str) -> Plan:
    return toml.from_json(text, file, Plan, tables=_TABLES, error=PlanError)
