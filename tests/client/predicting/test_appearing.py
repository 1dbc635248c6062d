"""A command killed while it writes predictions leaves nothing of them in clear."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from client.predicting import writing
from common.exceptions import ConfigurationError

CANARY = "Anna-Karenina-1877"
COLUMNS = {"patient": np.array([CANARY, "b"]), "hours": np.array([1.5, np.nan])}
KILLED = """
import sys, time
from pathlib import Path
from client.predicting import appearing
if sys.argv[2] == "named":
    appearing._unnamed = lambda folder: None
with appearing.appearing(Path(sys.argv[1])) as place:
    with place.open("w") as file:
        file.write("{canary}" * 1000)
        file.flush()
        print("written", flush=True)
        time.sleep(60)
"""


def start(path: Path, how: str) -> subprocess.Popen[str]:
    """Start a process that stands in the middle of writing."""
    code = KILLED.replace("{canary}", CANARY)
    process = subprocess.Popen([sys.executable, "-c", code, str(path), how], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()
    if process.stdout:
        process.stdout.close()


def in_clear(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file() and CANARY.encode() in file.read_bytes()]


def test_killed_while_it_writes_it_leaves_nothing(tmp_path: Path) -> None:
    process = start(tmp_path / "scores.csv", "unnamed")
    assert list(tmp_path.iterdir()) == []
    kill(process)
    assert list(tmp_path.iterdir()) == []


def test_without_nameless_files_the_next_start_removes_what_is_left(tmp_path: Path) -> None:
    process = start(tmp_path / "scores.csv", "named")
    writing.require_free(tmp_path / "other.csv")
    assert len(in_clear(tmp_path)) == 1, "what a living process writes to stays"
    kill(process)
    assert len(in_clear(tmp_path)) == 1, "control: this is what a kill leaves"
    writing.require_free(tmp_path / "other.csv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", writing.ENDINGS)
@pytest.mark.usefixtures("how")
def test_the_file_is_its_owners_and_alone(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"scores{ending}"
    before = os.umask(0)
    try:
        writing.write(path, COLUMNS)
    finally:
        os.umask(before)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_nlink == 1
    if ending == ".csv":
        assert path.read_text() == f"patient,hours\n{CANARY},1.5\nb,\n"
    else:
        import duckdb

        with duckdb.connect() as connection:
            assert connection.sql(f"SELECT * FROM '{path}'").fetchall() == [(CANARY, 1.5), ("b", None)]


@pytest.mark.usefixtures("how")
def test_nothing_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("mine")
    with pytest.raises(ConfigurationError, match="never written over"):
        writing.write(path, COLUMNS)
    assert path.read_text() == "mine"
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
