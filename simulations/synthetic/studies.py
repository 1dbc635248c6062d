"""When SYNTHETIC patients have films taken, and how much of each sign the films show."""

from __future__ import annotations

import numpy as np

from common.seeding import generator
from simulations.synthetic.writing import Columns

FILMED = 0.85
"""Share of admissions with a film."""
HOUR, DAY = 3600, 86_400
ACUTE = ("fluid_right", "fluid_left", "consolidation", "congestion")
"""Signs that change from film to film; all others stay."""


def take(rows: Columns, number: int, seed: int) -> Columns:
    """Draw an admission's films: one on arrival, more in intensive care.

    Parameters
    ----------
    rows : dict of str to ndarray
        The admissions of :func:`simulations.synthetic.admissions.simulate`.
    number : int
        Of the hospital.
    seed : int

    Returns
    -------
    dict of str to ndarray, shape (films,)
        "owner" the admission's row, "time" seconds since 1970, "lying", "study", and "sign <name>".
    """
    rng = generator(seed, "synthetic", "films", number)
    size = len(rows["who"])
    intensive = rows["unit start"] >= 0
    films = np.where(rng.random(size) < FILMED, 1 + rng.poisson(np.where(intensive, 0.8, 0.15)), 0)
    owner = np.repeat(np.arange(size), films)
    nth = np.arange(len(owner)) - np.repeat(np.cumsum(films) - films, films)
    arrival = rng.integers(-6 * HOUR, 8 * HOUR, len(owner))
    time = rows["start"][owner] + arrival + nth * DAY + rng.integers(0, 6 * HOUR, len(owner)) * (nth > 0)
    # Nobody is filmed after discharge; the first film may lie before admission.
    kept = (time < rows["end"][owner]) | (nth == 0)
    owner, nth, time = owner[kept], nth[kept], np.minimum(time, rows["end"][owner] - 1)[kept]
    signs = {name: values[owner] for name, values in rows.items() if name.startswith("sign ")}
    for name in ACUTE:
        signs[f"sign {name}"] = signs[f"sign {name}"] * np.exp(rng.normal(0, 0.25, len(owner)) - 0.1 * nth)
    weak = (rows["severity"][owner] > 0.9) | (signs["sign tubes"] > 0)
    lying = np.where(intensive[owner] & (nth > 0) | weak, rng.random(len(owner)) < 0.85, rng.random(len(owner)) < 0.2)
    # The tube is in from the admission to intensive care on.
    signs["sign tubes"] = signs["sign tubes"] * (intensive[owner] & (time > rows["unit start"][owner]))
    study = 5 * 10**9 + number * 10**6 + np.arange(len(owner)) + 1
    return {"owner": owner, "time": time, "lying": lying, "study": study, **signs}
