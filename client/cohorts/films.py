"""Which of a row's films a model looks at."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from client.cohorts.modalities import Films
from common.clinical.films import STANDING

Choice = Literal["last", "first", "all"]


def choose(films: Films, choice: Choice) -> Films:
    """Keep all of a row's films, or one of its last or first examination.

    Of an examination (films of one time) a posteroanterior film is preferred; of several, the one nearest
    to that end of the row's films.

    Parameters
    ----------
    films : Films
        Each row's films oldest first; :func:`client.cohorts.assembling.assemble` takes frontal ones alone.
    choice : {"last", "first", "all"}
    """
    if choice == "all" or not films.present.any():
        return films
    chosen = np.where(films.present, _best(films, -1 if choice == "last" else 1), 0)
    return replace(films, first=chosen, last=chosen + films.present)


def _best(films: Films, step: Literal[-1, 1]) -> NDArray[np.int64]:
    """Walk from one end of each row's films through its examination; any position for a row without films."""
    preferred = films.view == STANDING
    ends = (films.last - 1, films.first) if step == -1 else (films.first, films.last - 1)
    end, limit = (np.clip(edge, 0, len(preferred) - 1) for edge in ends)
    best, at, going = end, end, films.present
    while going.any():
        going = going & (at != limit)
        at = np.where(going, at + step, at)
        going = going & (films.time[at] == films.time[end])
        best = np.where(going & (preferred[at] > preferred[best]), at, best)
    return best
