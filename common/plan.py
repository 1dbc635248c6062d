"""A plan: one federated study, as a file that two worlds can run.

TOML in, frozen objects out. Unknown keys, wrong types and contradictions are refused here,
with file, key and what is allowed; below this line nobody sees a dictionary. The canonical
JSON of a plan travels through Flower's run configuration and is what sites approve.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from common import toml
from common.exceptions import PlanError
from common.names import Name
from common.network_stages import EncoderStage, FeaturesStage, Privacy, Training
from common.plan_part import Module, Part
from common.plan_tables import Data, Sites, Split, Synthetic, Trees
from common.serialization import canonical, digest
from common.stages import (
    BoostingStage,
    EnsembleStage,
    EvaluateStage,
    LocalStage,
    Stage,
    StatisticsStage,
    TrainingStage,
)
from common.tasks import base as tasks
from common.tasks.base import Label

Modality = Literal["table", "series", "codes", "visits", "notes", "images", "volumes"]
"""What a model learns from.

Of a person's past admissions the codes, which networks are given as visits and trees as groups; of the current
admission the notes. Films and volumes are for networks alone.
"""
NO_COLUMNS = frozenset({"images", "volumes"})
"""Modalities that trees cannot learn from."""
MOST_PRIVATE_STAGES, MOST_PRIVATE_STEPS = 20, 1_000_000
"""Bound what a plan makes every site account for."""


class Repetition(NamedTuple):
    """One seed with one fold held out: a complete training of every model."""

    seed: int
    fold: int

    def __str__(self) -> str:
        return f"seed {self.seed}, fold {self.fold}"


class Plan(Part):
    """One federated study. Build it with :func:`read` or :func:`from_json`.

    ``labels`` are some labels of the task or "all"; a task with one label needs none. Each has trees of its own; a
    network answers all of them at once.
    """

    name: Name
    title: Annotated[str, Field(min_length=1, max_length=120)]
    task: Module
    labels: Literal["all"] | tuple[str, ...] = ()
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
        object.__setattr__(self, "labels", tasks.find(self.task).chosen(self.labels))
        if len(set(self.modalities)) != len(self.modalities):
            raise ValueError("'modalities' lists one twice")
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ValueError("'seeds' lists at least one seed, each once")
        kinds = [stage.kind for stage in self.stages]
        models = [kind for kind in kinds if kind in ("boosting", "encoder")]
        between = [kind for kind in kinds if kind in ("boosting", "encoder", "features", "ensemble", "local")]
        order = ["statistics", *between, "evaluate"]
        if kinds != order or not models or kinds.count("local") > 1:
            raise ValueError(
                "'stages' is one statistics stage, then boosting, encoder, features or ensemble stages, one of the "
                "first two at least, and at most one local stage, then one evaluate stage; "
                f"this plan has: {', '.join(kinds) or 'none'}"
            )
        if len(set(self.models)) != len(self.models):
            raise ValueError("'stages' names two models alike; a boosting stage's name is its strategy's unless told")
        if self.sites.names and (strange := set(self.data.sources) - set(self.sites.names)):
            raise ValueError(f"'data.sources' names {min(strange)}, which 'sites.names' does not invite")
        self._check_inputs()
        if self.boosted and NO_COLUMNS.issuperset(self.modalities):
            raise ValueError("a boosting stage needs a modality with columns, such as 'table', among 'modalities'")
        for stage in self.training:
            if isinstance(stage, LocalStage) and (stage.trees is None) == self.boosted:
                raise ValueError("'trees' of the local stage and a boosting stage belong together")
        for stage in self.encoders:
            if absent := set(stage.encoders) - set(self.modalities):
                raise ValueError(f"stage '{stage.name}' has an encoder for {min(absent)}, not among 'modalities'")
        self._check_privacy()
        synthetic = self.data.synthetic
        if synthetic and self.sites.partition == "hospital" and self.sites.quorum > synthetic.hospitals:
            raise ValueError(f"'sites.quorum' is above data.synthetic.hospitals ({synthetic.hospitals})")
        return self

    def _check_privacy(self) -> None:
        """Refuse what noise does not protect, and more of it than every site can account for each round."""
        private = [(stage, stage.privacy) for stage in self.encoders if stage.privacy is not None]
        for stage, _ in private:
            if self.resampling != "none":
                raise ValueError(
                    f"stage '{stage.name}' has 'privacy', and resampling repeats or invents patients: noise that hides "
                    'one of them would hide none who is there many times. Say resampling = "none", and weigh cases by '
                    "'training.positive_weight', a public number"
                )
            if stage.by_patients and self.statistics.epsilon is None:
                raise ValueError(
                    f"stage '{stage.name}' has 'privacy', and exact counts in shares = \"patients\" would tell of a "
                    "patient what its noise hides: say shares = \"equal\", or give the statistics an 'epsilon'"
                )
        if len(private) > MOST_PRIVATE_STAGES:
            raise ValueError(f"'stages' has more than {MOST_PRIVATE_STAGES} with 'privacy'")
        steps = sum((how.steps + bool(stage.validation)) * stage.rounds for stage, how in private)  # a look is one, too
        steps *= len(self.seeds) * len(self.split.held_out)
        if steps > MOST_PRIVATE_STEPS:
            raise ValueError(
                f"'privacy' takes {steps:,} steps in all stages, rounds, seeds and folds; at most "
                f"{MOST_PRIVATE_STEPS:,} are accounted for: take fewer 'steps' or 'rounds'"
            )

    def _check_inputs(self) -> None:
        """Refuse inputs that are not there when a stage is reached."""
        known, trained, models = set[str](self.modalities), set[str](), set[str]()
        for stage in self.stages:
            if isinstance(stage, EncoderStage | BoostingStage):
                models.add(stage.name)
            if isinstance(stage, EncoderStage):
                trained.add(stage.name)
            elif isinstance(stage, EnsembleStage) and (absent := set(stage.models) - models):
                raise ValueError(
                    f"stage '{stage.name}' names {min(absent)}; models before it: {', '.join(sorted(models)) or 'none'}"
                )
            elif isinstance(stage, FeaturesStage):
                if stage.encoder not in trained:
                    raise ValueError(f"stage '{stage.name}': no encoder stage '{stage.encoder}' before it")
                if stage.name in known:
                    raise ValueError(f"stage '{stage.name}': a modality or another features stage is called so")
                known.add(stage.name)
            elif isinstance(stage, BoostingStage | LocalStage) and (absent := set(stage.inputs) - known):
                raise ValueError(f"'inputs' names {min(absent)}; known before that stage: {', '.join(sorted(known))}")

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels that are learnt, in the plan's order."""
        return tasks.find(self.task).chosen(self.labels)

    @property
    def label_columns(self) -> tuple[int, ...]:
        """Which of the task's labels these are."""
        return tuple(map(tasks.find(self.task).column, self.label_names))

    @property
    def questions(self) -> tuple[Label, ...]:
        """The labels that are learnt, with their meaning."""
        return tuple(tasks.find(self.task).labels[column] for column in self.label_columns)

    @property
    def repetitions(self) -> Iterator[Repetition]:
        """Every (seed, held-out fold), in order."""
        return (Repetition(seed, fold) for seed in self.seeds for fold in self.split.held_out)

    @property
    def training(self) -> tuple[TrainingStage, ...]:
        """The stages that train models, in order."""
        return tuple(stage for stage in self.stages if isinstance(stage, TrainingStage))

    @property
    def federated(self) -> tuple[BoostingStage | EncoderStage, ...]:
        """The stages that train one model of all sites, in order."""
        return tuple(stage for stage in self.stages if isinstance(stage, BoostingStage | EncoderStage))

    @property
    def ensembles(self) -> tuple[EnsembleStage, ...]:
        """What models say together, in order."""
        return tuple(stage for stage in self.stages if isinstance(stage, EnsembleStage))

    @property
    def models(self) -> tuple[str, ...]:
        """What the models of all sites together are called, ensembles after their members."""
        return (*(stage.name for stage in self.federated), *(stage.name for stage in self.ensembles))

    @property
    def families(self) -> tuple[str, ...]:
        """How the names of variants begin: with that of the network, or of the ensemble."""
        return (*(stage.name for stage in self.encoders), *(stage.name for stage in self.ensembles))

    @property
    def boosted(self) -> bool:
        """Whether trees are grown, which need columns."""
        return any(isinstance(stage, BoostingStage) for stage in self.stages)

    @property
    def encoders(self) -> tuple[EncoderStage, ...]:
        """The stages that train networks, in order."""
        return tuple(stage for stage in self.stages if isinstance(stage, EncoderStage))

    def inputs_of(self, model: str) -> tuple[str, ...]:
        """Return what the trees of a model see: a boosting stage's, or of "local/<site>" the local stage's.

        Raises
        ------
        PlanError
            The plan trains no such model.
        """
        for stage in self.stages:
            if isinstance(stage, BoostingStage) and stage.name == model:
                return stage.inputs or self.modalities
            if isinstance(stage, LocalStage) and model.startswith("local/"):
                return stage.inputs or self.modalities
        raise PlanError(f"plan {self.name} trains no model '{model}'")

    def features_stage(self, name: str) -> FeaturesStage:
        """Return the features stage of that name.

        Raises
        ------
        PlanError
            There is none.
        """
        for stage in self.stages:
            if isinstance(stage, FeaturesStage) and stage.name == name:
                return stage
        raise PlanError(f"plan {self.name} has no features stage '{name}'")

    def encoder(self, name: str) -> EncoderStage:
        """Return the encoder stage of that name.

        Raises
        ------
        PlanError
            There is none.
        """
        for stage in self.encoders:
            if stage.name == name:
                return stage
        raise PlanError(f"plan {self.name} has no encoder stage '{name}'")

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
        tree["data"]["sources"] = {site: source for site, source in self.data.sources.items() if site in names}
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
    "encoder": EncoderStage,
    "training": Training,
    "privacy": Privacy,
    "features": FeaturesStage,
    "boosting": BoostingStage,
    "ensemble": EnsembleStage,
    "local": LocalStage,
    "evaluate": EvaluateStage,
}


def _from_toml(text: str, file: str) -> Plan:
    return toml.from_toml(text, file, Plan, tables=_TABLES, error=PlanError)


def _validated(text: bytes, file: str) -> Plan:
    return toml.from_json(text, file, Plan, tables=_TABLES, error=PlanError)
