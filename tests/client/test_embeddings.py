"""Embeddings for trees: of this run and of these very rows, or none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from client.cohorts.cohort import Cohort
from client.embeddings import UNUSED_SECONDS, Embedding, Embeddings
from common.clinical.features import nothing
from common.crypto import keys
from common.crypto.at_rest import SiteKey
from common.crypto.files import is_encrypted
from common.exceptions import EncryptionError, ModelError

KEY = SiteKey(bytes(range(32)))
CHAIN = ("run-1", "0" * 64, "seen", 7, 0)
VALUES = np.array([[1.5, np.nan], [2.5, 4.5]], np.float32)
KEPT = Embedding("a" * 64, ("0", "Lung Lesion"), VALUES)


def test_what_was_kept_comes_back_to_another_process(tmp_path: Path) -> None:
    Embeddings(tmp_path, KEY).keep(CHAIN, KEPT)
    found = Embeddings(tmp_path, KEY).get(CHAIN, "a" * 64)
    assert (found.rows, found.columns) == (KEPT.rows, KEPT.columns)
    np.testing.assert_array_equal(found.values, VALUES)
    assert found.take(np.array([False, True])).values.tolist() == [[2.5, 4.5]]
    assert all(map(is_encrypted, tmp_path.iterdir()))


@pytest.mark.parametrize("place", range(len(CHAIN)))
def test_another_runs_stages_or_repetitions_embeddings_are_not_taken(tmp_path: Path, place: int) -> None:
    kept = Embeddings(tmp_path, KEY)
    kept.keep(CHAIN, KEPT)
    other = [*CHAIN[:place], "other", *CHAIN[place + 1 :]]
    with pytest.raises(ModelError, match="has not embedded its rows"):
        kept.get(other, "a" * 64)


def test_embeddings_of_other_rows_are_refused_in_any_process(tmp_path: Path) -> None:
    kept = Embeddings(tmp_path, KEY)
    kept.keep(CHAIN, KEPT)
    for one in (kept, Embeddings(tmp_path, KEY)):
        with pytest.raises(ModelError, match="rows have changed"):
            one.get(CHAIN, "b" * 64)


def test_a_file_in_the_place_of_another_does_not_open(tmp_path: Path) -> None:
    kept = Embeddings(tmp_path, KEY)
    kept.keep(CHAIN, KEPT)
    (first,) = tmp_path.iterdir()
    kept.keep(("run-2", *CHAIN[1:]), KEPT)
    (second,) = set(tmp_path.iterdir()) - {first}
    second.write_bytes(first.read_bytes())
    with pytest.raises(EncryptionError):
        Embeddings(tmp_path, KEY).get(("run-2", *CHAIN[1:]), "a" * 64)
    with pytest.raises(EncryptionError):
        Embeddings(tmp_path, keys.temporary()).get(CHAIN, "a" * 64)


def test_those_of_runs_that_are_over_go(tmp_path: Path) -> None:
    kept = Embeddings(tmp_path, KEY)
    kept.keep(CHAIN, KEPT)
    written = next(tmp_path.iterdir()).stat().st_mtime
    kept.remove_unused(written + UNUSED_SECONDS - 1)
    assert list(tmp_path.iterdir())
    kept.remove_unused(written + UNUSED_SECONDS + 1)
    assert not list(tmp_path.iterdir())


def cohort(patients: list[str], hours: list[float], digest: str = "0" * 64) -> Cohort:
    labels = np.zeros((len(patients), 1), np.int8)
    return Cohort(np.array(patients), np.array(hours), labels, ("death",), nothing(len(patients)), {}, {}, digest, True)


def test_rows_are_told_apart_by_whose_they_are_when_and_in_which_order() -> None:
    one = cohort(["a", "b", "b"], [1.0, 2.0, np.nan])
    assert one.rows_digest == cohort(["a", "b", "b"], [1.0, 2.0, np.nan]).rows_digest
    others = [
        cohort(["b", "a", "b"], [1.0, 2.0, np.nan]),
        cohort(["a", "b", "b"], [2.0, 1.0, np.nan]),
        cohort(["a", "b"], [1.0, 2.0]),
        cohort(["a", "b", "b"], [1.0, 2.0, np.nan], "1" * 64),
        replace(one, patients=np.array(["ab", "b", ""])),
    ]
    assert len({one.rows_digest, *(other.rows_digest for other in others)}) == 6
