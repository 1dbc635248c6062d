"""Codes are spelled one way, and damage that can be seen is refused with its row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.clinical.icd import ENOUGH, FORMS, category, distinct, normalised
from common.exceptions import DataError

nine = st.from_regex(FORMS[9], fullmatch=True)
ten = st.from_regex(FORMS[10], fullmatch=True)


def spelled(codes: Sequence[str], versions: Sequence[int]) -> list[str]:
    rows = np.arange(10, 10 + len(codes))
    texts, version = np.array(codes, object), np.array(versions, np.int8)
    return normalised(texts, version, rows, file="codes.csv", field="icd_code").tolist()


def test_four_codes_by_hand() -> None:
    assert spelled(["428.0", " j44.1 ", "V45.81", "c7a.090"], [9, 10, 9, 10]) == ["4280", "J441", "V4581", "C7A090"]


@given(st.lists(st.tuples(nine, ten), max_size=20))
def test_spelling_is_settled_and_a_dot_changes_nothing(pairs: list[tuple[str, str]]) -> None:
    codes = [code for pair in pairs for code in pair]
    versions = [9, 10] * len(pairs)
    assert spelled(codes, versions) == codes
    assert spelled([f" {code[:3].lower()}.{code[3:].lower()}" for code in codes], versions) == codes


@pytest.mark.parametrize(
    ("code", "version"),
    [("42", 9), ("8", 9), ("", 9), ("I10", 9), ("401999", 9), ("V1", 9), ("4019", 10), ("J4", 10), ("NODX", 10)],
)
def test_what_is_no_code_of_its_version_is_refused_with_its_row(code: str, version: int) -> None:
    with pytest.raises(DataError, match=rf"codes.csv, row 12, field 'icd_code': not an ICD-{version}-CM code") as error:
        spelled(["I10", "4280", code, code], [10, 9, version, version])
    assert repr(code)[1:-1] not in str(error.value) or len(code) < 2


@pytest.mark.parametrize("version", [0, 11, -1])
def test_another_version_is_refused(version: int) -> None:
    with pytest.raises(DataError, match=r"row 11.*not 9 or 10"):
        spelled(["I10", "I10"], [10, version])


def test_many_codes_without_a_leading_zero_have_lost_it() -> None:
    codes = [f"{100 + n % 900}" for n in range(ENOUGH)]
    with pytest.raises(DataError, match="no ICD-9-CM code begins with 0"):
        spelled(codes, [9] * ENOUGH)
    assert spelled([*codes, "0389"], [9] * (ENOUGH + 1))[-1] == "0389"
    assert len(spelled(codes[1:], [9] * (ENOUGH - 1))) == ENOUGH - 1
    assert len(spelled(["V4581", *codes[1:]], [9] * ENOUGH)) == ENOUGH


def test_categories_by_hand() -> None:
    cases = [(9, "4280", "428"), (9, "E8859", "E885"), (9, "V4581", "V45"), (10, "E1165", "E11"), (10, "C7A090", "C7A")]
    assert [category(version, code) for version, code, _ in cases] == [expected for *_, expected in cases]


@given(st.lists(st.one_of(nine, ten), max_size=50))
def test_distinct_codes_are_those_of_a_set(codes: list[str]) -> None:
    found, position = distinct(np.array(codes, "U7"))
    assert sorted(found.tolist()) == sorted(set(codes))
    assert found[position].tolist() == codes
