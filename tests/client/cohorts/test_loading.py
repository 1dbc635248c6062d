"""What may be selected and divided; people are divided by a hash that knows nobody else."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from client.cohorts import loading
from client.cohorts.loading import load, read, sites
from client.datasets.base import ALL, Select
from client.datasets.reading.cache import Cache
from client.preprocessing.splits import fold_of
from common.clinical.records import Admissions, Patients, Records, Stays
from common.exceptions import ConfigurationError
from common.tasks.base import find
from tests.reading import cache_in

NOWHERE = Path("nowhere")
NONE_WANTED: frozenset[str] = frozenset()


def people(*names: str) -> Records:
    """Records of people with one admission each and nothing else."""
    n = len(names)
    hours, nobody = np.zeros(n), np.empty(0, np.int64)
    return Records(
        patients=Patients(np.array(names, dtype=np.str_), np.ones(n, np.float32)),
        admissions=Admissions(np.arange(n), hours, hours, np.arange(n, dtype=np.float32), np.zeros(n, np.int8), hours),
        stays=Stays(nobody, np.empty(0), np.empty(0), np.empty(0, np.str_)),
        digest="00" * 32,
        synthetic=True,
    )


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A source of 200 people that remembers what it was asked."""
    asked: list[Any] = []

    def answer(folder: Path, select: Select, parts: Collection[str], cache: Cache) -> Records:
        asked.append((folder, select, parts, cache))
        return people(*(f"p{number}" for number in range(200)))

    made = SimpleNamespace(
        DIVISIONS=("unit",),
        PARTS=frozenset({"measurements"}),
        read=answer,
        sites=lambda folder, by: {f"{by}-1": Select(by, ("1",))},
        asked=asked,
    )
    monkeypatch.setattr(loading.datasets, "find", {"made": made}.__getitem__)
    return made


def part_of(person: str, parts: int) -> int:
    message = b"".join(len(text).to_bytes(4, "big") + text for text in (b"0", b"site", person.encode()))
    return (int.from_bytes(hashlib.sha256(message).digest()[:8], "big") >> 1) % parts + 1


@pytest.mark.parametrize("parts", [1, 2, 7])
def test_a_part_is_the_people_whose_hash_says_so(source: SimpleNamespace, parts: int) -> None:
    for number, select in enumerate(sites("made", NOWHERE, "patient", parts).values(), start=1):
        assert select == Select("patient", (f"{number}/{parts}",))
        found = read("made", NOWHERE, select, NONE_WANTED, NOWHERE)
        expected = [number_ for number_ in range(200) if part_of(f"p{number_}", parts) == number]
        assert found.patients.identifier.tolist() == [f"p{number_}" for number_ in expected]
        assert found.admissions.age.tolist() == expected
    assert {select for _, select, _, _ in source.asked} == {ALL}


def test_several_parts_are_their_union(source: SimpleNamespace) -> None:
    found = read("made", NOWHERE, Select("patient", ("1/3", "3/3")), NONE_WANTED, NOWHERE)
    assert found.patients.identifier.tolist() == [f"p{n}" for n in range(200) if part_of(f"p{n}", 3) != 2]


@pytest.mark.parametrize("value", ["0/3", "4/3", "1/0", "01/3", "1/3 ", "1", "1/", "/3", "-1/3", "a/b", "1/3/3", ""])
def test_a_part_that_is_none_is_refused(source: SimpleNamespace, value: str) -> None:
    with pytest.raises(ConfigurationError, match="a selection by patient is written k/n"):
        read("made", NOWHERE, Select("patient", ("1/3", value)), NONE_WANTED, NOWHERE)


def test_parts_are_even_and_independent_of_the_folds() -> None:
    names = np.array([f"p{number:05d}" for number in range(20_000)])
    part = np.array([part_of(name, 4) - 1 for name in names.tolist()])
    for seed in (0, 7):
        observed = np.bincount(part * 5 + fold_of(names, seed=seed, folds=5), minlength=20)
        # Chi-square with 19 degrees of freedom exceeds 50.8 once in ten thousand seeds.
        assert ((observed - 1000) ** 2 / 1000).sum() < 50.8


@pytest.mark.parametrize("select", [ALL, Select("unit", ("1", "2"))])
def test_what_the_source_divides_by_is_passed_on(source: SimpleNamespace, select: Select, tmp_path: Path) -> None:
    cache = cache_in(tmp_path)
    read("made", NOWHERE, select, frozenset({"measurements"}), cache)
    assert source.asked == [(NOWHERE, select, frozenset({"measurements"}), cache)]
    assert sites("made", NOWHERE, "unit") == {"unit-1": Select("unit", ("1",))}


def test_what_the_source_does_not_divide_by_or_hold_is_refused_before_it_is_asked(source: SimpleNamespace) -> None:
    with pytest.raises(ConfigurationError, match="'made' selects rows by all, patient, unit, not by 'region'"):
        read("made", NOWHERE, Select("region", ("South",)), NONE_WANTED, NOWHERE)
    with pytest.raises(ConfigurationError, match="'made' divides by patient, unit, not by 'region'"):
        sites("made", NOWHERE, "region")
    with pytest.raises(ConfigurationError, match="data source 'made' holds no images, notes"):
        read("made", NOWHERE, ALL, frozenset({"notes", "images", "measurements"}), NOWHERE)
    assert source.asked == []


def test_loading_wants_what_the_task_and_the_plan_need(source: SimpleNamespace) -> None:
    task = find("in_hospital_mortality")
    with pytest.raises(ConfigurationError, match="'made' holds no notes"):
        load("made", NOWHERE, replace(task, parts=("notes",)), ALL, ("table",), NOWHERE)
    with pytest.raises(ConfigurationError, match="'made' holds no images"):
        load("made", NOWHERE, task, ALL, ("table", "images"), NOWHERE)
