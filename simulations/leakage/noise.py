"""Records without any signal, in the shape of a published study of chest films and health records.

One row is one admission with one film. Films, records and diagnoses are drawn without looking at each
other, so nothing can be predicted from anything. What is kept of the study is its shape: how many admissions,
how common the eight diseases are, which columns the records have and how incomplete they are, and that
patients come back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

ADMISSIONS = 29_083
OF_ONE_PATIENT = 5.8
"""Mean number of admissions that the patient of a random admission has in the study."""
FILM_FEATURES = 18

Scores = tuple[float, float, float]
"""Precision, recall and F1."""


class Disease(NamedTuple):
    """A label of the study: its share of the admissions, and what was published for it."""

    name: str
    prevalence: float
    films: Scores
    films_and_records: Scores


DISEASES = (
    Disease("pneumonia", 7980 / ADMISSIONS, (0.340, 0.090, 0.142), (0.706, 0.364, 0.480)),
    Disease("tuberculosis", 771 / ADMISSIONS, (0.067, 0.001, 0.002), (0.962, 0.204, 0.337)),
    Disease("bronchitis", 1485 / ADMISSIONS, (0.104, 0.002, 0.004), (0.782, 0.106, 0.187)),
    Disease("arthritis", 1191 / ADMISSIONS, (0.100, 0.000, 0.001), (0.934, 0.163, 0.277)),
    Disease("fracture", 2078 / ADMISSIONS, (0.146, 0.006, 0.011), (0.694, 0.085, 0.151)),
    Disease("lung cancer", 7787 / ADMISSIONS, (0.357, 0.082, 0.133), (0.660, 0.318, 0.429)),
    Disease("scoliosis", 150 / ADMISSIONS, (0.0, 0.0, 0.0), (1.000, 0.204, 0.339)),
    Disease("lung infection", 952 / ADMISSIONS, (0.0, 0.0, 0.0), (0.906, 0.101, 0.182)),
)


@dataclass(frozen=True, eq=False)
class Noise:
    """Admissions, patient by patient, each patient's in order of time.

    Attributes
    ----------
    patients : (n,) str
    films : (n, 18) float32
    records : (n, 11) float32
        NaN is missing.
    labels : (n, k) int8
    """

    patients: NDArray[np.str_]
    films: NDArray[np.float32]
    records: NDArray[np.float32]
    labels: NDArray[np.int8]

    def merged_on_patient(self) -> Noise:
        """Give every film the records and labels of its patient's last admission.

        What joining the tables on the patient does when, of several rows, the last is kept.
        """
        persons, person = np.unique(self.patients, return_inverse=True)
        last = np.zeros(len(persons), np.int64)
        np.maximum.at(last, person, np.arange(len(person)))
        return Noise(self.patients, self.films, self.records[last[person]], self.labels[last[person]])


def draw(rng: np.random.Generator, admissions: int, diseases: Sequence[Disease] = DISEASES) -> Noise:
    """Draw admissions.

    Parameters
    ----------
    rng : Generator
    admissions : int
        n.
    diseases : sequence of k Disease
        Labels are coin flips, independent of each other, at their prevalence.

    Notes
    -----
    That admissions of a patient follow a geometric distribution is a choice; its parameter p
    is set by the published mean over admissions, which is (2 - p) / p.
    """
    each = rng.geometric(2 / (OF_ONE_PATIENT + 1), size=admissions)
    person = np.repeat(np.arange(admissions), each)[:admissions]
    prevalence = [disease.prevalence for disease in diseases]
    return Noise(
        patients=np.char.add("patient-", person.astype(np.str_)),
        films=rng.normal(size=(admissions, FILM_FEATURES)).astype(np.float32),
        records=_records(rng, admissions),
        labels=(rng.random((admissions, len(diseases))) < prevalence).astype(np.int8),
    )


def _records(rng: np.random.Generator, n: int) -> NDArray[np.float32]:
    """Draw what the study's models take of the records, as finely as charts hold it, as often missing as published.

    The three values of a blood count are missing together. How common diabetes is was not published: own choice.
    """

    def measured(mean: float, deviation: float, decimals: int, missing: NDArray[np.bool_]) -> NDArray[np.float64]:
        return np.where(missing, np.nan, rng.normal(mean, deviation, n).round(decimals))

    no_oxygen, no_heart_rate, no_temperature, no_blood_count = (
        rng.random(n) < missing / ADMISSIONS for missing in (26_234, 20_749, 20_801, 2_543)
    )
    columns = (
        rng.random(n) < 0.3,  # diabetes
        rng.integers(18, 91, n),  # age
        rng.random(n) < 0.037,  # HIV
        measured(96, 3, 0, no_oxygen),
        measured(88, 18, 0, no_heart_rate),
        measured(36.8, 0.6, 1, no_temperature),
        measured(10.5, 2, 1, no_blood_count),  # haemoglobin
        measured(3.6, 0.7, 2, no_blood_count),  # red blood cells
        measured(9, 4, 1, no_blood_count),  # white blood cells
        rng.random(n) < 0.12,  # smoking
        rng.random(n) < 112 / ADMISSIONS,  # cough
    )
    return np.stack(columns, axis=1).astype(np.float32)
