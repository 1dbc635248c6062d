"""Files of a folder: only those read are named, their rows counted as their reader counts them."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.check.inventory import take


def written(rows: list[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([["a", "b"], *rows])
    return text.getvalue()


def test_files_by_hand(tmp_path: Path) -> None:
    (tmp_path / "hosp").mkdir()
    packed = gzip.compress(written([["1", "x\ny"], ["2", 'say "so"'], ["", ""]]).encode())
    (tmp_path / "hosp" / "patients.csv.gz").write_bytes(packed)
    (tmp_path / "Ada Lovelace.json").write_text("{}")
    (tmp_path / "film.png").write_bytes(b"")
    (tmp_path / "notes.lovelace").write_text("")
    found = take(tmp_path, {"patients.csv.gz"})
    assert [(file.name, file.rows, file.columns, file.size) for file in found.read] == [
        ("patients.csv.gz", 3, 2, len(packed))
    ]
    assert found.others == {".json": 1, ".png": 1, "other": 1}
    assert "ovelace" not in repr(found)


@settings(max_examples=8)
@given(st.lists(st.tuples(st.text("x,\n\"'", max_size=5), st.just("y")), max_size=8))
def test_rows_are_those_of_the_csv_module(tmp_path_factory: pytest.TempPathFactory, rows) -> None:
    folder = tmp_path_factory.mktemp("folder")
    (folder / "t.csv").write_text(written([list(row) for row in rows]), newline="")
    (file,) = take(folder, {"t.csv"}).read
    assert file.rows == len(rows)


@pytest.mark.parametrize("content", [b"", b"a,a\n1,2\n", b"a,b\n1,2,3\n", b'a,b\n1,"2\n', b"\xff\xfe"])
def test_a_damaged_table_is_listed_without_its_rows(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    (file,) = take(tmp_path, {"t.csv"}).read
    assert (file.rows, file.size) == (None, len(content))


def test_a_truncated_table_is_listed_without_its_rows(tmp_path: Path) -> None:
    packed = gzip.compress(written([[str(n), "x"] for n in range(5000)]).encode())
    (tmp_path / "t.csv.gz").write_bytes(packed[: len(packed) // 2])
    assert take(tmp_path, {"t.csv.gz"}).read[0].rows is None


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert take(tmp_path / "nosuch", set()) == take(tmp_path, set())
