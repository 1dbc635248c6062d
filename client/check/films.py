"""Which films can be used: those the source refuses already, and those whose pixels cannot be decoded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from client.datasets.reading import progress
from common.clinical.records import Images

DECODED = 500
"""Films decoded to see whether they can be; evenly drawn from more."""
VOLUMES = (".nii", ".nii.gz")
_WORKERS = 2
_AT_ONCE = 25


@dataclass(frozen=True)
class Films:
    """What became of the listed films.

    Attributes
    ----------
    listed, kept : int
        Films the source lists, and those of them it does not refuse.
    refused : mapping of str to tuple of int
        Why not, and the rows of those.
    decoded : int
        Films whose pixels were looked at.
    broken : mapping of str to tuple of int
        Why some of these cannot be used, and their rows.
    views : mapping of str to int
        Kept films by projection, "" unknown; the most frequent first.
    """

    listed: int
    kept: int
    refused: Mapping[str, tuple[int, ...]]
    decoded: int
    broken: Mapping[str, tuple[int, ...]]
    views: Mapping[str, int]


def look(images: Images, folder: Path) -> Films:
    """Decode some of the films, evenly drawn; a volume's header was judged by its source."""
    films = np.flatnonzero([not path.lower().endswith(VOLUMES) for path in images.path.tolist()])
    drawn = films[np.unique(np.linspace(0, len(films) - 1, min(len(films), DECODED)).round().astype(np.int64))]
    return Films(
        listed=len(images) + sum(map(len, images.refused.values())),
        kept=len(images),
        refused=dict(images.refused),
        decoded=len(drawn),
        broken=_broken(images, drawn, folder),
        views=dict(Counter(images.view.tolist()).most_common()),
    )


def _broken(images: Images, drawn: NDArray[np.int64], folder: Path) -> dict[str, tuple[int, ...]]:
    from client.preprocessing.images import unreadable

    told = progress.current()
    broken: dict[str, tuple[int, ...]] = {}
    for begin in range(0, len(drawn), _AT_ONCE):
        part = drawn[begin : begin + _AT_ONCE]
        for error in unreadable(folder, images.path[part], images.row[part], workers=_WORKERS):
            broken[error.reason] = (*broken.get(error.reason, ()), *((error.row,) if error.row else ()))
        told("films", begin + len(part), len(drawn))
    return broken
