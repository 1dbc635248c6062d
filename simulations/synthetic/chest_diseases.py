"""Eight chronic diseases of the lungs: who gets them, what they do to the body, and what a film shows of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from simulations.synthetic.physiology import Measurement


@dataclass(frozen=True)
class ChestDisease:
    """Causes and effects of a disease; every effect is that of an extent of 1, a plain case.

    Attributes
    ----------
    odds : float
        Log odds at 63 years, without any of the causes.
    spread : float
        Standard deviation of the log odds between hospitals.
    causes : mapping of str to float
        What each unit adds to the log odds: "smoking", "dust", "fat", "male", "decade" of age beyond 63.
    signs : mapping of str to float
        On films; see :class:`simulations.synthetic.chest_anatomy.Signs`.
    measures : mapping of str to float
        On measurements, in standard deviations of their noise.
    cough : float
        On the log odds of cough.
    severity : float
    infection : float
        On the log odds of pneumonia.
    """

    odds: float
    spread: float
    causes: Mapping[str, float]
    signs: Mapping[str, float]
    measures: Mapping[str, float]
    cough: float = 0.0
    severity: float = 0.15
    infection: float = 0.0


# More common than in any real hospital, so that a small study has enough of each.
CHEST_DISEASES = {
    "copd": ChestDisease(
        odds=-2.8,
        spread=0.3,
        causes={"smoking": 1.9, "decade": 0.3, "dust": 0.4},
        signs={"hyperinflation": 0.55},
        measures={"oxygen_saturation": -1.1, "hematocrit": 0.6, "heartrate": 0.3},
        cough=1.0,
        severity=0.1,
        infection=0.5,
    ),
    "asthma": ChestDisease(
        odds=-2.1,
        spread=0.25,
        causes={"decade": -0.3, "male": -0.4, "fat": 0.2},
        signs={"hyperinflation": 0.3, "tramlines": 0.2},
        measures={"heartrate": 0.8, "wbc": 0.5, "respiratoryrate": 0.5, "oxygen_saturation": -0.2},
        cough=0.8,
        severity=0.0,
    ),
    "bronchiectasis": ChestDisease(
        odds=-2.7,
        spread=0.4,
        causes={"decade": 0.3, "male": -0.4},
        signs={"tramlines": 0.85, "reticulation": 0.15},
        measures={"wbc": 1.1, "oxygen_saturation": -0.7, "temperature": 0.7},
        cough=2.0,
        infection=1.2,
    ),
    "ild_fibrosis": ChestDisease(
        odds=-3.0,
        spread=0.4,
        causes={"decade": 0.4, "dust": 0.6, "smoking": 0.3},
        signs={"reticulation": 0.47, "arteries": 0.1},
        measures={"oxygen_saturation": -1.8, "respiratoryrate": 0.6, "heartrate": 0.3},
        cough=1.4,
        severity=0.3,
    ),
    "pneumoconiosis": ChestDisease(
        odds=-4.6,
        spread=0.7,
        causes={"dust": 3.2, "decade": 0.5, "smoking": 0.6},
        signs={"nodules": 0.85, "reticulation": 0.15},
        measures={"oxygen_saturation": -1.2, "hematocrit": 0.7, "heartrate": 0.4},
        cough=0.8,
    ),
    "sarcoidosis": ChestDisease(
        odds=-3.1,
        spread=0.6,
        causes={"decade": -0.6, "male": -0.2},
        signs={"hila": 0.7, "reticulation": 0.12},
        measures={"wbc": -0.9, "hematocrit": -0.5, "oxygen_saturation": -0.2},
        cough=0.8,
        severity=0.0,
    ),
    "pulmonary_hypertension": ChestDisease(
        odds=-2.9,
        spread=0.3,
        causes={"decade": 0.3, "male": -0.5, "fat": 0.3},
        signs={"arteries": 0.45, "heart": 0.3},
        measures={"oxygen_saturation": -1.5, "heartrate": 0.9, "hematocrit": 0.5, "meanbp": -0.4},
        severity=0.4,
    ),
    "sleep_apnoea": ChestDisease(
        odds=-2.4,
        spread=0.3,
        causes={"fat": 1.3, "male": 0.7, "decade": 0.1},
        signs={"fat": 0.2, "arteries": 0.1},
        measures={"hematocrit": 1.2, "oxygen_saturation": -0.5, "glucose": 0.4},
        severity=0.0,
    ),
}
# Not among those of the eICU tables, which tell the partial pressure instead.
SATURATION = Measurement("vitals", 96.8, -0.7, 1.8, 60, 100, 0)
