"""A cohort fits together or does not exist, and cannot be changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.datasets.base import SYNTHETIC_MARKER, Cohort, Select, find, is_synthetic, names
from common.exceptions import ConfigurationError, DataError


def cohort(n: int = 4) -> Cohort:
    return Cohort(
        patients=np.array([f"p{i // 2}" for i in range(n)]),
        features=np.arange(2 * n, dtype=np.float32).reshape(n, 2),
        labels=np.arange(n, dtype=np.int8) % 2,
        feature_names=("age", "ph"),
        units=("years", ""),
        references={"score": np.linspace(0, 1, n)},
        excluded={"no outcome": 3},
        digest="d",
        synthetic=False,
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": np.zeros((3, 2), np.float32)}, "one row a stay"),
        ({"features": np.zeros((4, 3), np.float32)}, "one column a name"),
        ({"features": np.full((4, 2), np.inf, np.float32)}, "infinite"),
        ({"labels": np.zeros(3, np.int8)}, "labels are not one a stay"),
        ({"labels": np.array([0, 1, 2, 0], np.int8)}, "0 or 1"),
        ({"feature_names": ("age", "age")}, "names or units"),
        ({"units": ("years",)}, "names or units"),
        ({"references": {"score": np.zeros(3)}}, "references"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        replace(cohort(), **changes)  # type: ignore[arg-type]


def test_arrays_are_read_only_copies() -> None:
    features = np.zeros((4, 2), np.float32)
    whole = replace(cohort(), features=features)
    features[:] = 7
    assert (whole.features == 0).all()
    for array in (whole.patients, whole.features, whole.labels, whole.references["score"]):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[1]


def test_what_is_printed_names_no_patient_and_no_value() -> None:
    text = repr(replace(cohort(), patients=np.array(["Smith-4711"] * 4), features=np.full((4, 2), 4711.5)))
    assert "no outcome" in text
    assert "4711" not in text
    assert "Smith" not in text


@given(st.lists(st.booleans(), min_size=6, max_size=6))
def test_a_selection_by_mask_or_by_rows_is_the_same_and_takes_every_part(chosen: list[bool]) -> None:
    whole, mask = cohort(6), np.array(chosen)
    by_mask, by_rows = whole.select(mask), whole.select(np.flatnonzero(mask))
    for part in (by_mask, by_rows):
        assert part.patients.tolist() == [p for p, keep in zip(whole.patients, chosen, strict=True) if keep]
        assert np.array_equal(part.features, whole.features[mask])
        assert np.array_equal(part.labels, whole.labels[mask])
        assert np.array_equal(part.references["score"], whole.references["score"][mask])
    assert (by_mask.excluded, by_mask.digest, by_mask.schema_digest) == (whole.excluded, "d", whole.schema_digest)


def test_the_schema_digest_tells_names_units_and_their_order_apart() -> None:
    whole = cohort()
    others = [
        replace(whole, feature_names=("ph", "age")),
        replace(whole, units=("", "years")),
        replace(whole, feature_names=("age", "pH")),
    ]
    assert len({whole.schema_digest, *(other.schema_digest for other in others)}) == 4
    assert cohort(2).schema_digest == whole.schema_digest


@pytest.mark.parametrize(("by", "values"), [("ward", ("1",)), ("all", ("1",)), ("region", ())])
def test_a_selection_nobody_could_answer_is_refused(by: str, values: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError):
        Select(by, values)


def test_datasets_are_found_by_file_name() -> None:
    assert "eicu" in names()
    assert find("eicu").__name__ == "client.datasets.eicu"  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["base", "reading", "EICU", ""])
def test_an_unknown_dataset_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"known: .*eicu"):
        find(name)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\x00", b'{"synthetic":false}'])
@pytest.mark.parametrize("name", [SYNTHETIC_MARKER, SYNTHETIC_MARKER.lower()])
def test_a_damaged_marker_still_marks(tmp_path: Path, name: str, content: bytes) -> None:
    assert not is_synthetic(tmp_path)
    (tmp_path / name).write_bytes(content)
    assert is_synthetic(tmp_path)


def test_a_marker_that_cannot_be_opened_still_marks(tmp_path: Path) -> None:
    (tmp_path / SYNTHETIC_MARKER).symlink_to(tmp_path / "gone")
    assert is_synthetic(tmp_path)


def test_files_of_other_names_mark_nothing(tmp_path: Path) -> None:
    for name in ("README.txt", "SYNTHETIC", f"{SYNTHETIC_MARKER}.bak", "patient.csv.gz"):
        (tmp_path / name).touch()
    assert not is_synthetic(tmp_path)
