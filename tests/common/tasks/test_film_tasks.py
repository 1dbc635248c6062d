"""Tasks about films: what counts as shown, which films count, and whose stay they fall into."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from common.clinical.findings import CHEXPERT, NIH
from common.clinical.records import NONE, Records
from common.exceptions import DataError
from common.tasks.base import find

Few = Callable[..., Records]
ADMITTED = [(0, 0, 100), (1, 0, 100)]
STAYS = [(0, 10, 50)]


def shown(records: Records, name: str) -> list[set[str]]:
    task = find(name)
    return [{task.labels[at].name for at in np.flatnonzero(row)} for row in task.examples(records).labels]


def films(few: Few, findings: list[dict[str, int]], names: tuple[str, ...], **more: Any) -> Records:
    return few(
        ADMITTED,
        films=[(0, float(n), "AP") for n in range(len(findings))],
        findings=findings,
        finding_names=names,
        **more,
    )


def test_four_films_by_hand(few: Few) -> None:
    findings = [{"Edema": 1, "Pneumonia": -1}, {"Edema": 0}, {}, {"No Finding": 1, "Support Devices": 1}]
    records = films(few, findings, CHEXPERT)
    assert shown(records, "radiology") == [{"edema"}, set(), {"no_finding", "support_devices"}]
    assert find("radiology").examples(records).excluded["no finding mentioned"].candidates == 1


def test_labels_go_by_name_not_by_place(few: Few) -> None:
    records = films(few, [{"Hernia": 1, "Mass": 1}, {"Effusion": 0, "Pleural Effusion": 1}], (*reversed(NIH), "Other"))
    assert shown(records, "radiology_nih") == [{"mass", "hernia"}, {"pleural_effusion"}]


@pytest.mark.parametrize("name", ["radiology", "radiology_nih", "abnormal_film"])
def test_a_source_that_does_not_tell_a_finding_is_refused(few: Few, name: str) -> None:
    with pytest.raises(DataError, match="images, field 'findings': the source does not tell of"):
        find(name).examples(films(few, [{"Edema": 1}], ("Edema",)))


def test_an_abnormal_film_shows_a_disease_and_is_not_called_normal(few: Few) -> None:
    names = ("No Finding", "Pneumonia", "Support Devices", "Death")
    findings = [
        {"No Finding": 0, "Pneumonia": 1},
        {"No Finding": 1, "Support Devices": 1},
        {"Death": 1, "Pneumonia": -1},
        {"No Finding": 1, "Pneumonia": 1},
    ]
    records = films(few, findings, names)
    assert shown(records, "abnormal_film") == [{"abnormal"}, set()]
    lost = find("abnormal_film").examples(records).excluded.values()
    assert [each.candidates for each in lost] == [0, 2]


def test_each_source_answers_the_question_it_tells_of(few: Few) -> None:
    task, names = find("abnormal_film_intensive_care"), ("No Finding", "Pneumonia", "Intensive Care")
    films_of = {
        names[:2]: [{"No Finding": 1}, {"Pneumonia": 1}, {"Pneumonia": 1, "No Finding": 1}],
        names[2:]: [{"Intensive Care": 1}, {"Intensive Care": 0}, {}],
        names: [{"No Finding": 1, "Intensive Care": 1}, {"Intensive Care": -1, "Pneumonia": 1}],
    }
    found = {told: task.examples(films(few, rows, told)).labels.tolist() for told, rows in films_of.items()}
    assert found[names[:2]] == [[0, NONE], [1, NONE]]
    assert found[names[2:]] == [[NONE, 1], [NONE, 0]]
    assert found[names] == [[0, 1], [1, NONE]]
    with pytest.raises(DataError, match="tells neither of 'No Finding' nor of 'Intensive Care'"):
        task.examples(films(few, [{"Edema": 1}], ("Edema",)))


def test_lateral_films_and_unknown_views_are_left_out(few: Few) -> None:
    views = ["PA", "AP", "LATERAL", "LL", ""]
    records = few(
        ADMITTED,
        films=[(0, n, view) for n, view in enumerate(views)],
        findings=[{"No Finding": 1}] * 5,
        finding_names=CHEXPERT,
    )
    assert find("radiology").examples(records).image.tolist() == [0, 1]
    assert find("radiology").examples(records).excluded["lateral or unknown view"].candidates == 3


def test_where_no_view_is_known_every_film_counts(few: Few) -> None:
    records = few(ADMITTED, films=[(0, 1, ""), (1, 2, "")], findings=[{"Edema": 1}] * 2, finding_names=CHEXPERT)
    assert len(find("radiology").examples(records)) == 2


def test_a_film_has_the_stay_or_else_the_admission_it_falls_into(few: Few) -> None:
    times = [(0, 5.0), (0, 10.0), (0, 50.0), (0, 101.0), (0, np.nan), (1, 30.0)]
    records = few(
        ADMITTED,
        stays=STAYS,
        films=[(who, when, "PA") for who, when in times],
        findings=[{"Edema": 1}] * len(times),
        finding_names=CHEXPERT,
    )
    found = find("radiology").examples(records)
    assert found.stay.tolist() == [NONE, 0, 0, NONE, NONE, NONE]
    assert found.admission.tolist() == [0, 0, 0, NONE, NONE, 1]
    assert np.array_equal(found.start, [0, 10, 10, 101, np.nan, 0], equal_nan=True)
    assert np.array_equal(found.time, [when for _, when in times], equal_nan=True)
