"""What every data source owes, run on each one found, fed with its own example; see conftest.py."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.cohorts import loading
from client.datasets.base import ALL, SYNTHETIC_MARKER, Select, find, names
from common.clinical.records import PARTS, Records
from common.exceptions import ConfigurationError, DataError
from common.plan_tables import Sites
from tests.contract.checking import TYPES, check, names_somebody, rows, same, schema, tables
from tests.reading import cache_in


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file of a folder with its content and time."""
    return {
        str(path.relative_to(folder)): (path.read_bytes() if path.is_file() else b"", path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
    }


def test_every_source_declares_what_it_has(source: Any) -> None:
    assert set(PARTS) >= source.dataset.PARTS
    assert not {"all", "patient"} & set(source.dataset.DIVISIONS)
    assert 6 <= source.example.PEOPLE <= 40
    assert all(len(text) >= 4 for text in source.example.IDENTIFIERS)


def test_records_are_as_documented_and_complete(source: Any, read: Callable[..., Records]) -> None:
    records = read()
    check(records, source.folder)
    assert len(records.patients) == source.example.PEOPLE
    for part in source.dataset.PARTS:
        assert len(getattr(records, part)) > 0


def test_what_is_not_wanted_changes_nothing_about_the_rest(source: Any, read: Callable[..., Records]) -> None:
    whole, bare = read(), read(parts=frozenset())
    for name in ("patients", "admissions", "stays", "known"):
        assert same(getattr(bare, name), getattr(whole, name))
    for part in source.dataset.PARTS:
        alone = read(parts=frozenset({part}))
        assert same(getattr(alone, part), getattr(whole, part))


def test_reading_again_is_the_same_with_and_without_the_cache(
    source: Any, read: Callable[..., Records], tmp_path: Path
) -> None:
    first = read()
    assert same(read(), first)
    assert same(read(cache=cache_in(tmp_path / "other")), first)
    elsewhere = shutil.copytree(source.folder, tmp_path / "elsewhere")
    assert same(read(elsewhere), first)


def test_a_changed_value_changes_the_digest_in_spite_of_the_cache(
    source: Any, read: Callable[..., Records], copy: Path
) -> None:
    before, files = read(copy), state(copy)
    source.example.alter(copy)
    for name, (_, time) in files.items():
        os.utime(copy / name, ns=(time, time))  # a copying tool may keep the old times
    after = read(copy)
    check(after, copy)
    assert after.digest != before.digest
    pairs = [(getattr(before, name), getattr(after, name)) for name in TYPES]
    assert not all(same(one, other) for one, other in pairs), "alter() changed nothing that is read"


@pytest.mark.parametrize("name", [SYNTHETIC_MARKER, SYNTHETIC_MARKER.lower()])
def test_the_marker_in_the_folder_decides_what_is_synthetic(
    read: Callable[..., Records], copy: Path, name: str
) -> None:
    (copy / SYNTHETIC_MARKER).unlink(missing_ok=True)
    plain = read(copy)
    assert not plain.synthetic
    (copy / name).write_text("{}")
    marked = read(copy)
    assert marked.synthetic
    assert marked.digest == plain.digest


def test_what_is_printed_names_nobody(source: Any, read: Callable[..., Records]) -> None:
    records = read()
    people = records.patients.identifier.tolist()
    for part in (records, *tables(records).values()):
        assert not names_somebody(repr(part) + str(part), source, people)
    assert "person-1" in str(np.array(["person-1"])), "an array would be printed with its values"


def test_each_division_divides_all_rows_and_names_its_sites(source: Any, read: Callable[..., Records]) -> None:
    whole = read()
    for by in source.dataset.DIVISIONS:
        sites = loading.sites(source.name, source.folder, by)
        assert len(sites) >= 2, by
        Sites(partition="patient", names=tuple(sites), quorum=1, deadline_seconds=1.0, on_missing="fail")
        divided = [read(select=select) for select in sites.values()]
        assert sum((rows(part) for part in divided), Counter()) == rows(whole), by
        assert all(len(rows(part)) > 0 for part in divided)
        for part in divided:
            check(part, source.folder)
            assert schema(part) == schema(whole)


def test_several_sites_together_are_what_they_are_apart(source: Any, read: Callable[..., Records]) -> None:
    for by in source.dataset.DIVISIONS:
        first, second, *_ = loading.sites(source.name, source.folder, by).values()
        both = read(select=Select(by, first.values + second.values))
        assert rows(both) == rows(read(select=first)) + rows(read(select=second))


def test_a_division_that_is_not_there_is_refused(source: Any, read: Callable[..., Records]) -> None:
    for by in source.dataset.DIVISIONS:
        with pytest.raises(DataError):
            read(select=Select(by, ("Atlantis",)))
    for attempt in (lambda: read(select=Select("planet", ("Mars",))), lambda: divided_by(source, "planet")):
        with pytest.raises(ConfigurationError, match="planet"):
            attempt()


def divided_by(source: Any, by: str) -> dict[str, Select]:
    return loading.sites(source.name, source.folder, by)


@pytest.mark.parametrize("parts", [2, 3])
def test_a_division_by_patient_divides_people_and_stays_when_people_are_added(
    source: Any, read: Callable[..., Records], copy: Path, parts: int
) -> None:
    sites = loading.sites(source.name, copy, "patient", parts)
    assert list(sites) == [f"part-{k}" for k in range(1, parts + 1)]
    whole, before = read(copy), [read(copy, select) for select in sites.values()]
    for part in before:
        check(part, copy)
        assert schema(part) == schema(whole)
    assert Counter(person for part in before for person in part.patients.identifier.tolist()) == Counter(
        whole.patients.identifier.tolist()
    )
    assert sum((rows(part) for part in before), Counter()) == rows(whole)
    source.example.grow(copy)
    after = [set(read(copy, select).patients.identifier.tolist()) for select in sites.values()]
    gained = [people - set(part.patients.identifier.tolist()) for people, part in zip(after, before, strict=True)]
    assert sorted(map(len, gained)) == [0] * (parts - 1) + [1]
    assert all(set(part.patients.identifier.tolist()) <= people for people, part in zip(after, before, strict=True))


def test_nothing_is_written_outside_the_cache(
    source: Any, copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state(copy)
    for name in ("work", "temporary"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    loading.read(source.name, copy, ALL, source.dataset.PARTS, cache_in(tmp_path / "cache"))
    assert state(copy) == before
    assert not [*(tmp_path / "work").iterdir(), *(tmp_path / "temporary").iterdir()]
    assert {path.name for path in tmp_path.iterdir()} <= {"copy", "work", "temporary", "cache"}


def test_a_cache_is_for_its_owner_alone(source: Any, read: Callable[..., Records], tmp_path: Path) -> None:
    read()
    for path in (tmp_path / "cache").rglob("*") if (tmp_path / "cache").exists() else ():
        assert path.stat().st_mode & 0o077 == 0, path.relative_to(tmp_path)


def test_sources_are_found_by_file_name() -> None:
    assert "eicu" in names()
    for name in names():
        assert find(name).__name__ == f"client.datasets.{name}"  # type: ignore[attr-defined]
