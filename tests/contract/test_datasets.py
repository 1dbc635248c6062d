"""What every dataset owes, run on each one found, fed with its synthetic layout."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

import numpy as np
import pytest

from client.datasets.base import SYNTHETIC_MARKER, Select, find, names
from common.exceptions import DataError
from common.tasks.base import find as find_task

TASK = find_task("in_hospital_mortality")
HOSPITALS = 4


@pytest.fixture(scope="module", params=names())
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp(request.param)
    importlib.import_module(f"simulations.synthetic.{request.param}_layout").generate(HOSPITALS, 80, 3, folder)
    return request.param, folder


@pytest.mark.parametrize("by", ["region", "hospital"])
def test_sites_partition_the_whole(source: tuple[str, Path], by: str) -> None:
    dataset, folder = find(source[0]), source[1]
    whole = dataset.load(folder, TASK, Select("all"))
    sites = dataset.sites(folder, by)
    assert len(sites) == HOSPITALS
    parts = [dataset.load(folder, TASK, select) for select in sites.values()]
    assert sum(len(part.labels) for part in parts) == len(whole.labels)
    assert sum(sum(part.excluded.values()) for part in parts) == sum(whole.excluded.values())
    assert {part.schema_digest for part in parts} == {whole.schema_digest}
    assert sorted(p for part in parts for p in part.patients) == sorted(whole.patients.tolist())


@pytest.mark.parametrize("by", ["region", "hospital"])
def test_site_names_are_slugs(source: tuple[str, Path], by: str) -> None:
    for name in find(source[0]).sites(source[1], by):
        assert name == name.lower()
        assert name.replace("-", "").isalnum()


def test_a_cohort_is_typed_labelled_and_accounted_for(source: tuple[str, Path]) -> None:
    cohort = find(source[0]).load(source[1], TASK, Select("all"))
    assert (cohort.features.dtype.name, cohort.labels.dtype.name) == ("float32", "int8")
    assert set(cohort.labels.tolist()) == {0, 1}
    assert len(cohort.labels) + sum(cohort.excluded.values()) == HOSPITALS * 80
    assert len(cohort.digest) == 64
    assert all(np.nanmin(score) >= 0 and np.nanmax(score) <= 1 for score in cohort.references.values())
    assert len(set(cohort.patients.tolist())) < len(cohort.patients)


def test_loading_twice_is_the_same(source: tuple[str, Path]) -> None:
    first, second = (find(source[0]).load(source[1], TASK, Select("all")) for _ in range(2))
    assert np.array_equal(first.features, second.features, equal_nan=True)
    assert first.patients.tolist() == second.patients.tolist()
    assert (first.labels.tolist(), first.digest) == (second.labels.tolist(), second.digest)


def test_the_marker_in_the_folder_decides_what_is_synthetic(source: tuple[str, Path], tmp_path: Path) -> None:
    dataset, folder = find(source[0]), tmp_path / "copy"
    (select, *_) = dataset.sites(source[1], "hospital").values()
    marked = dataset.load(source[1], TASK, select)
    assert marked.synthetic
    assert marked.select(np.arange(3)).synthetic
    shutil.copytree(source[1], folder)
    (folder / SYNTHETIC_MARKER).unlink()
    plain = dataset.load(folder, TASK, select)
    assert not plain.synthetic
    assert not plain.select(np.arange(3)).synthetic
    assert plain.digest == marked.digest


def test_an_empty_folder_is_refused(source: tuple[str, Path], tmp_path: Path) -> None:
    with pytest.raises(DataError):
        find(source[0]).load(tmp_path, TASK, Select("all"))


def test_a_site_that_is_not_there_is_refused(source: tuple[str, Path]) -> None:
    for select in (Select("hospital", ("999",)), Select("region", ("Atlantis",))):
        with pytest.raises(DataError):
            find(source[0]).load(source[1], TASK, select)
