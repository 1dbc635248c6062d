"""Some people's records hold exactly what the whole tells of those people, against a naive filter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.clinical.records import PARTS, Records
from common.clinical.subset import of_patients, of_stays

seeds = st.integers(0, 2**32)


def lines(records: Records) -> dict[str, list[tuple[str, ...]]]:
    """Every row as text, with the text of the row it points to in place of the position."""

    def table(name: str, *columns: str, owner: list[tuple[str, ...]] | None = None, pointer: str = "") -> list:
        part = getattr(records, name)
        rows = zip(*(getattr(part, column).tolist() for column in columns), strict=True)
        owners = [() for _ in range(len(part))] if owner is None else [owner[i] for i in getattr(part, pointer)]
        return [(*of, *map(str, row)) for of, row in zip(owners, rows, strict=True)]

    people = table("patients", "identifier", "male")
    admissions = table("admissions", "start", "end", "age", "died", "death", owner=people, pointer="patient")
    of_admission = {"owner": admissions, "pointer": "admission"}
    stays = table("stays", "start", "end", "unit", **of_admission)
    known = [(*stay, str(values)) for stay, values in zip(stays, records.known.values.tolist(), strict=True)]
    scores = [(*stay, str(score)) for stay, score in zip(stays, records.references["score"].tolist(), strict=True)]
    return {
        **{"patients": people, "admissions": admissions, "stays": stays, "known": known, "scores": scores},
        "diagnoses": table("diagnoses", "code", "version", **of_admission),
        "medications": table("medications", "time", "code", "system", **of_admission),
        "measurements": table("measurements", "time", "variable", "value", **of_admission),
        "notes": table("notes", "time", "kind", "text", **of_admission),
        "images": table("images", "study", "time", "path", "row", "findings", owner=people, pointer="patient"),
    }


def starting_with(table: list[tuple[str, ...]], owners: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return [row for row in table if any(row[: len(owner)] == owner for owner in owners)]


@given(seed=seeds, chosen=st.integers(0, 63))
def test_some_people(draw_records, seed, chosen):
    records = draw_records(seed)
    keep = np.array([chosen >> n & 1 for n in range(len(records.patients))], bool)
    whole, part = lines(records), lines(of_patients(records, keep))
    people = [row for row, kept in zip(whole["patients"], keep, strict=True) if kept]
    assert part == {name: starting_with(table, people) for name, table in whole.items()}


@given(seed=seeds, chosen=st.integers(0, 2**20 - 1))
def test_some_stays_with_their_admissions_and_people(draw_records, seed, chosen):
    records = draw_records(seed)
    keep = np.array([chosen >> n & 1 for n in range(len(records.stays))], bool)
    whole, part = lines(records), lines(of_stays(records, keep))
    stays = [row for row, kept in zip(whole["stays"], keep, strict=True) if kept]
    admissions = [row for row in whole["admissions"] if any(stay[: len(row)] == row for stay in stays)]
    people = [row for row in whole["patients"] if any(stay[: len(row)] == row for stay in stays)]
    owners = {"patients": people, "images": people, "stays": stays, "known": stays, "scores": stays}
    assert part == {name: starting_with(table, owners.get(name, admissions)) for name, table in whole.items()}


@given(seed=seeds)
def test_everybody_is_the_whole_and_nobody_is_nothing(draw_records, seed):
    records = draw_records(seed)
    everybody = np.ones(len(records.patients), bool)
    assert lines(of_patients(records, everybody)) == lines(records)
    nobody = of_patients(records, ~everybody)
    assert {len(table) for table in lines(nobody).values()} == {0}
    assert (nobody.digest, nobody.synthetic) == (records.digest, records.synthetic)
    assert nobody.measurements.names == records.measurements.names


@given(seed=seeds)
def test_types_are_kept_and_parts_that_are_not_there_stay_away(draw_records, seed):
    records = draw_records(seed)
    bare = replace(records, known=None, references={}, **dict.fromkeys(PARTS))
    some = of_patients(bare, np.arange(len(bare.patients)) % 2 == 0)
    assert all(getattr(some, name) is None for name in ("known", *PARTS))
    part = of_patients(records, np.arange(len(records.patients)) % 2 == 0).measurements
    assert [part.admission.dtype, part.time.dtype, part.variable.dtype] == ["int32", "float64", "int16"]


def test_by_hand(draw_records):
    records = next(r for r in map(draw_records, range(1000)) if r.admissions.patient.tolist() == [0, 1, 1])
    part = of_patients(records, np.array([False, True, *[False] * (len(records.patients) - 2)]))
    assert part.patients.identifier.tolist() == ["person-1"]
    assert part.admissions.patient.tolist() == [0, 0]
    assert part.admissions.age.tolist() == [1, 2]
    assert set(part.measurements.admission.tolist()) <= {0, 1}
    with pytest.raises(IndexError):
        of_patients(records, np.ones(100, bool))
