"""A fact is kept once and comes back as it was; a checkpoint that cannot be trusted is not used."""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from pydantic import BaseModel

from common.exceptions import CheckpointError
from server.checkpoints import Checkpoint


class Fact(BaseModel):
    number: float
    trees: tuple[str, ...] = ()


FACT = Fact(number=0.1 + 0.2, trees=("ä", "b" * 1000))


def reopened(folder: Path, key: str) -> Fact | None:
    with Checkpoint(folder, "plan") as checkpoint:
        return checkpoint.recall(key, Fact)


@contextmanager
def file_of(folder: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(folder / "checkpoint.sqlite")) as connection, connection:
        yield connection


def test_a_fact_comes_back_exactly(tmp_path):
    with Checkpoint(tmp_path, "plan") as checkpoint:
        assert checkpoint.recall("round 1", Fact) is None
        checkpoint.keep("round 1", FACT)
        assert checkpoint.recall("round 1", Fact) == FACT
        assert not checkpoint.resumed
    assert reopened(tmp_path, "round 1") == FACT
    with Checkpoint(tmp_path, "plan") as checkpoint:
        assert checkpoint.resumed


def test_a_fact_is_never_changed(tmp_path):
    with Checkpoint(tmp_path, "plan") as checkpoint:
        checkpoint.keep("round 1", FACT)
        with pytest.raises(CheckpointError, match="entry 'round 1' cannot be written"):
            checkpoint.keep("round 1", Fact(number=2))
        assert checkpoint.recall("round 1", Fact) == FACT


def test_another_plan_is_refused_and_lets_the_right_one_in(tmp_path):
    Checkpoint(tmp_path, "plan").close()
    with pytest.raises(CheckpointError, match="began with another plan"):
        Checkpoint(tmp_path, "other")
    Checkpoint(tmp_path, "plan").close()


HOLDER = """
import sys
from pathlib import Path
from server.checkpoints import Checkpoint
held = Checkpoint(Path(sys.argv[1]), "plan")
print("held", flush=True)
sys.stdin.read()
"""


def test_one_process_at_a_time_and_a_killed_one_lets_go(tmp_path):
    held = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with held:
        assert held.stdout is not None
        assert held.stdout.readline() == "held\n"
        with pytest.raises(CheckpointError, match=f"run {tmp_path.name} is in use by another process"):
            Checkpoint(tmp_path, "plan")
        held.kill()
        held.wait()
        with Checkpoint(tmp_path, "plan") as checkpoint:
            assert checkpoint.resumed


@pytest.mark.parametrize("damaged", [b'{"number":"many"}', b'{"number":1,', b"\xff", b""])
def test_a_damaged_entry_is_named(tmp_path, damaged):
    with Checkpoint(tmp_path, "plan") as checkpoint:
        checkpoint.keep("round 1", FACT)
    with file_of(tmp_path) as file:
        file.execute("UPDATE facts SET fact = ? WHERE key = 'round 1'", (damaged,))
    with pytest.raises(CheckpointError, match="entry 'round 1' is damaged or of another version"):
        reopened(tmp_path, "round 1")


def test_a_file_that_is_no_checkpoint_is_refused_and_the_run_not_held(tmp_path):
    (tmp_path / "checkpoint.sqlite").write_bytes(b"no database at all, but long enough to look at" * 20)
    for _ in range(2):
        with pytest.raises(CheckpointError, match="cannot be used as a checkpoint"):
            Checkpoint(tmp_path, "plan")
    (tmp_path / "checkpoint.sqlite").unlink()
    Checkpoint(tmp_path, "plan").close()


def test_a_table_that_lost_its_columns_is_refused(tmp_path):
    with file_of(tmp_path) as file:
        file.execute("CREATE TABLE facts (other TEXT)")
    with pytest.raises(CheckpointError, match="entry 'plan' cannot be read"):
        Checkpoint(tmp_path, "plan")


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="cannot hold a run"):
        Checkpoint(tmp_path / "nowhere", "plan")


def test_a_full_disk_is_an_error_and_what_was_kept_stays(tmp_path):
    """A limit on the size of files stands for the full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Checkpoint(tmp_path, "plan") as checkpoint:
        checkpoint.keep("round 1", FACT)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
        try:
            with pytest.raises(CheckpointError, match="entry 'round 2' cannot be written"):
                checkpoint.keep("round 2", Fact(number=1, trees=("c" * 200_000,)))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert reopened(tmp_path, "round 1") == FACT
    assert reopened(tmp_path, "round 2") is None
