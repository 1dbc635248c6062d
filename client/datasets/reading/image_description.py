"""What the columns of a hospital's own table of films mean: told by a file, known, or by default names."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

import common
from client.datasets.reading.csv import Tables
from client.datasets.reading.films import finding_columns
from common import toml
from common.exceptions import ConfigurationError, DataError

FILE = "images.toml"
"""Beside the table; says in TOML what :class:`Description` holds."""
Column = Annotated[str, StringConstraints(min_length=1, to_lower=True)]
View = Literal["PA", "AP", "LL", "RL", "LATERAL"]


class Part(BaseModel):
    """Frozen, strict: an unknown key or a wrong type is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Finding(Part):
    """What a column's cells say of one finding: by their texts, or by being filled at all.

    Where texts are listed, any other is an error; an empty cell that is not listed means "not mentioned".
    """

    column: Column
    present: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    uncertain: tuple[str, ...] = ()
    filled: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        texts = [*self.present, *self.absent, *self.uncertain]
        if self.filled == bool(self.present) or (self.filled and texts) or len(set(texts)) != len(texts):
            raise ValueError("either 'filled' is true, or 'present' lists texts; no text is listed twice")
        return self


class Time(Part):
    """A column of numbers that counts from one event of the person's, such as admission.

    ``hours`` is what one unit is worth: 24 for days, negative where the column counts backwards.
    """

    column: Column
    hours: float = 1.0


class Description(Part):
    """What the columns of a table of films mean; column names without regard to case.

    ``path`` says where a film lies below the folder, "{}" standing for the cell of ``image``.
    Without ``study`` every film is an examination of its own; ``every_view`` is the projection of all
    films where no column tells it. ``views`` and ``sexes`` translate cells; any other text but an empty
    one is an error. Findings come in the order of their names.
    """

    table: str = "images.csv"
    image: Column = "path"
    path: Annotated[str, StringConstraints(pattern=r"^[^{}]*\{\}[^{}]*$")] = "{}"
    patient: Column = "patient"
    study: Column | None = None
    view: Column | None = None
    every_view: View | None = None
    views: dict[str, View] = {
        text: view for view in ("PA", "AP", "LL", "RL", "LATERAL") for text in (view, view.lower())
    }
    sex: Column | None = None
    sexes: dict[str, Literal["male", "female", "unknown"]] = {
        **dict.fromkeys(("M", "m", "male", "Male"), "male"),
        **dict.fromkeys(("F", "f", "female", "Female"), "female"),
    }
    time: Time | None = None
    findings: dict[str, Finding] = {}

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns it reads, each once."""
        single = (self.image, self.patient, self.study, self.view, self.sex, self.time and self.time.column)
        return tuple(dict.fromkeys(c for c in (*single, *(f.column for f in self.findings.values())) if c))


def describe(folder: Path, tables: Tables) -> Description:
    """Find what the folder's table means.

    In this order: ``images.toml`` in the folder; the exact header of a published set in
    ``common/codes/image_tables.json``; by default names ``images.csv`` with ``path``, ``patient``,
    optionally ``study``, ``view``, ``sex`` and ``hours``, every other column being a finding with the
    cells 1, 0, -1 (uncertain) or none (not mentioned).

    Raises
    ------
    DataError
        ``images.toml`` is wrong, naming the key; there is no table of the default name, or its header is
        not well-formed.
    """
    if (folder / FILE).is_file():
        return _told(folder / FILE)
    for header, known in _published():
        name = known.table.removesuffix(".csv")
        if tables.has(name) and tables.header(name) == header:
            return known
    return _by_default(tables.header("images"))


def _told(file: Path) -> Description:
    try:
        text = file.read_text(encoding="utf-8")
        parts: toml.Tables = {"findings": Finding, "time": Time}
        return toml.from_toml(text, FILE, Description, tables=parts, error=ConfigurationError)
    except (OSError, UnicodeDecodeError):
        raise DataError("not readable as UTF-8 text", file=FILE) from None
    except ConfigurationError as error:
        raise DataError(str(error).removeprefix(f"{FILE}: "), file=FILE) from None


def _by_default(header: list[str]) -> Description:
    def column(name: str) -> str | None:
        return name if name in header else None

    def finding(name: str) -> Finding:
        return Finding(column=name, present=("1", "1.0"), absent=("0", "0.0"), uncertain=("-1", "-1.0"))

    own = {"path", "patient", "study", "view", "sex", "hours"}
    return Description(
        study=column("study"),
        view=column("view"),
        sex=column("sex"),
        time=Time(column="hours") if "hours" in header else None,
        findings={name: finding(column) for name, column in finding_columns(header, own).items()},
    )


@cache
def _published() -> tuple[tuple[list[str], Description], ...]:
    text = (Path(common.__file__).parent / "codes" / "image_tables.json").read_text(encoding="utf-8")
    known = json.loads(text)["tables"]
    return tuple(
        (entry["header"], Description.model_validate_json(json.dumps(entry["description"]))) for entry in known
    )
