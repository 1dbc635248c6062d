"""Which of a row's films a model looks at."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from client.cohorts.modalities import Films

FRONTAL = ("AP", "PA")
"""From the less to the more preferred: posteroanterior films are taken standing, at a distance that distorts less."""
Choice = Literal["last", "first", "all"]


def choose(films: Films, choice: Choice) -> Films:
    """Keep frontal films: all of a row's, or one of its last or first examination.

    Of an examination (films of one time) a posteroanterior film is preferred; of several, the one nearest
    to that end of the row's films.

    Parameters
    ----------
    films : Films
        Each row's films oldest first.
    choice : {"last", "first", "all"}

    Returns
    -------
    Films
        Rows without a frontal film have none.
    """
    frontal = np.isin(films.view, FRONTAL)
    before = np.concatenate([[0], np.cumsum(frontal)])
    kept = replace(
        films,
        first=before[films.first],
        last=before[films.last],
        **{name: getattr(films, name)[frontal] for name in ("path", "view", "time", "row")},
    )
    if choice == "all" or not frontal.any():
        return kept
    present = kept.present
    chosen = np.where(present, _best(kept, -1 if choice == "last" else 1), 0)
    return replace(kept, first=chosen, last=chosen + present)


def _best(films: Films, step: Literal[-1, 1]) -> NDArray[np.int64]:
    """Walk from one end of each row's films through its examination; any position for a row without films."""
    preference = np.array([FRONTAL.index(view) for view in films.view.tolist()])
    ends = (films.last - 1, films.first) if step == -1 else (films.first, films.last - 1)
    end, limit = (np.clip(edge, 0, len(preference) - 1) for edge in ends)
    best, at, going = end, end, films.present
    while going.any():
        going = going & (at != limit)
        at = np.where(going, at + step, at)
        going = going & (films.time[at] == films.time[end])
        best = np.where(going & (preference[at] > preference[best]), at, best)
    return best
