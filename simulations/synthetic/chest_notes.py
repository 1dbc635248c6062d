"""Short invented reports: what a reader saw on a film, what not, and a summary at discharge.

A radiologist sees what a sign's strength makes visible, hedges near that limit, and names what is absent
as often as what is present. The findings of a labeller's table are those that the report's text states.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from common.clinical.findings import CHEXPERT, NOT_MENTIONED, UNCERTAIN

HEDGED = 0.2
"""A reader is unsure within this part of the limit."""
DENIED = 0.8
"""How often an absent finding is named."""
GRADES = ("mild", "moderate", "severe")


class Sight(NamedTuple):
    """What a reader says of a sign.

    Attributes
    ----------
    sign : str
    limit : float
        From where on it is seen.
    words : str
    finding : str
        Of the labeller; "" for none.
    denied : bool
        Whether its absence is worth a sentence.
    """

    sign: str
    limit: float
    words: str
    finding: str
    denied: bool = False


SIGHTS = (
    Sight("heart", 0.35, "cardiomegaly", "Cardiomegaly", denied=True),
    Sight("fluid", 0.12, "pleural effusion", "Pleural Effusion", denied=True),
    Sight("congestion", 0.35, "pulmonary edema", "Edema", denied=True),
    Sight("consolidation", 0.4, "focal consolidation", "Consolidation", denied=True),
    Sight("collapse", 0.2, "pneumothorax", "Pneumothorax", denied=True),
    Sight("reticulation", 0.35, "reticular opacity at the lung bases", "Lung Opacity"),
    Sight("nodules", 0.35, "nodularity of the upper lung zones", "Lung Lesion"),
    Sight("hila", 0.4, "bilateral hilar enlargement", "Enlarged Cardiomediastinum"),
    Sight("arteries", 0.45, "prominence of the central pulmonary arteries", ""),
    Sight("tramlines", 0.3, "bronchial wall thickening with ring shadows", ""),
    Sight("hyperinflation", 0.4, "hyperinflation with flattening of the diaphragm", ""),
)
_REPORT = """EXAMINATION: CHEST ({view})

INDICATION: {age}-year-old {sex} with {complaint}.

CHEXPERT:
{findings}

IMPRESSION:
{impression}
"""
_SUMMARY = """Sex: {sex}   Service: MEDICINE

Chief Complaint:
{complaint}

Past Medical History:
{history}

Brief Hospital Course:
{course}

Discharge Disposition:
{disposition}
"""


def film_report(
    rng: np.random.Generator, signs: Mapping[str, float], *, view: str, age: int, male: bool, complaint: str
) -> tuple[str, dict[str, int]]:
    """Write a report of one film.

    Parameters
    ----------
    rng : Generator
        Who is unsure of what, and what is left unsaid.
    signs : mapping of str to float
        Strength by name; see :class:`simulations.synthetic.chest_anatomy.Signs`.
    view : {"PA", "AP"}
    age : int
    male : bool
    complaint : str

    Returns
    -------
    text : str
    findings : dict of str to int
        1 present, 0 absent, -1 uncertain, -2 not mentioned, by the labeller's names.
    """
    found = dict.fromkeys(CHEXPERT, NOT_MENTIONED)
    strength = {**signs, "fluid": max(signs["fluid_right"], signs["fluid_left"])}
    said, remarkable = [], []
    for sight in SIGHTS:
        seen = strength[sight.sign] / sight.limit
        if abs(seen - 1) < HEDGED and rng.random() < 0.6:
            said.append(f"Possible {sight.words}.")
            found[sight.finding] = UNCERTAIN
        elif seen >= 1:
            grade = GRADES[min(int(seen - 1), 2)]
            side = _side(signs) if sight.sign == "fluid" else ""
            remarkable.append(f"{grade} {side}{sight.words}".capitalize() + ".")
            said.append(f"There is {grade} {side}{sight.words}.")
            found[sight.finding] = 1
        elif sight.denied and rng.random() < DENIED:
            said.append(f"No {sight.words}.")
            found[sight.finding] = 0
    if signs["tubes"]:
        said.append("Endotracheal tube and central venous line are in place.")
        found["Support Devices"] = 1
    found.pop("", None)
    if found["Consolidation"] == 1:
        found["Lung Opacity"], found["Pneumonia"] = 1, UNCERTAIN
        remarkable.append("Pneumonia cannot be excluded.")
    if not any(found[name] in (1, UNCERTAIN) for name in CHEXPERT if name != "Support Devices"):
        found["No Finding"] = 1
    sex = "man" if male else "woman"
    impression = "\n".join(remarkable) or "No acute cardiopulmonary process."
    words = {"findings": " ".join(said) or "Unremarkable.", "impression": impression}
    return _REPORT.format(view=view, age=age, sex=sex, complaint=complaint, **words), found


def discharge_summary(*, male: bool, complaint: str, history: list[str], denied: list[str], died: bool) -> str:
    """Write a summary from an admission's diagnoses in words, and from those it is free of."""
    course = f"Admitted with {complaint}. " + " ".join(f"There was no evidence of {name}." for name in denied)
    return _SUMMARY.format(
        sex="M" if male else "F",
        complaint=complaint.capitalize(),
        history="\n".join(f"- {name}" for name in history) or "None.",
        course=course.strip(),
        disposition="Expired" if died else "Home",
    )


def _side(signs: Mapping[str, float]) -> str:
    right, left = signs["fluid_right"] > 0.08, signs["fluid_left"] > 0.08
    return "bilateral " if right and left else "right " if right else "left "
