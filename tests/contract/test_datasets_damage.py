"""Damaged data of every source: a typed error that names nobody, or valid records; never anything else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.clinical.records import Records
from common.exceptions import DataError
from tests.contract.checking import check, names_somebody


def moved(content: bytes) -> bytes:
    """Move the cells of the last line by one column, so that identifiers stand where numbers are expected."""
    before, line, cells = content.rstrip(b"\n").rpartition(b"\n")
    others, comma, last = cells.rpartition(b",")
    return before + line + last + comma + others + b"\n"


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "half": lambda content: content[: len(content) // 2],
    "noise": lambda content: np.random.default_rng(len(content)).bytes(200),
    "a line twice": lambda content: content + content.rstrip(b"\n").rpartition(b"\n")[2] + b"\n",
    "letters for digits": lambda content: re.sub(rb"[0-9]", b"x", content),
    "cells moved": moved,
    "other signs": lambda content: re.sub(rb"[-.:]", b"?", content),
    "letters at the end of a line": lambda content: re.sub(rb"[0-9](?=[^0-9\n]*\n?$)", b"x", content),
}


def told(error: BaseException) -> str:
    """All that a traceback prints of an error and of what it came from."""
    texts = []
    following: BaseException | None = error
    while following is not None:
        texts += [str(following), repr(following)]
        following = following.__cause__ or (None if following.__suppress_context__ else following.__context__)
    return "\n".join(texts)


def test_a_folder_without_data_is_refused(source: Any, read: Callable[..., Records], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "missing"):
        with pytest.raises(DataError):
            read(folder)


def test_a_folder_of_noise_is_refused(source: Any, read: Callable[..., Records], copy: Path) -> None:
    for path in files(copy):
        path.write_bytes(DAMAGE["noise"](path.read_bytes()))
    with pytest.raises(DataError) as refusal:
        read(copy)
    assert not names_somebody(told(refusal.value), source, [])


def files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def refused(read: Callable[..., Records], folder: Path) -> DataError | None:
    """Return why a folder is not read; one that is read yields valid records."""
    try:
        check(read(folder), folder)
    except DataError as error:
        return error
    return None


@pytest.mark.parametrize("damage", list(DAMAGE))
def test_a_damaged_file_gives_a_typed_error_or_valid_records_and_names_nobody(
    source: Any, read: Callable[..., Records], copy: Path, damage: str
) -> None:
    people = read().patients.identifier.tolist()
    every, turn = list(files(copy)), list(DAMAGE).index(damage)
    step = max(1, len(every) // 4)  # some files a kind of damage, other ones for the next kind
    for path in every[turn % step :: step]:
        content = path.read_bytes()
        path.write_bytes(DAMAGE[damage](content))
        refusal = refused(read, copy)
        assert refusal is None or not names_somebody(told(refusal), source, people), (path.name, damage)
        path.write_bytes(content)
