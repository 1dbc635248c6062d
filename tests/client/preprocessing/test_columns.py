"""All of a cohort's modalities as columns side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from client.cohorts.cohort import Cohort
from client.cohorts.modalities import Films, Series, Texts, Visits
from client.preprocessing.columns import WORDS, columns
from client.preprocessing.mentions import STATUSES, concepts
from common.clinical.features import Features, nothing
from common.clinical.variables import STATISTICS
from common.exceptions import DataError

FIRST, LAST = np.array([0, 0, 1]), np.array([0, 1, 2])
"""Of each of three rows: nothing, the first item, the second."""
TIME = np.array([1.0, 2.0])
SERIES = Series(
    FIRST, LAST, TIME, np.zeros(2, np.int16), np.array([7, 8], np.float32), TIME[:1].repeat(3), TIME[1:].repeat(3),
    ("ph",), ("",),
)  # fmt: skip
CODES = Visits(
    FIRST, LAST, np.array([0, 1, 2]), np.array([0, 1], np.int32), TIME, TIME, ("10:J449", "9:4280"), np.full(3, 9.0)
)
NOTES = Texts(
    FIRST, LAST, np.array(["radiology"] * 2), np.array(["No effusion. Asthma.", "Possible asthma."], object), TIME
)
FILMS = Films(FIRST, LAST, np.array(["a.jpg", "b.jpg"]), np.array(["PA", "AP"]), TIME, np.array([1, 2]))


def cohort(**parts: Any) -> Cohort:
    fields: dict[str, Any] = {
        "patients": np.array(["a", "b", "c"]),
        "hours": np.full(3, 24.0),
        "labels": np.zeros((3, 1), np.int8),
        "label_names": ("death",),
        "features": nothing(3),
        "references": {},
        "excluded": {},
        "digest": "d",
        "synthetic": True,
    }
    return Cohort(**{**fields, **parts})


def test_each_modality_has_its_columns_in_one_order() -> None:
    table = Features(np.ones((3, 1), np.float32), ("cough_history",), ("",))
    found, modalities = columns(cohort(features=table, notes=NOTES, visits=CODES, series=SERIES, images=FILMS))
    sizes = [1, len(STATISTICS), 283, len(STATUSES) * len(concepts()), WORDS]
    assert found.values.shape == (3, sum(sizes))
    parts = zip(("table", "series", "codes", "notes"), [*sizes[:3], sum(sizes[3:])], strict=True)
    assert modalities == tuple(name for name, size in parts for _ in range(size))
    firsts = [found.names[at] for at in np.cumsum([0, *sizes[:-1]])]
    assert firsts[:3] == ["cough_history", "ph_first", "past_ccs_1"]
    assert firsts[3].startswith("note_")
    assert firsts[4] == "note_words_0"
    values = dict(zip(found.names, found.values.T, strict=True))
    assert values["past_ccs_127"].tolist() == pytest.approx([np.nan, 1, 0], nan_ok=True)
    assert values["note_asthma_present"].tolist() == pytest.approx([np.nan, 1, 0], nan_ok=True)
    assert values["note_asthma_uncertain"].tolist() == pytest.approx([np.nan, 0, 1], nan_ok=True)
    words = found.values[:, -WORDS:]
    assert np.isnan(words[0]).all()
    assert np.linalg.norm(words[1:], axis=1).tolist() == pytest.approx([1, 1])


@pytest.mark.parametrize(("name", "part"), [("series", SERIES), ("codes", CODES), ("notes", NOTES)])
def test_a_modality_that_nobody_has_is_refused(name: str, part: Any) -> None:
    field = {"codes": "visits"}.get(name, name)
    nobody = part.select(np.array([0, 0, 0]))
    with pytest.raises(DataError, match=f"no row has any {name} by its prediction time.*'{name}' out of the plan's"):
        columns(cohort(**{field: nobody}))
    assert columns(cohort(**{field: part.select(np.array([0, 0, 1]))}))[0].names


def test_films_alone_are_no_columns() -> None:
    with pytest.raises(DataError, match="no features"):
        columns(cohort(images=FILMS))


def test_without_trees_there_need_not_be_any_columns() -> None:
    found, _ = columns(cohort(images=FILMS), needed=False)
    assert (found.values.shape, found.names) == ((3, 0), ())
    nobody, _ = columns(cohort(series=SERIES.select(np.array([0, 0, 0]))), needed=False)
    assert nobody.values.shape == (3, len(STATISTICS)), "the same columns as at sites that have a series"
