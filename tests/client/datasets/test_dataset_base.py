"""Data sources are found by name; a selection nobody could answer, and a damaged marker, are not overlooked."""

from __future__ import annotations

from pathlib import Path

import pytest

from client.datasets.base import ALL, SYNTHETIC_MARKER, Select, find, is_synthetic, names
from common.exceptions import ConfigurationError


@pytest.mark.parametrize(
    ("by", "values", "problem"),
    [
        ("all", ("1",), "by all names nothing"),
        ("region", (), "by region names something"),
        ("patient", (), "by patient"),
    ],
)
def test_a_selection_nobody_could_answer_is_refused(by: str, values: tuple[str, ...], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        Select(by, values)
    assert Select("all") == ALL


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
