"""What is wrong in a folder of the PhysioNet 2012 challenge is refused by file, row and field."""

from __future__ import annotations

import gzip
import io
import re
import tarfile
from pathlib import Path

import pytest

from client.datasets import physionet2012
from client.datasets.reading import archives
from common.exceptions import DataError
from tests.client.datasets.challenge import HEADER, SERIES, fill, read, record, refused, tar, two


def test_a_record_twice_is_refused_across_sets_too(tmp_path: Path) -> None:
    folder = fill(tmp_path / "data", two())
    (folder / "set-b.tar.gz").write_bytes(tar({"9003": record(9003), "9002": record(9002)}))
    (folder / "Outcomes-b.txt").write_text(HEADER)
    error = refused(folder)
    assert (error.file, error.row) == ("set-b.tar.gz", 2)
    (folder / "set-b.tar.gz").unlink()
    packed = io.BytesIO(tar(two()))
    twice = io.BytesIO()
    with tarfile.open(fileobj=packed) as source, tarfile.open(fileobj=twice, mode="w:gz") as target:
        for entry in [*source.getmembers(), source.getmembers()[0]]:
            target.addfile(entry, source.extractfile(entry))
    (folder / "set-a.tar.gz").write_bytes(twice.getvalue())
    error = refused(folder)
    assert (error.file, error.row) == ("set-a.tar.gz", 3)


BROKEN: dict[str, tuple[str, str | None, str]] = {
    "an unknown parameter": (SERIES + "02:00,SAPS,3\n", "Parameter", "line 13: an unknown parameter"),
    "another spelling": (SERIES + "02:00,hr,70\n", "Parameter", "line 13: an unknown parameter"),
    "a minute too many": ("01:60,HR,70\n", "Time", "line 8: a time from 00:00 to 48:00"),
    "after the window": ("48:01,HR,70\n", "Time", "line 8: a time"),
    "before it": ("-1:00,HR,70\n", "Time", "line 8: a time"),
    "one digit": ("1:00,HR,70\n", "Time", "line 8: a time"),
    "no number": ("01:00,HR,70\n02:00,HR,seven\n", "Value", "line 9: a decimal number"),
    "NaN": ("01:00,HR,NaN\n", "Value", "line 8: a decimal number"),
    "infinite": ("01:00,HR,1e999\n", "Value", "line 8: a decimal number"),
    "a decimal comma": ("01:00,HR,70,5\n", None, "line 8 has not three fields"),
    "two fields": ("01:00,HR\n", None, "line 8 has not three fields"),
    "an empty line": ("01:00,HR,70\n\n02:00,HR,70\n", None, "line 9 has not three fields"),
    "an old Macintosh": ("01:00,HR,70\r02:00,HR,71\n", None, "line 8 has not three fields"),
    "two ages": ("00:00,Age,50\n", "Age", "2 lines instead of one"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_line_is_named(tmp_path: Path, name: str) -> None:
    series, field, text = BROKEN[name]
    texts = {str(number): record(number) for number in (9001, 9002, 9003)} | {"9003": record(9003, series)}
    error = refused(fill(tmp_path / "data", texts))
    assert (error.file, error.row, error.field) == ("set-a.tar.gz", 3, field)
    assert text in str(error)
    assert not any(word in str(error) for word in ("SAPS", "seven", "1e999", "70"))


WHOLE: dict[str, tuple[str | bytes, str]] = {
    "no header": (record(9001).split("\n", 1)[1], "the first line is not"),
    "empty": (b"", "the first line is not"),
    "other columns": (record(9001).replace("Time,", "Hour,"), "the first line is not"),
    "UTF-16": (record(9001).encode("utf-16"), "not UTF-8"),
    "Latin-1": (record(9001).encode() + "01:00,HR,70 ±\n".encode("latin-1"), "not UTF-8"),
    "another record": (record(9009), "the record of another file"),
    "no age": (record(9001).replace("00:00,Age,81\n", ""), "0 lines instead of one"),
    "no such unit": (record(9001, ICUType="5"), "an unknown type of unit"),
    "no unit": (record(9001, ICUType="-1"), "an unknown type of unit"),
    "far too large": (record(9001) + "01:00,HR,70\n" * 1_400_000, "too large"),
}


@pytest.mark.parametrize("form", ["tar.gz", "zip", "folder"])
@pytest.mark.parametrize("name", WHOLE)
def test_a_broken_record_is_named(tmp_path: Path, name: str, form: str) -> None:
    content, text = WHOLE[name]
    error = refused(fill(tmp_path / "data", {"9000": record(9000), "9001": content}, form))
    assert (error.file, error.row) == ("set-a" if form == "folder" else f"set-a.{form}", 2)
    assert text in str(error)


@pytest.mark.parametrize("form", ["tar.gz", "zip"])
@pytest.mark.parametrize("cut", [1, 9, 0.5])
def test_a_truncated_archive_is_refused(tmp_path: Path, form: str, cut: float) -> None:
    folder = fill(tmp_path / "data", {str(number): record(number) for number in range(9001, 9009)}, form)
    path = folder / f"set-a.{form}"
    content = path.read_bytes()
    path.write_bytes(content[: -int(cut)] if cut >= 1 else content[: int(len(content) * cut)])
    assert "unreadable, truncated or damaged" in str(refused(folder))


def test_a_wrong_checksum_behind_the_last_record_is_refused(tmp_path: Path) -> None:
    folder = fill(tmp_path / "data", two())
    path = folder / "set-a.tar.gz"
    content = bytearray(path.read_bytes())
    content[-8] ^= 1
    path.write_bytes(content)
    assert "unreadable, truncated or damaged" in str(refused(folder))


def test_what_is_no_record_is_passed_over_and_an_archive_without_any_is_refused(tmp_path: Path) -> None:
    folder = fill(tmp_path / "data", {"9001": record(9001), "readme": "Hello", "._9001": b"\0"}, outcomes=HEADER)
    assert read(folder).patients.identifier.tolist() == ["9001"]
    (folder / "set-a.tar.gz").write_bytes(tar({"readme": "Hello"}))
    assert "no record files" in str(refused(folder))
    (folder / "set-a.tar.gz").write_bytes(gzip.compress(b"no tar at all" * 100))
    assert "damaged" in str(refused(folder))


@pytest.mark.parametrize(
    ("rows", "row", "field", "text"),
    [("9001,6,1,5,-1,0\n9007,6,1,5,-1,0\n", 2, None, "an outcome without a record; set-a.tar.gz is incomplete"),
     ("9001,6,1,5,-1,0\n9001,6,1,5,-1,1\n", 2, "recordid", "the same key"),
     ("9001,6,1,5,-1,2\n", 1, "in-hospital_death", "an unknown value"),
     ("9001,6,1,5,0\n", 1, None, "5 fields instead of 6")],
)  # fmt: skip
def test_broken_outcomes_are_named(tmp_path: Path, rows: str, row: int, field: str | None, text: str) -> None:
    error = refused(fill(tmp_path / "data", two(), outcomes=HEADER + rows))
    assert (error.file, error.row, error.field) == ("Outcomes-a.txt", row, field)
    assert text.replace("the same key", "the same key as in row 1") in str(error)


def test_a_set_without_outcomes_or_with_other_columns_is_refused(tmp_path: Path) -> None:
    folder = fill(tmp_path / "data", two(), outcomes="RecordID,Length_of_stay\n9001,5\n")
    assert "required columns are missing: in-hospital_death" in str(refused(folder))
    (folder / "Outcomes-a.txt").unlink()
    assert "outcomes-a" in str(refused(folder))


@pytest.mark.parametrize("by", ["read", "sites"])
def test_no_set_at_all_is_refused(tmp_path: Path, by: str) -> None:
    with pytest.raises(DataError, match="neither set-a nor set-b nor set-c"):
        read(tmp_path) if by == "read" else physionet2012.sites(tmp_path, "unit")


def test_an_archive_s_folder_entries_and_links_are_no_records(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, kind in (("1.txt", tarfile.SYMTYPE), ("2.txt", tarfile.DIRTYPE), ("3.txt", tarfile.FIFOTYPE)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "/etc/passwd"
            archive.addfile(entry)
    (tmp_path / "set-a.tar.gz").write_bytes(packed.getvalue())
    assert list(archives.members(tmp_path / "set-a.tar.gz", re.compile(r"[0-9]\.txt"))) == []
