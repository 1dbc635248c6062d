"""What a file system does or lacks changes nothing of what appears, and who writes takes nothing of others along."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from client.predicting import appearing, writing
from common.exceptions import ConfigurationError

ROOT = Path(__file__).parents[3]
COLUMNS = {"patient": np.array(["a", "b"]), "hours": np.array([1.5, np.nan])}
TEXT = "patient,hours\na,1.5\nb,\n"


def refusing(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Let files without a name be refused."""
    opened = os.open

    def refuse(path: Any, flags: int, *others: Any, **named: Any) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(code, os.strerror(code))
        return opened(path, flags, *others, **named)

    monkeypatch.setattr(os, "open", refuse)


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT])
def test_where_there_are_no_nameless_files_one_with_a_name_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    refusing(monkeypatch, code)
    writing.write(tmp_path / "scores.csv", COLUMNS)
    assert (tmp_path / "scores.csv").read_text() == TEXT
    assert len(list(tmp_path.iterdir())) == 1


def test_other_refusals_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(monkeypatch, errno.EACCES)
    with pytest.raises(ConfigurationError, match="cannot be written: Permission denied; write to another"):
        writing.write(tmp_path / "scores.csv", COLUMNS)


@pytest.mark.usefixtures("how")
def test_it_appears_once_it_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done, flush, link = list[str](), os.fsync, os.link

    def flushed(descriptor: int) -> None:
        flush(descriptor)
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")

    def linked(*given: Any, **named: Any) -> None:
        link(*given, **named)
        done.append("appears")

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(os, "link", linked)
    writing.write(tmp_path / "scores.csv", COLUMNS)
    assert done == ["file", "appears", "folder"]


def test_nobody_else_can_read_it_while_it_is_written(tmp_path: Path, how: str) -> None:
    before = os.umask(0)
    try:
        with appearing.appearing(tmp_path / "scores.csv") as place:
            place.write_text("a")
            guarded = place.resolve() if how == "unnamed" else place.parent
            mode = place.stat().st_mode if how == "unnamed" else guarded.stat().st_mode
            assert mode & 0o077 == 0
    finally:
        os.umask(before)


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.usefixtures("how")
def test_no_descriptor_is_left_and_of_a_failure_nothing(tmp_path: Path, fails: bool) -> None:
    def write() -> None:
        with appearing.appearing(tmp_path / "scores.csv") as place:
            place.write_text("a")
            if fails:
                raise ZeroDivisionError

    before = len(list(Path("/proc/self/fd").iterdir()))
    if fails:
        with pytest.raises(ZeroDivisionError):
            write()
    else:
        write()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert [one.name for one in tmp_path.iterdir()] == ([] if fails else ["scores.csv"])


def left(folder: Path, name: str, *files: str) -> Path:
    there = folder / f"{appearing.LEFT}{name}"
    there.mkdir()
    for file in files:
        (there / file).write_text("x")
    return there


def test_what_only_bears_such_a_name_stays(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "predictions").write_text("mine")
    (tmp_path / f"{appearing.LEFT}link").symlink_to(kept)
    (tmp_path / f"{appearing.LEFT}file").write_text("mine")
    os.mkfifo(tmp_path / f"{appearing.LEFT}pipe")  # to open it is to wait for whoever writes
    left(tmp_path, "theirs", "data", "notes")
    before = sorted(tmp_path.rglob("*"))
    for name, files in (("empty", ()), ("full", ("predictions",))):
        left(tmp_path, name, *files)
    open_before = len(list(Path("/proc/self/fd").iterdir()))
    appearing.clean(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before
    assert (kept / "predictions").read_text() == "mine"
    assert len(list(Path("/proc/self/fd").iterdir())) == open_before


def test_a_file_that_comes_and_goes_meanwhile_is_no_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(*_: Any, **__: Any) -> None:
        raise FileExistsError

    monkeypatch.setattr(os, "link", taken)
    with pytest.raises(ConfigurationError, match="is there already"):
        writing.write(tmp_path / "scores.csv", COLUMNS)


@pytest.mark.usefixtures("how")
def test_a_file_system_without_links_is_said_before_anything_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    with pytest.raises(ConfigurationError, match="cannot be written: Operation not permitted; write to another folder"):
        writing.write(tmp_path / "scores.csv", COLUMNS)
    assert list(tmp_path.iterdir()) == []


def nothing(path: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("name", "before", "why"),
    [
        ("scores.txt", nothing, "predictions are written as .csv or .parquet"),
        ("scores.csv", Path.touch, "is there already"),
        ("scores.csv", lambda path: path.symlink_to("nowhere"), "is there already"),
        ("none/scores.csv", nothing, "there is no folder"),
    ],
)
def test_what_cannot_be_written_is_refused_beforehand(
    tmp_path: Path, name: str, before: Callable[[Path], None], why: str
) -> None:
    writing.require_free(tmp_path / "control.csv")
    before(tmp_path / name)
    with pytest.raises(ConfigurationError, match=why):
        writing.require_free(tmp_path / name)


@pytest.mark.usefixtures("how")
def test_any_folder_will_do_and_nothing_is_spilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect, aside = duckdb.connect, list[str]()

    def connected(*given: Any, **named: Any) -> Any:
        made = connect(*given, **named)
        aside.append(made.sql("SELECT current_setting('temp_directory')").fetchall()[0][0])
        return made

    monkeypatch.setattr(duckdb, "connect", connected)
    folder = tmp_path / "l'hôpital"
    folder.mkdir()
    writing.write(folder / "it's.parquet", COLUMNS)
    assert aside == [""]
    with connect() as connection:
        file = str(folder / "it's.parquet").replace("'", "''")
        assert connection.sql(f"SELECT * FROM '{file}'").fetchall() == [("a", 1.5), ("b", None)]


WRITING = """
import resource, sys
from pathlib import Path
import numpy as np
from client.predicting import appearing, writing
from common.exceptions import DataError

if sys.argv[2] == "named":
    appearing._unnamed = lambda folder: None
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    writing.write(Path(sys.argv[1]), {"patient": np.array([f"person-{n * 7919 % 99991}" for n in range(100_000)])})
except DataError as error:
    print(error)
"""


@pytest.mark.parametrize("ending", writing.ENDINGS)
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, ending: str, how: str) -> None:
    command = [sys.executable, "-c", WRITING, str(tmp_path / f"scores{ending}"), how]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    assert told == f"scores{ending}: the disk is full; free some space for {tmp_path}, or write to another one\n"
    assert list(tmp_path.iterdir()) == []
