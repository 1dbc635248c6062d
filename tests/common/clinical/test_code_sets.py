"""Sets of codes: by hand, against a naive reading, and what is known of the lists that ship."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.clinical.code_sets import (
    CodeSet,
    carried,
    categories,
    ccs,
    ccs_names,
    contents,
    covering,
    entitled,
    read,
    units,
)
from common.clinical.records import Diagnoses
from common.exceptions import DataError

COPD = CodeSet("copd", "COPD", {9: ("491", "492"), 10: ("J43", "J44")})
OBSTRUCTIVE = CodeSet("obstructive", "any", {9: ("49",), 10: ("J4",)})
CODES = [(9, "49121"), (9, "J441"), (10, "J441"), (10, "J45909"), (9, "4019"), (10, "4919")]


def diagnoses(rows: list[tuple[int, int, str]], titles: list[str] | None = None) -> Diagnoses:
    return Diagnoses(
        np.array([row[0] for row in rows], np.int64),
        np.array([row[2] for row in rows], "U7"),
        np.array([row[1] for row in rows], np.int8),
        None if titles is None else np.array(titles, object),
    )


def test_four_admissions_by_hand() -> None:
    rows = [(0, 9, "49121"), (0, 10, "I10"), (1, 10, "49121"), (3, 10, "J45909"), (3, 9, "4928")]
    found = carried(diagnoses(rows), 4, covering([COPD, OBSTRUCTIVE]), 2)
    assert found.tolist() == [[True, True], [False, False], [False, False], [True, True]]


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(CODES)), max_size=40))
def test_carried_is_what_a_naive_reading_finds(rows: list[tuple[int, tuple[int, str]]]) -> None:
    sets = [COPD, OBSTRUCTIVE, CodeSet("nothing", "no code", {9: (), 10: ()})]
    found = carried(diagnoses([(owner, *code) for owner, code in rows]), 6, covering(sets), 3)
    for owner in range(6):
        for number, each in enumerate(sets):
            assert found[owner, number] == any(each.covers(*code) for whose, code in rows if whose == owner)


def test_titles_match_as_a_whole() -> None:
    rows = [(0, 9, "486"), (1, 9, "V0382"), (2, 9, "4280"), (2, 9, "486")]
    titles = ["Pneumonia, organism unspecified", "Vaccination against pneumonia", "Heart failure", "Pneumonia"]
    patterns = [re.compile(".*pneumonia.*", re.I), re.compile("pneumonia.*", re.I)]
    assert entitled(diagnoses(rows, titles), 4, patterns).tolist() == [
        [True, True],
        [True, False],
        [True, True],
        [False, False],
    ]
    with pytest.raises(DataError, match="no titles") as refusal:
        entitled(diagnoses(rows), 4, patterns)
    assert "d_icd_diagnoses" in str(refusal.value)


def test_a_dictionary_that_lacks_more_than_a_few_codes_is_refused() -> None:
    rows, titles = [(0, 9, "486")] * 100, ["Pneumonia"] * 100
    patterns = [re.compile("Pneumonia")]
    assert entitled(diagnoses(rows, [*titles[1:], ""]), 1, patterns).tolist() == [[True]]
    with pytest.raises(DataError, match="2 of 100 codes have no title"):
        entitled(diagnoses(rows, [*titles[2:], "", ""]), 1, patterns)


# The lists that ship


@pytest.mark.parametrize("name", ["crd8", "crd8_source", "history", "charlson_pulmonary"])
def test_prefixes_are_codes_and_none_says_another_again(name: str) -> None:
    for version, form in ((9, r"\d{3,5}|V\d{2,4}"), (10, r"[A-Z]\d[0-9A-Z]{1,5}")):
        listed = [each.prefixes[version] for each in read("crd", name)]
        for prefixes in listed:
            assert all(re.fullmatch(form, prefix) for prefix in prefixes)
            assert not [(a, b) for a in prefixes for b in prefixes if a != b and a.startswith(b)]
            assert len(set(prefixes)) == len(prefixes) > 0
        codes = [prefix for prefixes in listed for prefix in prefixes]
        # In the source's list an influenza pneumonia is both a pneumonia and another infection.
        assert name == "crd8_source" or not [(a, b) for a in codes for b in codes if a != b and a.startswith(b)]


def test_airway_and_dust_diseases_are_chronic_pulmonary_disease_of_the_charlson_index() -> None:
    """All but interstitial disease (515, 516, J84), which the index does not count."""
    (charlson,) = read("crd", "charlson_pulmonary")
    sets = {each.name: each for each in read("crd", "crd8")}
    for name in ("copd", "asthma", "bronchiectasis", "pneumoconiosis"):
        for version, prefixes in sets[name].prefixes.items():
            assert all(charlson.covers(version, prefix) for prefix in prefixes)
    assert not charlson.covers(10, "J841")
    for name in ("sarcoidosis", "sleep_apnoea"):
        assert not any(charlson.covers(v, prefix) for v, listed in sets[name].prefixes.items() for prefix in listed)


@pytest.mark.parametrize(
    ("version", "code", "number"),
    [
        (9, "5849", 157),
        (10, "N179", 157),
        (9, "4280", 108),
        (10, "I5033", 108),
        (9, "49320", 128),
        (10, "J449", 127),
        (9, "0389", 2),
        (10, "R6520", 2),
        (10, "R6521", 249),
        (9, "25000", 49),
        (9, "25002", 50),
        (10, "E119", 49),
        (10, "E1165", 50),
        (9, "E8859", 2603),
        (10, "S22000A", 231),
    ],
)
def test_the_ccs_category_of_codes_whose_category_is_well_known(version: int, code: str, number: int) -> None:
    numbers = tuple(ccs_names())
    assert [numbers[at] for at in ccs(numbers)(version, code)] == [number]


def test_the_ccs_has_its_283_categories_in_both_versions() -> None:
    entries = contents("ccs")["categories"]
    assert len(ccs_names()) == len(entries) == 283
    for key in ("icd9", "icd10"):
        prefixes = [prefix for entry in entries for prefix in entry[key].split()]
        assert all(entry[key] for entry in entries)
        assert len(set(prefixes)) == len(prefixes)


def test_a_code_beyond_the_ccs_belongs_to_no_category_and_to_none_asked_for() -> None:
    assert ccs(tuple(ccs_names()))(10, "U071") == []
    assert ccs((157, 2))(10, "A419") == [1]
    assert ccs((157,))(10, "A419") == []


def test_categories_are_of_one_version() -> None:
    groups = categories(9, ("401", "V45"))
    assert [groups(9, "4019"), groups(9, "V4581"), groups(10, "4019"), groups(9, "4280")] == [[0], [1], [], []]


def test_measurements_have_one_unit_each_and_a_plausible_normal_value() -> None:
    entries = contents("variables")["variables"]
    assert len(units()) == len(entries)
    for entry in entries:
        low, high = entry["range"]
        assert low < high
        assert entry["normal"] is None or low <= entry["normal"] <= high
