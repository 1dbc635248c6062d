"""The model of chronic diseases of the lungs does what its documentation says."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from common.clinical.code_sets import covering, read
from common.clinical.icd import normalised
from common.tasks.base import find
from simulations.synthetic import studies
from simulations.synthetic.admissions import MISSED, simulate
from simulations.synthetic.chest_diseases import CHEST_DISEASES
from simulations.synthetic.diagnosis_codes import CODES, OTHERWISE
from simulations.synthetic.writing import Columns

MEASURED = ("oxygen_saturation", "heartrate", "temperature", "hemoglobin", "red_blood_cells", "wbc")


@pytest.fixture(scope="module")
def hospitals() -> list[Columns]:
    return [simulate(number, 2000, 3) for number in (1, 2, 3, 4)]


@pytest.fixture(scope="module")
def pooled(hospitals: list[Columns]) -> Columns:
    rows = {name: np.concatenate([rows[name] for rows in hospitals]) for name in hospitals[0]}
    return rows | {"fold": np.concatenate([rows["who"] for rows in hospitals]) % 2}


def test_no_hospital_depends_on_another() -> None:
    first, again = simulate(2, 50, 9), simulate(2, 50, 9)
    for name in first:
        assert np.array_equal(first[name], again[name], equal_nan=first[name].dtype.kind == "f")
    other = simulate(3, 50, 9)
    assert not np.array_equal(first["age"], other["age"])


def test_the_eight_diseases_are_those_of_the_task_and_their_codes_mean_them() -> None:
    assert tuple(CHEST_DISEASES) == tuple(label.name for label in find("crd8").labels)
    sets = read("crd", "crd8")
    for name, versions in {**CODES, "otherwise": tuple((one,) for one in OTHERWISE)}.items():
        for version, codes in zip((9, 10), versions, strict=True):
            texts = np.array([code for code, _ in codes])
            kinds = np.full(len(codes), version, np.int8)
            assert np.array_equal(normalised(texts, kinds, np.arange(1, len(codes) + 1), file="t", field="c"), texts)
            for code in texts.tolist():
                meant = [sets[i].name for i in covering(sets)(version, code)]
                assert meant == ([name] if name in CHEST_DISEASES else [])


def test_diseases_are_common_enough_and_differ_between_hospitals(hospitals: list[Columns]) -> None:
    shares = np.array([[rows[f"coded {name}"].mean() for name in CHEST_DISEASES] for rows in hospitals])
    assert (shares.mean(axis=0) > 0.015).all()
    assert (shares.mean(axis=0) < 0.35).all()
    assert np.median(shares.max(axis=0) / shares.min(axis=0)) > 1.4


def test_some_cases_go_uncoded_and_few_codes_are_wrong(pooled: Columns) -> None:
    for name in CHEST_DISEASES:
        there, coded = pooled[name] > 0, pooled[f"coded {name}"]
        assert coded[there].mean() == pytest.approx(1 - MISSED, abs=0.06)
        assert coded[~there].mean() < 0.01


def test_causes_do_what_they_are_said_to(pooled: Columns) -> None:
    assert (pooled["copd"] > 0)[pooled["smoking"] == 1].mean() > 2 * (pooled["copd"] > 0)[pooled["smoking"] == 0].mean()
    assert pooled["age"][pooled["sarcoidosis"] > 0].mean() < pooled["age"].mean() - 3
    assert pooled["fat"][pooled["sleep_apnoea"] > 0].mean() > pooled["fat"].mean() + 0.3
    fibrosis = pooled["ild_fibrosis"] > 0
    assert np.nanmean(pooled["oxygen_saturation"][fibrosis]) < np.nanmean(pooled["oxygen_saturation"]) - 0.8
    assert pooled["sign reticulation"][fibrosis].mean() > pooled["sign reticulation"].mean() + 0.2


def test_people_come_again_in_order_and_die_once(hospitals: list[Columns]) -> None:
    for rows in hospitals:
        assert (rows["end"] > rows["start"]).all()
        again = np.flatnonzero(rows["who"][1:] == rows["who"][:-1])
        assert len(again) > 500
        assert (rows["start"][again + 1] > rows["end"][again]).all()
        assert not rows["died"][again].any()
        inside = rows["unit start"] >= 0
        assert 0.2 < inside.mean() < 0.8
        assert (rows["start"] <= rows["unit start"])[inside].all()
        assert (rows["unit end"] <= rows["end"])[inside].all()
        assert (rows["unit end"] > rows["unit start"])[inside].all()
        assert 0.04 < rows["died"].mean() < 0.2


def auroc(columns: NDArray[np.float64], labels: NDArray[np.bool_], fold: NDArray[np.int64]) -> float:
    scores = np.empty(len(labels))
    for side in (0, 1):
        steps = (SimpleImputer(add_indicator=True), StandardScaler(), LogisticRegression(C=0.3, max_iter=500))
        model = make_pipeline(*steps).fit(columns[fold != side], labels[fold != side])
        scores[fold == side] = model.predict_proba(columns[fold == side])[:, 1]
    return float(roc_auc_score(labels, scores))


def test_films_and_records_each_tell_something_and_both_together_most(pooled: Columns) -> None:
    """What the truth allows; the benchmark 'modalities' measures it through files and pixels."""
    signs = np.stack([values for name, values in pooled.items() if name.startswith("sign ")], axis=1)
    records = np.stack([pooled[name] for name in (*MEASURED, "age")], axis=1)
    found = {
        name: [
            auroc(columns, pooled[f"coded {name}"], pooled["fold"])
            for columns in (signs, records, np.concatenate([signs, records], axis=1))
        ]
        for name in CHEST_DISEASES
    }
    for films, table, both in found.values():
        assert 0.58 < films < 0.97
        assert 0.58 < table < 0.9
        assert both > max(films, table) - 0.005
    means = np.mean(list(found.values()), axis=0)
    assert means[2] > means[:2].max() + 0.02


def test_nothing_but_the_disease_connects_a_code_to_a_film(pooled: Columns) -> None:
    """Among people with a disease, and among those without, the code is noise."""
    for name, disease in CHEST_DISEASES.items():
        sign = pooled[f"sign {max(disease.signs, key=lambda sign: disease.signs[sign])}"]
        for group in (pooled[name] > 0, pooled[name] == 0):
            coded = pooled[f"coded {name}"][group]
            if min(coded.sum(), (~coded).sum()) > 20:
                gap = sign[group][coded].mean() - sign[group][~coded].mean()
                error = sign[group].std() * np.sqrt(1 / coded.sum() + 1 / (~coded).sum())
                assert abs(gap) < 4 * error


def test_films_are_taken_in_hospital_and_only_acute_signs_change(hospitals: list[Columns]) -> None:
    rows = hospitals[0]
    taken = studies.take(rows, 1, 3)
    owner = taken["owner"]
    assert (taken["time"] < rows["end"][owner]).all()
    assert (taken["time"] >= rows["start"][owner] - 6 * 3600).all()
    assert len(np.unique(taken["study"])) == len(owner)
    films = np.bincount(owner, minlength=len(rows["who"]))
    assert films[rows["unit start"] >= 0].mean() > films[rows["unit start"] < 0].mean()
    pairs = [(a, b) for a, b in pairwise(range(len(owner))) if owner[a] == owner[b]]
    assert len(pairs) > 100
    for name in ("heart", "reticulation", "fat"):
        assert all(taken[f"sign {name}"][a] == taken[f"sign {name}"][b] for a, b in pairs)
    wet = [(a, b) for a, b in pairs if taken["sign congestion"][a] > 0]
    assert wet
    assert all(taken["sign congestion"][a] != taken["sign congestion"][b] for a, b in wet)
    severe = rows["severity"][owner]
    assert severe[taken["lying"]].mean() > severe[~taken["lying"]].mean() + 0.3
