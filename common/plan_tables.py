"""The tables of a plan besides its stages: data, sites, split, trees."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from common.names import RESERVED, Name
from common.plan_part import Module, Part

Fraction = Annotated[float, Field(gt=0, le=1)]


class Synthetic(Part):
    """Hospitals that a simulation generates when it is given no data folder.

    With ``shift`` every second hospital has another scanner, laboratory and thermometer.
    """

    hospitals: Annotated[int, Field(ge=1, le=1000)]
    stays_per_hospital: Annotated[int, Field(ge=1, le=100_000)]
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    shift: bool = False


class Data(Part):
    """Where a site's cohort comes from: the name of a dataset adapter.

    ``sources`` names the adapters of sites that have another one than ``source``.
    """

    source: Module
    sources: dict[Name, Module] = Field(default_factory=dict)
    synthetic: Synthetic | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.sources and self.synthetic:
            raise ValueError("'sources' and 'synthetic' exclude each other: synthetic hospitals have one source")
        return self

    def source_of(self, site: str) -> str:
        """Return the name of a site's dataset adapter."""
        return self.sources.get(site, self.source)


class Sites(Part):
    """Who is invited, and what a round may be built on.

    ``partition`` says how a simulator divides one data folder, with "folder" that every site has one of its own; a
    hospital's own settings say which rows are its own. ``deadline_seconds`` bounds every exchange; when it passes,
    ``on_missing`` decides: "fail" at once, or "continue" (and log it) while ``quorum`` holds.
    """

    partition: Literal["region", "hospital", "unit", "patient", "groups", "folder"]
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
        if self.partition == "folder" and not self.names:
            raise ValueError("partition = \"folder\" needs 'names', one a site")
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
