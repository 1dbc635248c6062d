"""The file layouts that SYNTHETIC hospitals can have, named after the data source that reads them."""

from __future__ import annotations

from pathlib import Path

from common.exceptions import PlanError
from common.plan_tables import Synthetic
from simulations.synthetic import eicu_layout, mimic_layout

LAYOUTS = ("eicu", "mimic_iv", "mimic_cxr")


def generate(source: str, synthetic: Synthetic, folder: Path) -> None:
    """Write synthetic hospitals: all into one folder for eicu, each into its own below it for the others.

    Parameters
    ----------
    source : str
        Data source that is to read them.
    synthetic : Synthetic
        How many of what size; a stay is an admission where the source thinks in these.
    folder : Path

    Raises
    ------
    PlanError
        There are no synthetic hospitals for this source, or they cannot shift.
    """
    if source not in LAYOUTS:
        raise PlanError(f"key 'data.synthetic': none for source '{source}', only for {', '.join(LAYOUTS)}")
    size = synthetic.hospitals, synthetic.stays_per_hospital, synthetic.seed
    if source != "eicu":
        mimic_layout.generate(*size, folder, films=source == "mimic_cxr", shift=synthetic.shift)
    elif synthetic.shift:
        raise PlanError("key 'data.synthetic.shift': hospitals of source 'eicu' differ in any case, nothing shifts")
    else:
        eicu_layout.generate(*size, folder)
