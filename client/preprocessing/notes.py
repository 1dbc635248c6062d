"""Notes as numbers: how often each clinical concept is mentioned and how, and hashed words and word pairs.

Nothing is fitted, nothing is downloaded, and no text is kept. But a hash hides no word from whoever
tries words: hashed notes are as confidential as notes, and stay at the site as they do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client.cohorts.modalities import Texts
from client.preprocessing.mentions import STATUSES, concepts, mentions
from client.preprocessing.note_reading import sentences
from common.clinical.features import Features

_REMEMBERED = 2**18
"""Hashes kept while notes are read; words repeat."""

Cells = Callable[[str], Iterable[int]]


def term_counts(notes: Texts) -> Features:
    """Count the mentions of every concept of `common/codes/note_vocabulary.json` by status.

    Parameters
    ----------
    notes : Texts
        Of n rows.

    Returns
    -------
    Features
        (n, 4 c), named ``note_concept_status``, over all notes of a row; NaN where it has none.
    """
    names = tuple(f"note_{concept}_{status}" for concept in concepts() for status in STATUSES)
    column = {name: place for place, name in enumerate(names)}

    def cells(text: str) -> Iterable[int]:
        return (column[f"note_{concept}_{status}"] for concept, status in mentions(text))

    values: NDArray[np.float32] = _by_row(notes, cells, len(names)).toarray()
    values[~notes.present] = np.nan
    return Features(values, names, ("",) * len(names))


def hashed(notes: Texts, size: int = 2**14, longest: int = 2) -> Any:
    """Hash the words of each row's notes, and the sequences of words within a sentence, into a vector.

    Parameters
    ----------
    notes : Texts
        Of n rows.
    size : int
        Length of the vector; the same at all sites.
    longest : int
        Most words in a sequence.

    Returns
    -------
    (n, size) scipy.sparse.csr_array of float32
        Of unit length (l2), or zero where a row has no word. A number counts as the word "0".

    Notes
    -----
    Signed feature hashing (Weinberger et al., ICML 2009): the 64-bit BLAKE2b hash of the words with a space between
    gives the place (all bits but the lowest, modulo size) and the sign (the lowest: 1 is plus).
    """

    @lru_cache(_REMEMBERED)
    def cell(words: str) -> int:
        place, plus = divmod(int.from_bytes(blake2b(words.encode(), digest_size=8).digest(), "big"), 2)
        return 2 * (place % size) + plus

    def cells(text: str) -> list[int]:
        found: list[int] = []
        for _, words in sentences(text):
            found.extend(map(cell, words))
            for length in range(2, longest + 1):
                sequences = zip(*(words[start:] for start in range(length)), strict=False)
                found.extend(map(cell, map(" ".join, sequences)))
        return found

    counts = _by_row(notes, cells, 2 * size)
    signed = counts[:, 1::2] - counts[:, ::2]
    signed.eliminate_zeros()
    norm = np.sqrt(signed.multiply(signed).sum(axis=1))  # rows without cells take no part in the division
    signed.data /= np.repeat(norm, np.diff(signed.indptr))
    return signed


def _by_row(notes: Texts, cells: Cells, width: int) -> Any:
    """Read each note once and add up the cells of a row's notes; (n, width) csr_array of float32, whole numbers."""
    from scipy.sparse import csr_array

    row, item = notes.items()
    used, position = np.unique(item, return_inverse=True)
    columns, counts = [np.empty(0, np.int32)], [np.empty(0, np.int64)]
    for text in notes.text[used]:
        column, count = np.unique(np.fromiter(cells(str(text)), np.int32), return_counts=True)
        columns.append(column)
        counts.append(count)
    offsets = np.cumsum([len(column) for column in columns])
    data = np.concatenate(counts).astype(np.float32)
    each = csr_array((data, np.concatenate(columns), offsets), shape=(len(used), width))
    owned = csr_array((np.ones(len(row), np.float32), (row, position)), shape=(len(notes.first), len(used)))
    return owned @ each
