"""SYNTHETIC hospitals: invented people from a seeded causal model. No clinical claim whatsoever.

The graph, causes to the left::

    region                                          -> (a name only; regions do not differ)
    hospital                                        -> units, severity, prevalence, care, what is measured and how
    age                                             -> chronic disease
    hospital, age, disease, unit, elective surgery  -> severity
    severity, disease, hospital's laboratory        -> physiology of the first day
    severity, unit, hospital                        -> what is measured (missing not at random)
    severity, age, disease, elective, care          -> death in hospital

*Severity* is the latent need for organ support, about standard normal. Physiology tells
about death only through severity and disease, with noise, so no model can be perfect.
A person may have several stays, in one admission or in two, and a few survivors are seen
again at the next hospital: a split that is not by person leaks. All effects are chosen by
hand for plausible sizes; none is fitted to data of real people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.seeding import generator
from simulations.synthetic.physiology import DISEASES, UNITS, conscious, measured, physiology

REGIONS = ("Midwest", "South", "West", "Northeast")
REPEAT_STAYS = 0.15
GUESTS = 0.02
# Intercept of the death model: about one in nine dies.
BASELINE = -3.45

Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Hospital:
    """One hospital and its stays.

    Attributes
    ----------
    number : int
        From 1.
    region : str
    stays : mapping of str to ndarray, shape (n,)
        Truth by name, one entry a stay; a measurement that was not taken is NaN.
    """

    number: int
    region: str
    stays: Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Character:
    """What makes a hospital differ: offsets on the scale of the logits and of severity.

    Attributes
    ----------
    severity, care : float
        Of its patients, and what its care adds to the logit of death.
    elective : float
        Share of elective surgery.
    units : (5,) float64
        Share of each kind of ward.
    prevalence : dict of str to float
        Of each chronic disease at 63 years.
    """

    severity: float
    care: float
    elective: float
    units: NDArray[np.float64]
    prevalence: dict[str, float]


def simulate(hospitals: int, stays_per_hospital: int, seed: int) -> tuple[Hospital, ...]:
    """Draw hospitals; the first ones do not change when more are asked for.

    Parameters
    ----------
    hospitals : int
    stays_per_hospital : int
        At least 10.
    seed : int
    """
    drawn: list[Hospital] = []
    survivors: Columns | None = None
    for number in range(1, hospitals + 1):
        rng = generator(seed, "synthetic", "hospital", number)
        people, stays = _hospital(rng, number, stays_per_hospital, survivors)
        drawn.append(Hospital(number, REGIONS[(number - 1) % len(REGIONS)], stays))
        alive = np.setdiff1d(people["person"], stays["person"][stays["died"]])
        survivors = take(people, np.isin(people["person"], alive))
    return tuple(drawn)


def _hospital(rng: np.random.Generator, number: int, size: int, survivors: Columns | None) -> tuple[Columns, Columns]:
    character = draw_character(rng)
    people = draw_people(rng, number, size - round(REPEAT_STAYS * size), character)
    if survivors is not None:
        guests = take(survivors, rng.permutation(len(survivors["person"]))[: max(1, round(GUESTS * size))])
        count = len(guests["person"])
        people = {name: np.concatenate([guests[name], values[count:]]) for name, values in people.items()}
    visits = _visits(rng, len(people["person"]), size)
    stays = take(people, visits["who"]) | visits
    stays |= circumstances(rng, stays, character)
    stays["severity"] = severity_of(rng, stays, character)
    stays |= physiology(rng, stays)
    stays |= conscious(rng, stays)
    stays |= outcome(rng, stays, character)
    seen = measured(rng, stays)
    return people, stays | {name: np.where(seen[name], stays[name], np.nan) for name in seen}


def draw_character(rng: np.random.Generator) -> Character:
    """Draw what a hospital is like."""
    return Character(
        severity=rng.normal(0, 0.2),
        care=rng.normal(0, 0.25),
        elective=rng.uniform(0.02, 0.4),
        units=rng.dirichlet([4, 1, 1, 1.5, 0.5]),
        prevalence={
            name: disease.prevalence * np.exp(rng.normal(0, disease.spread)) for name, disease in DISEASES.items()
        },
    )


def draw_people(rng: np.random.Generator, number: int, count: int, character: Character) -> Columns:
    """Draw a hospital's patients: age, sex, body, frailty and chronic diseases; one entry a person."""
    age = np.clip(
        np.where(rng.random(count) < 0.8, rng.normal(68, 13, count), rng.uniform(18, 60, count)), 18, 99
    ).round()
    male = rng.random(count) < 0.56
    height = np.where(male, rng.normal(176, 8, count), rng.normal(162, 7, count)).round(1)
    people: Columns = {
        "person": np.array([f"SYN{number:03d}-{i:05d}" for i in range(count)]),
        "age": age,
        "male": male,
        "height": height,
        "weight": np.clip(height - 95 + rng.gamma(2.5, 9, count) - 20, 35, 220).round(1),
        "frailty": rng.normal(0, 1, count),
    }
    for name, disease in DISEASES.items():
        odds = character.prevalence[name] * np.exp(disease.per_decade * (age - 63) / 10)
        people[name] = rng.random(count) < np.minimum(odds, 0.6)
    return people


def _visits(rng: np.random.Generator, people: int, size: int) -> Columns:
    """Every person once, some again: in the same admission or a later one."""
    who = np.sort(np.concatenate([np.arange(people), rng.integers(0, people, size - people)]))
    again = np.concatenate([[False], who[1:] == who[:-1]])
    first = ~again | (rng.random(size) < 0.4)
    admission = np.cumsum(first) - 1
    visit = np.arange(size) - np.flatnonzero(first)[admission] + 1
    return {"who": who, "admission": admission, "visit": visit}


def circumstances(rng: np.random.Generator, stays: Columns, character: Character) -> Columns:
    """Draw where each stay is, and why."""
    size = len(stays["who"])
    unit = rng.choice(len(UNITS), size, p=character.units)
    surgical = np.array([kind.surgical for kind in UNITS.values()])[unit]
    elective = rng.random(size) < character.elective * np.where(surgical, 2.5, 0.5)
    later = np.where(rng.random(size) < 0.4, "readmit", "stepdown/other")
    return {
        "unit": np.array(list(UNITS))[unit],
        "elective": elective,
        "kind": np.where(stays["visit"] > 1, later, np.where(rng.random(size) < 0.03, "transfer", "admit")),
    }


def severity_of(rng: np.random.Generator, stays: Columns, character: Character) -> NDArray[np.float64]:
    """Draw the latent need for organ support; (n,), about standard normal."""
    severity = character.severity - 0.6 * stays["elective"] + 0.01 * (stays["age"] - 63)
    for name, disease in DISEASES.items():
        severity = severity + disease.severity * stays[name]
    severity = severity + np.array([UNITS[unit].severity for unit in stays["unit"]])
    result: NDArray[np.float64] = severity + 0.6 * stays["frailty"] + 0.8 * rng.normal(0, 1, len(severity))
    return result


def outcome(rng: np.random.Generator, stays: Columns, character: Character) -> Columns:
    """Death is drawn once an admission, from its last stay; who is admitted again has survived."""
    logit = BASELINE + 2.3 * stays["severity"] + 0.03 * (stays["age"] - 63) - 1.0 * stays["elective"]
    for name, disease in DISEASES.items():
        logit = logit + disease.death * stays[name]
    size, admission = len(logit), stays["admission"]
    last = np.append(admission[1:] != admission[:-1], True)
    who = stays["who"][last]
    final = np.append(who[1:] != who[:-1], True)
    died = final & (rng.random(size) < logistic(logit + character.care))[last]
    scored = (stays["kind"] != "stepdown/other") & (rng.random(size) < 0.97)
    # What a published score with its own errors would say; it does not know the hospital's care.
    score = np.where(rng.random(size) < 0.8, logistic(logit + rng.normal(0, 0.4, size)), np.nan)
    return {
        "died": died[admission],
        "unknown": (rng.random(len(died)) < 0.012)[admission],
        "scored": scored,
        "score": score,
    }


def logistic(logit: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn log odds into probabilities."""
    return 1 / (1 + np.exp(-logit))


def take(columns: Columns, rows: NDArray[Any]) -> Columns:
    """Return some rows (integers or a mask)."""
    return {name: values[rows] for name, values in columns.items()}
