"""What severity and disease do to a first day's measurements, and which of them are taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Disease:
    """A chronic disease: prevalence at 63, its spread between hospitals (log), and its effects."""

    prevalence: float
    spread: float = 0.2
    per_decade: float = 0.0
    severity: float = 0.1
    death: float = 0.3


DISEASES = {
    "copd": Disease(0.07, 0.5, per_decade=0.2, severity=0.2, death=0.2),
    "diabetes": Disease(0.20, 0.2, per_decade=0.1, death=0.1),
    "immunosuppression": Disease(0.025, 0.5, severity=0.2, death=0.5),
    "cirrhosis": Disease(0.015, 0.6, severity=0.3, death=0.6),
    "metastaticcancer": Disease(0.018, 0.6, per_decade=0.2, severity=0.2, death=1.0),
    "hepaticfailure": Disease(0.010, 0.6, severity=0.4, death=0.9),
    "leukemia": Disease(0.010, 0.9, severity=0.3, death=0.8),
    "lymphoma": Disease(0.007, 0.8, severity=0.2, death=0.5),
    "aids": Disease(0.003, 1.0, per_decade=-0.3, severity=0.2, death=0.4),
}


@dataclass(frozen=True)
class Unit:
    """A kind of ward: effect on severity and, by group of measurements, on the logit of taking them."""

    severity: float = 0.0
    surgical: bool = False
    measures: Mapping[str, float] = field(default_factory=dict)


UNITS = {
    "Med-Surg ICU": Unit(),
    "MICU": Unit(severity=0.25, measures={"gas": 0.6, "liver": 0.5}),
    "SICU": Unit(severity=-0.05, surgical=True, measures={"gas": 0.5, "liver": -0.6}),
    "Cardiac ICU": Unit(severity=-0.15, surgical=True, measures={"gas": -0.2, "liver": -1.0, "urine": 0.5}),
    "Neuro ICU": Unit(measures={"gas": -0.6, "liver": -0.8, "consciousness": 1.5}),
}


@dataclass(frozen=True)
class Measurement:
    """A variable: level, effect of one unit of severity and noise, on its own scale or that of its logarithm.

    With `either` severity drives it up in some people and down in others.
    """

    group: str
    level: float
    effect: float
    noise: float
    low: float
    high: float
    decimals: int = 1
    logarithm: bool = False
    either: bool = False
    diseases: Mapping[str, float] = field(default_factory=dict)


LIVER = {"cirrhosis": 1.0, "hepaticfailure": 1.3}
MEASUREMENTS = {
    "temperature": Measurement("vitals", 36.5, 0.6, 0.5, 30, 42, either=True),
    "respiratoryrate": Measurement("vitals", 24, 6, 7, 4, 60, 0, diseases={"copd": 4}),
    "heartrate": Measurement("vitals", 98, 17, 18, 20, 220, 0),
    "meanbp": Measurement("vitals", 84, -16, 18, 30, 200, 0),
    "urine": Measurement("urine", 7.3, -0.4, 0.45, 0, 12000, 1, logarithm=True),
    "wbc": Measurement("blood", 2.35, 0.2, 0.4, 0.1, 200, 1, logarithm=True, diseases={"leukemia": 0.7, "aids": -0.6}),
    "hematocrit": Measurement("blood", 33, -2, 5.5, 12, 60, diseases={"leukemia": -5, "metastaticcancer": -3}),
    "sodium": Measurement("chemistry", 138, 3.5, 3.5, 105, 175, 0, either=True),
    "creatinine": Measurement("chemistry", 0.1, 0.35, 0.45, 0.1, 20, 2, logarithm=True),
    "bun": Measurement("chemistry", 2.95, 0.4, 0.45, 2, 220, 0, logarithm=True),
    "glucose": Measurement("chemistry", 4.95, 0.06, 0.3, 10, 1000, 0, logarithm=True, diseases={"diabetes": 0.3}),
    "albumin": Measurement("liver", 3.0, -0.4, 0.45, 0.8, 5.5, diseases={"cirrhosis": -0.5}),
    "bilirubin": Measurement("liver", -0.4, 0.2, 0.6, 0.1, 40, 1, logarithm=True, diseases=LIVER),
    "ph": Measurement("gas", 7.38, -0.05, 0.06, 6.7, 7.7, 2, diseases={"copd": -0.04}),
    "pao2": Measurement("gas", 4.75, -0.12, 0.4, 25, 550, 0, logarithm=True),
    "pco2": Measurement("gas", 40, -1, 8, 12, 120, diseases={"copd": 14}),
    "fio2": Measurement("gas", 48, 11, 16, 21, 100, 0),
}
CONSCIOUSNESS = {"eyes": (1.6, 2.2, 2.6), "motor": (1.7, 2.1, 2.5, 2.8, 3.1), "verbal": (1.0, 1.7, 2.1, 2.4)}
# Group -> logit of measuring it at severity 0, and what one unit of severity adds.
TAKEN = {
    "vitals": (3.5, 0.3),
    "urine": (0.1, 0.2),
    "blood": (0.9, 0.4),
    "chemistry": (1.2, 0.4),
    "liver": (-0.3, 0.4),
    "gas": (-1.7, 0.9),
    "consciousness": (2.8, 0.0),
}


def physiology(rng: np.random.Generator, stays: Columns) -> Columns:
    """Draw every measurement as it would be if it were taken.

    A hospital's laboratory adds its own small offset to each, a tenth of the noise.
    """
    severity = stays["severity"]
    drawn: Columns = {}
    for name, variable in MEASUREMENTS.items():
        direction = rng.choice([-1, 1], len(severity)) * np.maximum(severity, 0) if variable.either else severity
        value = variable.level + rng.normal(0, 0.1) * variable.noise + variable.effect * direction
        value = value + sum(effect * stays[disease] for disease, effect in variable.diseases.items())
        value = value + rng.normal(0, variable.noise, len(severity))
        value = np.exp(value) if variable.logarithm else value
        drawn[name] = np.clip(value, variable.low, variable.high).round(variable.decimals)
    return drawn


def conscious(rng: np.random.Generator, stays: Columns) -> Columns:
    """Draw the Glasgow coma scale and organ support from severity."""
    severity = stays["severity"]
    depth = severity + 0.5 * (stays["unit"] == "Neuro ICU") + rng.normal(0, 0.7, len(severity))
    drawn: Columns = {
        name: (len(steps) + 1 - np.searchsorted(steps, depth)).astype(np.float64)
        for name, steps in CONSCIOUSNESS.items()
    }
    drawn["vent"] = severity + 0.4 * stays["copd"] + rng.normal(0, 0.8, len(severity)) > 1.1
    drawn["intubated"] = drawn["vent"] & (rng.random(len(severity)) < 0.55)
    drawn["dialysis"] = np.log(stays["creatinine"]) + rng.normal(0, 0.5, len(severity)) > 1.6
    return drawn


def measured(rng: np.random.Generator, stays: Columns) -> dict[str, NDArray[np.bool_]]:
    """Tell which measurements are taken: a group together, more of the ill, by unit and by a hospital's habit."""
    seen: dict[str, NDArray[np.bool_]] = {}
    for group, (level, effect) in TAKEN.items():
        unit = np.array([UNITS[name].measures.get(group, 0.0) for name in stays["unit"]])
        logit = level + effect * stays["severity"] + unit + rng.normal(0, 1)
        seen[group] = rng.random(len(logit)) < 1 / (1 + np.exp(-logit))
    groups = {name: variable.group for name, variable in MEASUREMENTS.items()} | dict.fromkeys(
        CONSCIOUSNESS, "consciousness"
    )
    return {name: seen[group] for name, group in groups.items()}
