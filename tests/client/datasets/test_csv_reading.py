"""Strict CSV reading: what is broken is named, what is fine is read to the letter."""

from __future__ import annotations

import csv
import gzip
import io
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.datasets.reading.csv import Tables
from client.datasets.reading.rows import Rows
from common.exceptions import DataError

SECRET = "Smith-4711"


def read(
    folder: Path, data: bytes, columns: tuple[str, ...] = ("a", "b"), name: str = "t.csv", **options: object
) -> Rows:
    (folder / name).write_bytes(data)
    with Tables(folder) as tables:
        return tables.read("t", columns, **options)  # type: ignore[arg-type]


def cells(rows: Rows) -> list[tuple[object, ...]]:
    return list(zip(rows.numbers.tolist(), *(column.tolist() for column in rows.columns.values()), strict=True))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a,b\n1,2\n3,4\n", [(1, "1", "2"), (2, "3", "4")]),
        (b"a,b\n1,2\n3,4", [(1, "1", "2"), (2, "3", "4")]),
        (b"a,b\r\n1,2\r\n3,4\r\n", [(1, "1", "2"), (2, "3", "4")]),
        (b"\xef\xbb\xbfa,b\n1,2\n", [(1, "1", "2")]),
        (b'\xef\xbb\xbf"a","b"\n1,2\n', [(1, "1", "2")]),
        (b'a,b\n"x\ny",2\n3,4\n', [(1, "x\ny", "2"), (2, "3", "4")]),
        (b'a,b\n"say ""no""",","\n', [(1, 'say "no"', ",")]),
        (b'a,b\n,""\n', [(1, "", "")]),
        (b"a,b\nNULL,NA\n", [(1, "NULL", "NA")]),
        (b"A , B\n1,2\n", [(1, "1", "2")]),
        (b"b,c,a\n1,x,2\n", [(1, "2", "1")]),
        (b"a,b\n", []),
    ],
)
def test_well_formed_tables_are_read_to_the_letter(tmp_path: Path, data: bytes, expected: list[object]) -> None:
    assert cells(read(tmp_path, data)) == expected


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"t\.csv: the file is empty"),
        (b"\n", r"t\.csv: the file is empty"),
        (b"a,c\n1,2\n", r"t\.csv: required columns are missing: b"),
        (b"a,b,A\n1,2,3\n", r"t\.csv, row 0: repeated columns: a"),
        (b"a,b\n1,2\n3\n", r"t\.csv, row 2: 1 fields instead of 2"),
        (f"a,b\n1,2\n{SECRET},4,5\n6,7\n".encode(), r"t\.csv, row 2: 3 fields instead of 2"),
        (f'a,b\n"x\ny",2\n3,4\n{SECRET}\n'.encode(), r"t\.csv, row 3: 1 fields instead of 2"),
        (f'a,b\n1,2\n"{SECRET},4\n'.encode(), r"t\.csv, row 2: a quoted field is not well-formed"),
        (f'a,b\n1,2\n"{SECRET}"x,4\n'.encode(), r"t\.csv, row 2: a quoted field is not well-formed"),
        (f"a,b\n1,2\n{SECRET}\xe9,4\n".encode("latin-1"), r"t\.csv, row 2: the text is not UTF-8"),
        (b"a,\xff\n1,2\n", r"t\.csv, row 0: the header is not well-formed"),
        (b"a,b\r\n1,2\n3,4\r\n", r"t\.csv, row 1: its line ends in another way"),
    ],
)
def test_broken_tables_are_refused_by_file_and_row(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, data)
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value.__context__)


@pytest.mark.parametrize("cut", [1, 4, 8, 40])
def test_a_truncated_gzip_file_is_refused(tmp_path: Path, cut: int) -> None:
    packed = gzip.compress(b"a,b\n" + b"".join(b"%d,%d\n" % (i, i * i) for i in range(500)))
    assert len(read(tmp_path, packed, name="t.csv.gz")) == 500
    with pytest.raises(DataError, match=r"t\.csv\.gz: .*truncated"):
        read(tmp_path, packed[:-cut], name="t.csv.gz")


def test_a_flipped_bit_in_a_gzip_file_is_refused_even_where_the_text_still_parses(tmp_path: Path) -> None:
    # Stored, not deflated: the damaged text is a well-formed table, only the checksum tells.
    packed = bytearray(gzip.compress(b"a,b\n1,2\n3,4\n", compresslevel=0))
    packed[packed.index(b"3,4")] = ord("9")
    with pytest.raises(DataError, match="damaged"):
        read(tmp_path, bytes(packed), name="t.csv.gz")


def test_a_file_that_only_claims_to_be_gzip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="damaged"):
        read(tmp_path, b"a,b\n1,2\n", name="t.csv.gz")


def test_the_table_is_found_without_regard_to_case_and_never_guessed(tmp_path: Path) -> None:
    assert cells(read(tmp_path, gzip.compress(b"a,b\n1,2\n"), name="T.CSV.GZ")) == [(1, "1", "2")]
    with pytest.raises(DataError, match="more than one file"):
        read(tmp_path, b"a,b\n1,2\n", name="t.csv")
    with Tables(tmp_path) as tables:
        assert not tables.has("absent")
        with pytest.raises(DataError, match=r"absent: no absent\.csv or absent\.csv\.gz in .*") as caught:
            tables.read("absent", ["a"])
    assert str(tmp_path) in str(caught.value)
    assert str(tmp_path) not in caught.value.public


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder"):
        Tables(tmp_path / "absent")


def test_names_of_files_and_columns_are_never_patterns_or_queries(tmp_path: Path) -> None:
    folder = tmp_path / "we[i]rd *?'"
    folder.mkdir()
    hostile = "a\"'); DROP TABLE t; --"
    data = f'"{hostile.replace(chr(34), chr(34) * 2)}",b\n1,2\n'.encode()
    assert cells(read(folder, data, (hostile.lower(), "b"))) == [(1, "1", "2")]


def test_a_selection_keeps_the_numbers_the_rows_have_in_the_file(tmp_path: Path) -> None:
    rows = read(tmp_path, b"a,b\nx,1\ny,2\n,3\nx,4\n", where=("a", ("x", "")))
    assert cells(rows) == [(1, "x", "1"), (3, "", "3"), (4, "x", "4")]
    assert cells(rows.take(np.array([2, 0]))) == [(4, "x", "4"), (1, "x", "1")]


def test_a_large_file_read_in_parallel_keeps_its_row_numbers(tmp_path: Path) -> None:
    count = 300_000
    data = b"a,b\n" + b"".join(b"%d,%s\n" % (i + 1, b"x" * 30) for i in range(count))
    rows = read(tmp_path, data, ("a",))
    assert (rows.columns["a"].astype(np.int64) == rows.numbers).all()
    assert len(rows) == count


def test_the_digest_is_that_of_the_content_and_not_of_the_path(tmp_path: Path) -> None:
    digests = []
    for name, data in (("one", b"a,b\n1,2\n"), ("two", b"a,b\n1,2\n"), ("three", b"a,b\n1,3\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "t.csv").write_bytes(data)
        with Tables(tmp_path / name) as tables:
            tables.read("t", ["a"])
            digests.append(tables.digest)
    assert digests[0] == digests[1] != digests[2]


def test_nothing_is_spilled_and_nothing_is_loaded(tmp_path: Path) -> None:
    with Tables(tmp_path) as tables:
        wanted = ("temp_directory", "autoload_known_extensions", "autoinstall_known_extensions")
        values = [tables._connection.execute(f"SELECT current_setting('{name}')").fetchall()[0][0] for name in wanted]
    assert values == ["", False, False]


TEXT = st.text(alphabet=st.sampled_from("ab ,\"'\n;é0-"), max_size=6)


@settings(max_examples=30, deadline=None)
@given(
    table=st.lists(st.tuples(TEXT, TEXT, TEXT), max_size=6), quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
)
def test_it_reads_what_the_standard_library_writes(table: list[tuple[str, str, str]], quoting: int) -> None:
    text = io.StringIO()
    csv.writer(text, quoting=quoting, lineterminator="\n").writerows([("a", "b", "c"), *table])  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        rows = read(Path(folder), text.getvalue().encode(), ("a", "b", "c"))
    assert cells(rows) == [(i + 1, *row) for i, row in enumerate(table)]
