"""Shards are computed once, in no clear text, and survive a kill between two of them."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from client.features.shelf import Kept, Shelf
from common.crypto.at_rest import SiteKey
from common.crypto.files import is_encrypted

KEY = SiteKey(bytes(range(32)))
CANARY = b"canary of patient 4711, 32 bytes"


def never() -> Kept:
    raise AssertionError("computed again")


def canary() -> Kept:
    return Kept(np.frombuffer(CANARY, np.float32)[None], np.array([True]))


def test_what_is_there_is_not_computed_again(tmp_path: Path) -> None:
    Shelf(tmp_path, KEY).get(["a", 1], canary)
    found = Shelf(tmp_path, KEY).get(["a", 1], never)
    assert found.values.tobytes() == CANARY
    assert found.present.tolist() == [True]


def test_another_dependence_is_another_shard(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, KEY)
    shelf.get(["a", 1], canary)
    with pytest.raises(AssertionError, match="computed again"):
        shelf.get(["a", 2], never)


def test_a_canary_is_nowhere_in_clear(tmp_path: Path) -> None:
    Shelf(tmp_path, KEY).get(["a"], canary)
    (file,) = tmp_path.iterdir()
    assert is_encrypted(file)
    assert CANARY not in file.read_bytes()
    (tmp_path / "clear").write_bytes(CANARY)  # the search finds what is there
    assert [CANARY in one.read_bytes() for one in (file, tmp_path / "clear")] == [False, True]


def test_a_changed_shard_or_another_key_is_told_and_computed_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Shelf(tmp_path, KEY).get(["a"], canary)
    (file,) = tmp_path.iterdir()
    content = bytearray(file.read_bytes())
    content[-20] ^= 1
    file.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert Shelf(tmp_path, KEY).get(["a"], canary).values.tobytes() == CANARY
        assert Shelf(tmp_path, SiteKey(bytes(32))).get(["a"], canary).values.tobytes() == CANARY
    assert [record.message for record in caplog.records] == [
        "a shard of derived data does not open and is computed again"
    ] * 2


_KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from client.features.shelf import Kept, Shelf
from common.crypto.at_rest import SiteKey
shelf = Shelf(Path(sys.argv[1]), SiteKey(bytes(range(32))))
for number in range(5):
    def make():
        if number == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return Kept(np.full((2, 4), number, np.float32), np.array([True, False]))
    shelf.get(["shard", number], make)
"""


def test_after_a_kill_only_what_was_not_finished_is_computed(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path)], check=False)
    assert ended.returncode == -9
    made: list[int] = []

    def make(number: int) -> Kept:
        made.append(number)
        return Kept(np.full((2, 4), number, np.float32), np.array([True, False]))

    shelf = Shelf(tmp_path, KEY)
    found = [shelf.get(["shard", number], lambda number=number: make(number)) for number in range(5)]  # type: ignore[misc]
    assert made == [3, 4]
    assert [one.values[0, 0] for one in found] == [0, 1, 2, 3, 4]
