"""SYNTHETIC admissions with chronic diseases of the lungs, from a seeded causal model. No clinical claim whatsoever.

The graph, causes to the left; people, severity and death are those of :mod:`simulations.synthetic.hospitals`::

    hospital                                -> prevalence, severity, care
    age, sex, smoking, dust, fat, hospital  -> which of eight diseases, and its extent
    age                                     -> heart failure
    disease                                 -> pneumonia
    extent, heart failure, pneumonia        -> severity, first day's measurements, signs on films
    disease                                 -> diagnosis codes; one case in ten goes uncoded, and some codes are wrong
    severity, age, disease, care            -> intensive care, length of stay, death

The *extent* of a disease is latent. Films and measurements tell of it independently of each other, each with
its own noise and its own confounders (a wide heart is mostly heart failure, a low saturation mostly
pneumonia), so either alone tells something, both together more, and no model can be perfect. Nothing
else connects a label to an image or to a number. People come back with the diseases they have, so a split
that is not by person leaks. All effects are chosen by hand; none is fitted to people.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.seeding import generator
from simulations.synthetic import hospitals
from simulations.synthetic.chest_diseases import CHEST_DISEASES, SATURATION
from simulations.synthetic.hospitals import Columns, logistic, take
from simulations.synthetic.physiology import MEASUREMENTS, conscious, measured, physiology

PEOPLE = 0.45
"""People an admission: most are admitted again."""
SECONDS_A_DAY = 86_400
COUNTED = 0.92
"""Share of admissions with a blood count."""
CODED_TOO = ("diabetes", "aids", "smoking", "failing", "pneumonia", "metastaticcancer")
YEARS = (2110, 2190)
"""First admissions fall into these years, as if dates had been shifted."""
MISSED, WRONG = 0.1, 0.002
"""Share of cases without their code, and of codes without their case."""


def simulate(number: int, admissions: int, seed: int) -> Columns:
    """Draw a hospital's admissions, in order of person and time; no hospital depends on another.

    Parameters
    ----------
    number : int
        Of the hospital, from 1.
    admissions : int
        At least 10.
    seed : int

    Returns
    -------
    dict of str to ndarray, shape (admissions,)
        Truth by name. Diseases are extents, 0 in the healthy; "sign <name>" what films show; "coded <name>"
        whether the disease is among the diagnosis codes; "start", "end", "unit start", "unit end" seconds
        since 1970, those of the unit -1 without intensive care; a measurement that was not taken is NaN.
    """
    rng = generator(seed, "synthetic", "admissions", number)
    character = hospitals.draw_character(rng)
    people = hospitals.draw_people(rng, number, max(1, round(PEOPLE * admissions)), character)
    people |= _lungs(rng, people)
    count = len(people["person"])
    who = np.sort(np.concatenate([np.arange(count), rng.integers(0, count, admissions - count)]))
    order = np.arange(admissions)
    visit = order - np.searchsorted(who, who) + 1
    rows = take(people, who) | {"who": who, "admission": order, "visit": visit}
    rows |= hospitals.circumstances(rng, rows, character)
    rows |= _acute(rng, rows)
    rows["severity"] = hospitals.severity_of(rng, rows, character) + 0.4 * (rows["congestion"] + rows["pneumonia"])
    for name, disease in CHEST_DISEASES.items():
        rows["severity"] = rows["severity"] + disease.severity * rows[name]
    rows |= _measured(rng, rows)
    rows |= hospitals.outcome(rng, rows, character)
    rows |= {f"sign {name}": values for name, values in _signs(rng, rows).items()}
    rows |= _coded(rng, rows)
    return rows | _times(rng, rows)


def _lungs(rng: np.random.Generator, people: Columns) -> Columns:
    """Draw habits, body and the eight diseases with their extents."""
    count = len(people["age"])
    excess = (people["weight"] - (people["height"] - 100)) / 20
    causes: Columns = {
        "smoking": (rng.random(count) < np.where(people["male"], 0.5, 0.38)).astype(np.float64),
        "dust": (rng.random(count) < np.where(people["male"], 0.16, 0.03)).astype(np.float64),
        "fat": np.clip(excess, -1.5, 3),
        "male": people["male"].astype(np.float64),
        "decade": (people["age"] - 63) / 10,
    }
    diseases = {}
    for name, disease in CHEST_DISEASES.items():
        odds = disease.odds + rng.normal(0, disease.spread)
        odds = odds + np.sum([by * causes[of] for of, by in disease.causes.items()], axis=0)
        diseases[name] = (rng.random(count) < logistic(odds)) * rng.gamma(2.5, 0.32, count)
    failing = (rng.random(count) < logistic(-2 + 0.5 * causes["decade"])) * rng.gamma(2.5, 0.3, count)
    return {"smoking": causes["smoking"], "fat": causes["fat"], "failing": failing, **diseases}


def _acute(rng: np.random.Generator, rows: Columns) -> Columns:
    """Draw what brings people in: their failing heart, or pneumonia."""
    size = len(rows["who"])
    prone = -2.2 + np.sum([disease.infection * rows[name] for name, disease in CHEST_DISEASES.items()], axis=0)
    return {
        "congestion": rows["failing"] * (rng.random(size) < 0.6) * rng.gamma(2, 0.5, size),
        "pneumonia": (rng.random(size) < logistic(prone)) * rng.gamma(2.5, 0.35, size),
    }


def _measured(rng: np.random.Generator, rows: Columns) -> Columns:
    """Draw the first day's measurements, those that are taken."""
    size = len(rows["who"])
    drawn = physiology(rng, rows)
    drawn["oxygen_saturation"] = SATURATION.level + SATURATION.effect * rows["severity"] - 1.5 * rows["pneumonia"]
    drawn["oxygen_saturation"] += rng.normal(0, SATURATION.noise, size) - 0.8 * rows["congestion"]
    known = MEASUREMENTS | {"oxygen_saturation": SATURATION}
    effects = [(rows[name], disease.measures) for name, disease in CHEST_DISEASES.items()]
    for extent, measures in (*effects, (rows["pneumonia"], {"temperature": 1.4, "wbc": 0.9, "heartrate": 0.4})):
        for name, effect in measures.items():
            by = effect * known[name].noise * extent
            drawn[name] = drawn[name] * np.exp(by) if known[name].logarithm else drawn[name] + by
    # Women have fewer red cells; their content of haemoglobin differs from person to person.
    drawn["hematocrit"] += np.where(rows["male"], 1.5, -1.5)
    for name in drawn:
        drawn[name] = np.clip(drawn[name], known[name].low, known[name].high).round(known[name].decimals)
    drawn |= conscious(rng, rows | drawn)
    taken = measured(rng, rows)
    drawn["hemoglobin"] = (drawn["hematocrit"] / 3 + rng.normal(0, 0.3, size)).clip(3, 22).round(1)
    drawn["red_blood_cells"] = (drawn["hematocrit"] / 8.9 + rng.normal(0, 0.25, size)).clip(1, 9).round(2)
    # Nearly everybody in hospital has a blood count, and saturation is seen with the heart rate.
    counted = rng.random(size) < COUNTED
    taken |= dict.fromkeys(("wbc", "hematocrit", "hemoglobin", "red_blood_cells"), counted)
    taken["oxygen_saturation"] = taken["heartrate"]
    return drawn | {name: np.where(seen, drawn[name], np.nan) for name, seen in taken.items()}


def _signs(rng: np.random.Generator, rows: Columns) -> Columns:
    """Draw what films show: what diseases and age leave, and what is only the way a person is built."""
    size = len(rows["who"])
    aged = np.clip((rows["age"] - 60) / 30, 0, 1)
    drained = rng.random((2, size)) < 0.75
    spill = np.clip(0.5 * rows["congestion"] + 0.3 * rows["pneumonia"] + 0.4 * rows["metastaticcancer"] - 0.08, 0, 0.9)
    torn = rng.random(size) < 0.01 + 0.03 * (rows["copd"] > 0.6)
    signs: Columns = {
        "heart": rng.normal(0.02, 0.16, size) + 0.55 * rows["failing"] + 0.12 * aged,
        "fluid_right": spill * drained[0] * rng.uniform(0.4, 1, size),
        "fluid_left": spill * drained[1] * rng.uniform(0.2, 0.9, size),
        "consolidation": 0.9 * rows["pneumonia"],
        "congestion": 0.8 * rows["congestion"],
        "hyperinflation": rng.normal(0.04, 0.24, size) + 0.06 * rows["smoking"],
        "reticulation": np.abs(rng.normal(0, 0.14, size)) + 0.1 * aged,
        "nodules": np.abs(rng.normal(0, 0.17, size)) + 0.5 * rows["metastaticcancer"] * rng.random(size),
        "hila": rng.normal(0, 0.25, size) + 0.3 * rows["lymphoma"],
        "arteries": rng.normal(0.02, 0.24, size) + 0.15 * rows["failing"],
        "tramlines": rng.normal(0, 0.16, size),
        "collapse": torn * rng.uniform(0.3, 1, size),
        "fat": 0.35 * rows["fat"] + rng.normal(0, 0.1, size),
        "tubes": (rows["intubated"] > 0).astype(np.float64),
    }
    for name, disease in CHEST_DISEASES.items():
        for sign, effect in disease.signs.items():
            signs[sign] = signs[sign] + effect * rows[name]
    return {name: np.clip(values, 0, 1.6) for name, values in signs.items()}


def _coded(rng: np.random.Generator, rows: Columns) -> Columns:
    """Tell which diseases are among the diagnosis codes: not all, and some that are not there."""
    size = len(rows["who"])
    coughing = np.sum([disease.cough * rows[name] for name, disease in CHEST_DISEASES.items()], axis=0)
    coughing = coughing + 0.5 * (rows["pneumonia"] > 0) - 3.5
    there: dict[str, NDArray[Any]] = {name: rows[name] > 0 for name in CHEST_DISEASES}
    there |= {name: rows[name] > 0 for name in CODED_TOO}
    there |= {"cough": rng.random(size) < logistic(coughing), "hypertension": rng.random(size) < 0.5}
    missed, wrong = rng.random((2, len(there), size))
    return {
        f"coded {name}": np.where(is_there, missed[i] >= MISSED, wrong[i] < WRONG)
        for i, (name, is_there) in enumerate(there.items())
    }


def _times(rng: np.random.Generator, rows: Columns) -> Columns:
    """Draw when people come and go: admissions of one person follow each other."""
    size, first = len(rows["who"]), rows["visit"] == 1
    length = np.clip(rng.lognormal(1.3 + 0.3 * np.clip(rows["severity"], -2, 3), 0.6), 0.6, 60) * SECONDS_A_DAY
    pause = rng.exponential(250, size) * SECONDS_A_DAY + SECONDS_A_DAY
    year = np.maximum.accumulate(np.where(first, np.arange(size), 0))
    january = (rng.integers(*YEARS, size) - 1970).astype("datetime64[Y]").astype("datetime64[s]").astype(np.int64)
    begun = january[year] + (rng.random(size) * 330 * SECONDS_A_DAY)[year]
    # Since the person's first admission: all stays and pauses before this one.
    passed = np.cumsum(length + pause) - (length + pause)
    start = (begun + passed - passed[year]).astype(np.int64)
    end = (start + length).astype(np.int64)
    intensive = rng.random(size) < logistic(-0.4 + 0.9 * rows["severity"] + 0.5 * rows["elective"])
    enter = start + (rng.uniform(0.02, 0.6, size) * np.minimum(length, 20 * 3600)).astype(np.int64)
    leave = enter + (rng.uniform(0.3, 0.95, size) * (end - enter)).astype(np.int64)
    return {
        "anchor": start[year].astype("datetime64[s]").astype("datetime64[Y]").astype(np.int64) + 1970,
        "start": start,
        "end": end,
        "unit start": np.where(intensive, enter, -1),
        "unit end": np.where(intensive, leave, -1),
    }
