"""The study of chronic respiratory disease: whose film, when, which codes, and the table of twelve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from client.cohorts.assembling import assemble
from client.cohorts.films import choose
from common.clinical.films import last_frontal
from common.clinical.records import NONE, Records
from common.exceptions import DataError
from common.tasks import crd8_keywords
from common.tasks.base import find

Few = Callable[..., Records]
CRD8 = find("crd8")
CODES = [(0, 9, "49121"), (1, 10, "J45909"), (1, 10, "G4733"), (2, 10, "I10"), (3, 9, "1350"), (3, 9, "515")]
FOUR = [(0, 0, 100), (0, 1000, 1100), (1, 0, 10), (2, 0, 50)]


def labels(records: Records, name: str) -> list[set[str]]:
    task = find(name)
    found = task.examples(records)
    return [{task.labels[at].name for at in np.flatnonzero(row)} for row in found.labels]


def test_four_admissions_by_hand(few: Few) -> None:
    expected = [{"copd"}, {"asthma", "sleep_apnoea"}, set(), {"sarcoidosis", "ild_fibrosis"}]
    assert labels(few(FOUR, codes=CODES), "crd8") == expected


def test_the_versions_of_icd_are_told_apart(few: Few) -> None:
    codes = [(0, 10, "49121"), (1, 9, "J45909"), (2, 9, "E8600"), (3, 10, "D862")]
    assert labels(few(FOUR, codes=codes), "crd8") == [set(), set(), set(), {"sarcoidosis"}]


def test_the_sources_eight_are_kept_to_the_chest(few: Few) -> None:
    codes = [(0, 9, "8072"), (0, 9, "82000"), (1, 10, "C3490"), (1, 10, "C50919"), (2, 10, "M1990"), (3, 10, "M0690")]
    assert labels(few(FOUR, codes=codes), "crd8_source") == [{"fracture"}, {"lung_cancer"}, set(), {"arthritis"}]


def test_the_keywords_catch_more(few: Few) -> None:
    titles = [
        "Need for vaccination against pneumonia",
        "Malignant (primary) neoplasm of breast",
        "Infection following a procedure",
        "Urinary tract infection",
    ]
    records = few(FOUR, codes=[(n, 9, "V0382") for n in range(4)], titles=titles)
    assert labels(records, "crd8_keywords") == [{"pneumonia"}, {"lung_cancer"}, set(), {"lung_infection"}]
    with pytest.raises(DataError, match="no titles"):
        find("crd8_keywords").examples(few(FOUR, codes=CODES))


@pytest.mark.parametrize(
    ("pattern", "title", "matches"),
    [
        ("%hiv%", "Asymptomatic HIV status", True),
        ("%infection", "infection of skin", False),
        ("%a.b%", "xa.by", True),
        ("%a.b%", "xacby", False),
    ],
)
def test_a_pattern_is_sql_s(pattern: str, title: str, matches: bool) -> None:
    assert bool(crd8_keywords.like(pattern).fullmatch(title)) == matches


def carried_labels(few: Few, task: str, codes: list[tuple[int, str]]) -> list[set[str]]:
    rows = [(n, 0, 100) for n in range(len(codes))]
    found = find(task).examples(few(rows, codes=[(n, *code) for n, code in enumerate(codes)]))
    names = [label.name for label in find(task).labels]
    return [{name for name, answer in zip(names, row, strict=True) if answer} for row in found.labels]


def test_obstructive_asthma_is_copd_too_where_a_plan_wants_it(few: Few) -> None:
    codes = [(9, "49320"), (9, "49390"), (9, "4919"), (10, "J449"), (10, "J45909")]
    asthma, copd = {"asthma"}, {"copd"}
    assert carried_labels(few, "crd8", codes) == [asthma, asthma, copd, copd, asthma]
    assert carried_labels(few, "crd8_overlap", codes) == [asthma | copd, asthma, copd, copd, asthma]


def test_of_fractures_the_active_ones_where_a_plan_wants_it(few: Few) -> None:
    codes = [(10, "S2241XA"), (10, "S2242XB"), (10, "S2241XD"), (10, "S2241XS"), (10, "S2241"), (9, "80701")]
    every, active = {"fracture"}, "crd8_source_active"
    assert carried_labels(few, "crd8_source", codes) == [every] * 6
    assert carried_labels(few, active, codes) == [every, every, set(), set(), set(), every]
    assert carried_labels(few, active, [(10, "J189"), (10, "M0510")]) == [{"pneumonia"}, {"arthritis"}]


@pytest.mark.parametrize(("variant", "like"), [("crd8_overlap", "crd8"), ("crd8_source_active", "crd8_source")])
def test_a_variant_has_the_labels_of_its_model(variant: str, like: str) -> None:
    assert [label.name for label in find(variant).labels] == [label.name for label in find(like).labels]


def test_who_is_asked_about(few: Few) -> None:
    records = few(
        [*FOUR, (3, 0, 40), (4, 20, 20), (5, 0, np.nan)],
        codes=[*CODES, (5, 10, "I10"), (6, 10, "I10")],
        age=[50, 60, 17.9, np.nan, 50, 50, 50],
    )
    found = CRD8.examples(records)
    assert found.admission.tolist() == [0, 1]
    assert [lost.candidates for lost in found.excluded.values()] == [2, 2, 1]


# Film and time


def test_the_last_frontal_film_of_the_admission_sets_the_time(few: Few) -> None:
    films = [
        (0, -20, "AP"),
        (0, 60, "PA"),
        (0, 70, "LATERAL"),
        (0, 150, "PA"),
        (1, -24, "AP"),
        (2, -25, "PA"),
        (2, 50, "AP"),
    ]
    found = CRD8.examples(few(FOUR, codes=CODES, films=films))
    assert found.image.tolist() == [1, NONE, 4, 6]
    assert found.time.tolist() == [60, 1024, 10, 50]
    assert found.start.tolist() == [0, 1000, 0, 0]


def test_a_film_during_another_admission_is_that_ones(few: Few) -> None:
    rows = [(0, 0, 100), (0, 110, 200), (0, 300, 400), (0, 310, 320)]
    films = [(0, 95.0, "PA"), (0, 105.0, "AP"), (0, 290.0, "PA"), (0, 315.0, "PA"), (0, 395.0, "AP")]
    assert last_frontal(few(rows, films=films)).tolist() == [0, 1, 4, NONE]


def test_of_films_at_one_time_the_posteroanterior_is_taken(few: Few) -> None:
    films = [
        (0, 5.0, "AP"),
        (0, 5.0, "PA"),
        (0, 5.0, "AP"),
        (0, 5.0, "LATERAL"),
        (1, 4.0, "PA"),
        (1, 5.0, "AP"),
        (1, np.nan, "PA"),
    ]
    assert last_frontal(few([(0, 0, 10), (1, 0, 10)], films=films)).tolist() == [1, 5]


def test_the_film_that_enters_a_row_is_the_linked_one_or_none(few: Few) -> None:
    """Planted: lateral films, one of no view, one of another admission, and one after the prediction time."""
    rows = [(0, 0, 100), (0, 110, 200), (1, 0, 100), (2, 0, 100), (3, 0, 10)]
    films = [
        (0, 20.0, "LATERAL"),
        (0, 95.0, "PA"),  # of the first admission, though within a day of the second
        (0, 115.0, "LL"),
        (0, 120.0, ""),
        (1, -30.0, "PA"),
        (1, -24.0, "AP"),
        (1, 150.0, "PA"),
        (2, 10.0, "AP"),
        (2, 60.0, "PA"),
        (2, 60.0, "AP"),
        (2, 70.0, "LATERAL"),
        (3, 10.5, "PA"),
    ]
    records = few(rows, codes=[(n, 10, "J449") for n in range(len(rows))], films=films)
    for choice in ("last", "first", "all"):
        found = choose(assemble(records, CRD8, ("images",)).images, choice)  # type: ignore[arg-type]
        entered = [found.row[a:b].tolist() for a, b in zip(found.first, found.last, strict=True)]
        assert entered == [[1], [], [5], [8], []], choice


def test_without_images_the_time_is_a_day_after_admission_or_discharge(few: Few) -> None:
    found = CRD8.examples(replace(few(FOUR, codes=CODES), images=None))
    assert found.time.tolist() == [24, 1024, 10, 24]
    assert found.image.tolist() == [NONE] * 4


def test_clocks_of_their_own_cannot_be_linked(few: Few) -> None:
    with pytest.raises(DataError, match="order of a person's admissions"):
        CRD8.examples(few(FOUR, codes=CODES, one_clock=False))


# The table


def table(records: Records) -> dict[str, list[float]]:
    assert CRD8.features is not None
    found = CRD8.features(records, CRD8.examples(records))
    return dict(zip(found.names, found.values.T.tolist(), strict=True))


def test_the_twelve_by_name(few: Few) -> None:
    assert list(table(few(FOUR, codes=CODES))) == [
        "diabetes_history",
        "age",
        "hiv_history",
        "oxygen_saturation",
        "heart_rate",
        "temperature",
        "hemoglobin",
        "red_blood_cells",
        "white_blood_cells",
        "sputum_culture",
        "smoking_history",
        "cough_history",
    ]


def test_history_is_of_earlier_admissions_that_ended(few: Few) -> None:
    rows = [(0, 0, 100), (0, 1000, 1100), (0, 2000, 2100), (0, 2010, 2200)]
    codes = [(0, 10, "E119"), (1, 9, "V1582"), (2, 10, "R05"), (3, 9, "042")]
    found = table(few(rows, codes=codes))
    assert np.array_equal(found["diabetes_history"], [np.nan, 1, 1, 1], equal_nan=True)
    assert np.array_equal(found["smoking_history"], [np.nan, 0, 1, 1], equal_nan=True)
    # The third admission goes on while the fourth is asked about.
    assert np.array_equal(found["cough_history"], [np.nan, 0, 0, 0], equal_nan=True)
    assert np.array_equal(found["hiv_history"], [np.nan, 0, 0, 0], equal_nan=True)


def test_the_code_of_the_admission_itself_is_no_history_even_at_its_end(few: Few) -> None:
    records = few([(0, 0, 100), (0, 1000, 1010)], codes=[(0, 10, "I10"), (1, 10, "E119")])
    assert CRD8.examples(records).time.tolist() == [24, 1010]
    assert table(records)["diabetes_history"][1] == 0


def test_the_first_value_from_a_day_before_to_a_day_after(few: Few) -> None:
    measured = [
        (0, -25, "heart_rate", 1),
        (0, -24, "heart_rate", 2),
        (0, 3, "heart_rate", 3),
        (0, 24, "hemoglobin", 4),
        (0, 24.1, "white_blood_cells", 5),
        (1, 999, "oxygen_saturation", 6),
        (2, 11, "temperature", 7),  # after discharge
        (3, np.nan, "red_blood_cells", 8),
    ]
    found = table(few(FOUR, codes=CODES, measured=measured))
    expected = {
        "heart_rate": [2, np.nan, np.nan, np.nan],
        "hemoglobin": [4, np.nan, np.nan, np.nan],
        "white_blood_cells": [np.nan] * 4,
        "oxygen_saturation": [np.nan, 6, np.nan, np.nan],
        "temperature": [np.nan] * 4,
        "red_blood_cells": [np.nan] * 4,
        "age": [50] * 4,
    }
    for name, values in expected.items():
        assert np.array_equal(found[name], values, equal_nan=True), name


def test_a_late_film_lengthens_the_time_but_not_the_first_day(few: Few) -> None:
    records = few(FOUR, codes=CODES, films=[(0, 60.0, "PA")], measured=[(0, 30.0, "heart_rate", 80)])
    assert CRD8.examples(records).time[0] == 60
    assert np.isnan(table(records)["heart_rate"][0])


def test_sputum_is_no_where_others_had_it_and_unknown_where_nobody_had(few: Few) -> None:
    obtained = few(FOUR, codes=CODES, measured=[(1, 1005, "sputum_culture", 1)])
    assert table(obtained)["sputum_culture"] == [0, 1, 0, 0]
    assert np.isnan(table(few(FOUR, codes=CODES))["sputum_culture"]).all()


def test_another_unit_is_refused(few: Few) -> None:
    records = few(FOUR, codes=CODES)
    assert records.measurements is not None
    units = tuple("degF" if unit == "degC" else unit for unit in records.measurements.units)
    with pytest.raises(DataError, match="measurements, field 'temperature': not in degC"):
        table(replace(records, measurements=replace(records.measurements, units=units)))
