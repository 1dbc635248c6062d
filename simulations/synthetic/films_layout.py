"""Writes SYNTHETIC chest films in the layout of MIMIC-CXR-JPG: drawn JPEG files and the tables that list them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.clinical.findings import CHEXPERT, NOT_MENTIONED
from common.seeding import generator, seed
from simulations.synthetic import chest_films
from simulations.synthetic.chest_anatomy import Signs, build
from simulations.synthetic.chest_films import Scanner
from simulations.synthetic.mimic_columns import CXR
from simulations.synthetic.writing import Columns

QUALITY = 90
SPLITS = ("train", "validate", "test")
UP_TO = (0.8, 0.9)
"""Which part of the people is in the first of them, and in the first two."""


def tables(rows: Columns, taken: Columns, findings: Sequence[Mapping[str, int]], base: int) -> dict[str, Columns]:
    """Make the tables that list films, their split by person, and their findings.

    Parameters
    ----------
    rows, taken : dict of str to ndarray
        Admissions and films; see :func:`simulations.synthetic.studies.take`.
    findings : sequence of dict of str to int
        Of each film's report.
    base : int
        Seed of the generator.
    """
    size = len(taken["owner"])
    keys = {"subject_id": rows["person"][taken["owner"]], "study_id": taken["study"]}
    film = {"dicom_id": np.array([name(study, base) for study in taken["study"].tolist()])}
    clock = np.strings.replace(taken["time"].astype("datetime64[s]").astype(np.str_), "T", "-")
    day, hour = (np.strings.replace(np.strings.replace(part, "-", ""), ":", "") for part in _halves(clock))
    view = np.where(taken["lying"], "AP", "PA")
    share = np.array([seed(base, "split", who) % 1000 / 1000 for who in keys["subject_id"].tolist()])
    labels = {
        name: np.array(["" if found[name] == NOT_MENTIONED else f"{found[name]:.1f}" for found in findings])
        for name in CHEXPERT
    }
    meanings = {"AP": "antero-posterior", "PA": "postero-anterior"}
    metadata = {
        "PerformedProcedureStepDescription": np.where(taken["lying"], "CHEST (PORTABLE AP)", "CHEST (PA)"),
        "ViewPosition": view,
        "Rows": np.full(size, chest_films.SIZE),
        "Columns": np.full(size, chest_films.SIZE),
        "StudyDate": day,
        "StudyTime": hour,
        "ProcedureCodeSequence_CodeMeaning": np.full(size, "CHEST"),
        "ViewCodeSequence_CodeMeaning": np.array([meanings[one] for one in view.tolist()]),
        "PatientOrientationCodeSequence_CodeMeaning": np.where(taken["lying"], "Recumbent", "Erect"),
    }
    return {
        f"{CXR}-metadata": film | keys | metadata,
        f"{CXR}-split": film | keys | {"split": np.array(SPLITS)[np.searchsorted(UP_TO, share, "right")]},
        # Both labellers read the same sentences, and these leave no room for two opinions.
        **dict.fromkeys((f"{CXR}-chexpert", f"{CXR}-negbio"), keys | labels),
    }


def draw_all(folder: Path, rows: Columns, taken: Columns, scanner: Scanner, base: int) -> None:
    """Draw every film; each from its own seed, and people look alike on all of theirs."""
    from PIL import Image

    signs = {key.removeprefix("sign "): values for key, values in taken.items() if key.startswith("sign ")}
    for film, study in enumerate(taken["study"].tolist()):
        owner = int(taken["owner"][film])
        person = int(rows["person"][owner])
        body = build(generator(base, "synthetic", "build", person), bool(rows["male"][owner]))
        pixels = chest_films.draw(
            body,
            Signs(**{key: float(values[film]) for key, values in signs.items()}),
            generator(base, "synthetic", "film", study),
            lying=bool(taken["lying"][film]),
            scanner=scanner,
        )
        path = folder / f"files/p{str(person)[:2]}/p{person}/s{study}/{name(study, base)}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, "JPEG", quality=QUALITY)


def name(study: int, base: int) -> str:
    """Name a study's film as the real ones are named: 40 hexadecimal digits in five groups."""
    digits = "".join(f"{seed(base, 'film name', study, part):016x}" for part in range(3))[:40]
    return "-".join(digits[i : i + 8] for i in range(0, 40, 8))


def _halves(texts: NDArray[np.str_]) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    """Split 2150-01-31-23:59:00 into its date and its time."""
    return texts.astype("<U10"), np.array([text[11:] for text in texts.tolist()])
