"""Notes about SYNTHETIC admissions, in the tables of MIMIC-IV-Note."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulations.synthetic.chest_diseases import CHEST_DISEASES
from simulations.synthetic.chest_notes import discharge_summary, film_report
from simulations.synthetic.diagnosis_codes import CODES
from simulations.synthetic.writing import Columns, moments

HOUR, DAY = 3600, 86_400


def radiology(
    rng: np.random.Generator, rows: Columns, taken: Columns, complaint: NDArray[Any]
) -> tuple[Columns, list[dict[str, int]]]:
    """Report every film; return the notes, and the findings that they state."""
    texts, findings = [], []
    signs = {name.removeprefix("sign "): values.tolist() for name, values in taken.items() if name.startswith("sign ")}
    for film, owner in enumerate(taken["owner"].tolist()):
        text, found = film_report(
            rng,
            {name: values[film] for name, values in signs.items()},
            view="AP" if taken["lying"][film] else "PA",
            age=int(rows["age"][owner]),
            male=bool(rows["male"][owner]),
            complaint=str(complaint[owner]),
        )
        texts.append(text)
        findings.append(found)
    return _notes(rows, taken["owner"], "RR", taken["time"], taken["time"] + 3600, texts), findings


def discharge(rows: Columns, complaint: NDArray[Any]) -> Columns:
    """Summarise every admission the day after its end."""
    texts = []
    for row in range(len(rows["hadm"])):
        there = [name for name in CODES if rows[f"coded {name}"][row]]
        late = int(rows["version"][row])
        denied = [CODES[name][late][0][1] for name in CHEST_DISEASES if name not in there]
        texts.append(
            discharge_summary(
                male=bool(rows["male"][row]),
                complaint=str(complaint[row]),
                history=[CODES[name][late][0][1] for name in there],
                denied=denied[row % 4 :: 4],
                died=bool(rows["died"][row]),
            )
        )
    return _notes(rows, np.arange(len(texts)), "DS", rows["end"], rows["end"] + 86_400, texts)


def _notes(
    rows: Columns, owner: NDArray[Any], kind: str, charted: NDArray[Any], stored: NDArray[Any], texts: list[str]
) -> Columns:
    number = np.arange(len(owner)) + 1
    return {
        "note_id": np.array(
            [f"{one}-{kind}-{n}" for one, n in zip(rows["person"][owner].tolist(), number, strict=True)]
        ),
        "subject_id": rows["person"][owner],
        "hadm_id": rows["hadm"][owner],
        "note_type": np.full(len(owner), kind),
        "note_seq": number,
        "charttime": moments(charted),
        "storetime": moments(stored),
        "text": np.array(texts, dtype=object),
    }
