"""Sputum cultures of MIMIC-IV: specimens of the microbiology laboratory."""

from __future__ import annotations

import numpy as np

from client.datasets.reading.csv import Tables
from client.datasets.reading.events import Events
from client.datasets.reading.mimic_measurements import Whereabouts
from client.datasets.reading.moments import seconds
from client.datasets.reading.placing import VARIABLES, Placed
from common.clinical.records import NONE

VARIABLE = "sputum_culture"


TABLE = "microbiologyevents"


def specimens(hosp: Tables, whereabouts: Whereabouts) -> list[Placed]:
    """Read the table microbiologyevents, where it is there.

    A culture counts when its specimen was taken, which is known then; what grew is known later. One of which
    only the day is known is left out.

    Raises
    ------
    DataError
        When the table is not as documented.
    """
    if not hosp.has(TABLE):
        return []
    rows = hosp.read(TABLE, ["subject_id", "hadm_id", "charttime"], where=("spec_type_desc", ["SPUTUM"]))
    rows.require_filled("subject_id")
    taken = seconds(rows, "charttime")
    rows, taken = rows.take(~np.isnan(taken)), taken[~np.isnan(taken)]
    admission = rows.measure("hadm_id")
    events = Events(
        person=rows.measure("subject_id").astype(np.int64),
        admission=np.where(np.isnan(admission), NONE, admission).astype(np.int64),
        seconds=taken.astype(np.int64),
        item=np.zeros(len(taken), np.int16),
        value=np.ones(len(taken), np.float32),
    )
    # A specimen has a row for everything that grew.
    place = whereabouts.rows(events, rows.file)
    moments = np.unique(np.stack([place, events.seconds])[:, place != NONE], axis=1)
    variable = np.full(moments.shape[1], VARIABLES.index(VARIABLE), np.int16)
    return [Placed(moments[0].astype(np.int32), moments[1], variable, np.ones(len(variable), np.float32))]
